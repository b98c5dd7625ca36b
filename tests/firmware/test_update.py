"""Is only what is signed, newer and whole started, on trial, and given up if it does not work?"""

from __future__ import annotations

import hashlib
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from firmware_stubs.alarm_box import settings as box_settings
from firmware_stubs.alarm_box import update
from tests.firmware.world import World

PROGRAM = bytes(range(256)) * 40


class Signer:
    """A key of openssl's, and what it signs."""

    def __init__(self, folder: Path, bits: int = 2048) -> None:
        self.key = folder / "update.key"
        self._openssl("genrsa", "-out", str(self.key), str(bits))
        told = self._openssl("rsa", "-in", str(self.key), "-modulus", "-noout")
        self.modulus = int(told.decode().strip().partition("=")[2], 16)

    def sign(self, text: bytes) -> bytes:
        return self._openssl("dgst", "-sha256", "-sign", str(self.key), text=text)

    def _openssl(self, *arguments: str, text: bytes = b"") -> bytes:
        run = subprocess.run(["openssl", *arguments], input=text, capture_output=True, check=True)
        return run.stdout


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("keys"))


class Download:
    """A web server's answer, as the box's socket gives it."""

    def __init__(self, answer: bytes, piece: int = 700) -> None:
        self.answer, self.piece = bytearray(answer), piece
        self.asked = b""
        self.open = True
        self.net = 0

    def write(self, data: bytes) -> int:
        self.asked += data
        return len(data)

    def readinto(self, room: Any) -> int:
        count = min(len(room), self.piece, len(self.answer))
        room[:count] = self.answer[:count]
        del self.answer[:count]
        return count

    def close(self) -> None:
        self.open = False


def told(signer: Signer, **changed: Any) -> dict[str, Any]:
    """The arguments of an update, some of them wrong."""
    args: dict[str, Any] = {
        "version": box_settings.VERSION + 1,
        "size": len(PROGRAM),
        "sha256": hashlib.sha256(PROGRAM).hexdigest(),
        "url": "http://10.0.0.5:8000/box.bin",
    }
    text = update.manifest(args["version"], args["size"], args["sha256"])
    return {**args, "sig": signer.sign(text), **changed}


def ready(signer: Signer, answer: bytes = b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM) -> World:
    """A box that knows the key, and a server with that answer."""
    world = World()
    world.until(lambda: world.statuses)
    world.device.settings.update_key = signer.modulus
    board: Any = world.board
    board.slot = bytearray()
    board.dial = lambda host, port: Download(answer)
    board.events = lambda sock: 5 if isinstance(sock, Download) else 4
    board.slot_write = board.slot.extend
    board.slot_start = lambda: world.slots.append(bytes(board.slot))
    board.slot_open = lambda size: board.slot.clear()
    return world


def states(world: World) -> list[str]:
    return [reply["state"] for reply in world.replies]


def test_a_signed_program_is_started_on_trial_and_kept(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ready(signer)
    world.command("u1", "update", **told(signer))
    world.until(lambda: world.look == "updating")
    world.until(lambda: world.device._restarting)
    assert world.slots == [PROGRAM]
    # The new program runs.
    monkeypatch.setattr(box_settings.Settings, "program_version", box_settings.VERSION + 1)
    world.trial = True
    world.power_cut()
    world.until(lambda: world.slots[-1] == "kept")
    world.until(lambda: states(world)[-1:] == ["done"])
    assert any(alarm["kind"] == "test" for alarm in world.raised())


def test_a_program_that_fell_back_is_told(signer: Signer) -> None:
    world = ready(signer)
    world.command("u1", "update", **told(signer))
    world.until(lambda: world.device._restarting)
    world.power_cut()  # and the old program runs again
    world.until(lambda: states(world)[-1:] == ["failed"])
    assert world.replies[-1]["detail"] == "fell back"


def test_a_trial_without_a_gateway_ends_after_ten_minutes(signer: Signer) -> None:
    world = ready(signer)
    world.gateway_up = False
    world.trial = True
    world.power_cut()
    took = world.until(lambda: world.device._restarting, 700_000)
    assert 600_000 <= took <= 600_100
    assert world.slots == []


REFUSED = {
    "not newer": ({"version": box_settings.VERSION}, "not newer"),
    "another size": ({"size": len(PROGRAM) - 1}, "signature"),
    "another hash": ({"sha256": "0" * 64}, "signature"),
    "another version": ({"version": 77}, "signature"),
    "no signature": ({"sig": b""}, "signature"),
    "zeros": ({"sig": bytes(256)}, "signature"),
    "a signature of text": ({"sig": "x" * 256}, "url and sig are needed"),
    "too large": ({"size": 1 << 30}, "size"),
    "https": ({"url": "https://x/y"}, "cannot be fetched: only http: the signature vouches"),
}


@pytest.mark.parametrize(("changed", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_right_is_refused_before_a_byte_is_fetched(
    signer: Signer, changed: dict[str, Any], why: str
) -> None:
    world = ready(signer)
    world.command("u1", "update", **told(signer, **changed))
    world.until(lambda: len(world.replies) == 2)
    assert states(world) == ["delivered", "refused"]
    assert world.replies[-1]["detail"].startswith(why)


FAILED = {
    "another program": (b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM[:-1] + b"!", "hash"),
    "cut short": (b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM[:5000], "ended after 5000 bytes"),
    "longer": (b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM + b"!" * 2000, "longer"),
    "not there": (b"HTTP/1.0 404 Not Found\r\n\r\n", "not there"),
    "no HTTP": (bytes(5000), "no HTTP"),
}


@pytest.mark.parametrize(("answer", "why"), FAILED.values(), ids=FAILED)
def test_what_does_not_come_whole_is_not_started(signer: Signer, answer: bytes, why: str) -> None:
    world = ready(signer, answer)
    world.command("u1", "update", **told(signer))
    world.until(lambda: states(world)[-1:] == ["failed"])
    assert world.replies[-1]["detail"].startswith(why)
    assert world.slots == []
    world.press()
    world.until(lambda: world.look == "stored", 500)


def test_a_press_ends_the_fetching(signer: Signer) -> None:
    world = ready(signer, b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM[:3000])
    world.board.events = lambda sock: 4  # type: ignore[method-assign]  # the server is slow
    world.command("u1", "update", **told(signer))
    world.until(lambda: world.look == "updating")
    world.press()
    world.until(lambda: world.look == "stored", 500)
    world.until(lambda: states(world)[-1:] == ["failed"])


def test_signatures_of_other_keys_paddings_and_hashes(signer: Signer, tmp_path: Path) -> None:
    text = b"what is signed"
    right = signer.sign(text)
    assert update.is_signed(text, right, signer.modulus)
    assert not update.is_signed(text + b".", right, signer.modulus)
    assert not update.is_signed(text, Signer(tmp_path).sign(text), signer.modulus)
    for at in range(0, len(right), 17):
        torn = bytearray(right)
        torn[at] ^= 1
        assert not update.is_signed(text, bytes(torn), signer.modulus)
    # The same value in a longer or larger number is another signature.
    assert not update.is_signed(text, b"\0" + right, signer.modulus)
    number = int.from_bytes(right, "big") + signer.modulus
    if number < 1 << 2048:
        assert not update.is_signed(text, number.to_bytes(256, "big"), signer.modulus)
    assert not update.is_signed(text, right, 0)
    assert not update.is_signed(text, struct.pack(">I", 1), 15)  # a key too short
