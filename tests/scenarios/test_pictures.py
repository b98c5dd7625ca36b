"""Pictures of other makers' terminals, against the whole gateway: honest, damaged, lying."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.journal.shelf import Shelf
from gateway.pictures import Deletion, Guarded
from tests.gateway.photographs import encoded, png_bomb, resized
from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, real time


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    settings = tmp_path / "gateway.toml"
    settings.write_text("pictures_budget_mb = 1\n[retention]\nlive = 1\n")
    async with Gateway(tmp_path / "data", "--config", str(settings)) as gateway:
        yield gateway


class Camera(Terminal):
    """A terminal with a camera. It cuts pictures up in its own way."""

    seq = 0

    def picture(
        self, data: bytes, *, name: str = "", chunk_bytes: int = 4000, last: int = 0, **told: Any
    ) -> str:
        """Send a picture, but for the ``last`` so many chunks; its id as it says."""
        name = name or hashlib.sha256(data).hexdigest()
        pieces = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
        about = {"taken": now_ms(), "w": 640, "h": 480, "reason": "periodic"} | told
        for n, piece in enumerate(pieces[: len(pieces) - last]):
            self.seq += 1
            self.send(
                "media",
                {
                    "boot": 1, "seq": self.seq, "t": now_ms(), "id": name, "mime": "image/jpeg",
                    "size": len(data), "n": n, "of": len(pieces), "data": piece,
                    **(about if n == 0 else {}),
                },
            )  # fmt: skip
        return name


def now_ms() -> int:
    return int(time.time() * 1000)


async def camera(gateway: Gateway, device: str) -> Camera:
    return Camera(gateway.mqtt_port, device, await gateway.add(device, "body_camera"))


async def fieldgate(gateway: Gateway, *words: str) -> tuple[int, Any]:
    """Status and JSON of a command on the gateway's folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fieldgate", "media", *words, "--data", str(gateway.folder),
        "--json", stdout=PIPE,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, json.loads(output) if output else None


async def said(gateway: Gateway, *words: str) -> str:
    """What a command says to a person."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fieldgate", "media", *words, "--data", str(gateway.folder),
        stdout=PIPE,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return output.decode()


async def read(gateway: Gateway, path: str) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {gateway.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{gateway.url}/api/v1/media/{path}") as response,
    ):
        return response.status, await response.read()


async def test_pictures_that_lie_cost_neither_an_alarm_nor_an_honest_picture(
    gateway: Gateway,
) -> None:
    honest = encoded(".jpg", 640, 480, 1)
    async with await camera(gateway, "cam-1") as cam:
        hostile = {
            "bomb": png_bomb(),
            "lying": resized(encoded(".png"), 40_000, 30_000),
            "small": resized(encoded(".png"), 3, 3),
            "cut": encoded(".jpg")[:2000],
            "both": encoded(".png") + b"<script>alert(1)</script>",
            "text": b"<script>alert(1)</script>",
        }
        names = {each: cam.picture(data) for each, data in hostile.items()}
        liar = cam.picture(b"other bytes", name=hashlib.sha256(b"some bytes").hexdigest())
        cam.send("alarm", {"boot": 1, "seq": 1, "t": now_ms(), "kind": "panic"})
        await cam.receipt(boot=1, p=1)
        good = cam.picture(honest)
        events = await gateway.wait_for(len(hostile) + 2, "media")
        flags = {event["data"]["id"]: event["data"]["flags"] for event in events}
        assert flags[good] == []
        assert flags[liar] == ["hash_mismatch"]
        assert flags[names["text"]] == ["format_unknown"]
        assert flags[names["bomb"]] == ["picture_differs"]
        about = {
            each: await gateway.get(f"/api/v1/media/{name}/about") for each, name in names.items()
        }
        assert about["bomb"]["found"]["problems"] == ["too_many_pixels"]
        assert about["cut"]["found"]["problems"] == ["truncated"]
        assert about["both"]["found"]["problems"] == ["trailing_bytes"]
        for each, data in hostile.items():
            assert await read(gateway, names[each]) == (200, data), "kept as it came"
        async with asyncio.timeout(30):
            while (await read(gateway, f"{good}/thumbnail"))[0] != 200:
                await asyncio.sleep(0.05)
        for each in ("bomb", "lying", "text"):
            assert (await read(gateway, f"{names[each]}/thumbnail"))[0] == 404
        assert await gateway.wrong() == ""
        assert (await gateway.get("/readyz"))["warnings"] == []


async def test_who_asked_who_sent_and_how_much_is_here(gateway: Gateway) -> None:
    same = encoded(".jpg", 640, 480, 2)
    async with await camera(gateway, "cam-1") as one, await camera(gateway, "cam-2") as two:
        order = await gateway.post("/api/v1/devices/cam-1/commands", act="snapshot", by="desk 3")
        picture = one.picture(same, reason="command", ref=order["id"])
        await gateway.wait_for(1, "media")
        two.picture(same, reason="command", ref=order["id"], taken=1)
        part = two.picture(encoded(".jpg", 640, 480, 3) + bytes(9000), last=1)
        events = await gateway.wait_for(2, "media")
        assert [event["data"]["requested"] for event in events] == [True, False]
        assert events[0]["data"]["asked"]["by"] == "desk 3"
        about = await gateway.get(f"/api/v1/media/{picture}/about")
        text = await said(gateway, "show", picture)
        assert all(word in text for word in (picture, "image/jpeg 640x480", "snapshot  desk 3"))
        (line,) = (await said(gateway, "list", "--device", "cam-1")).splitlines()
        assert line.endswith(f"complete  by desk 3  {picture}")
        asked = [(each["device"], each["requested"]) for each in about["sendings"]]
        assert asked == [("cam-1", True), ("cam-2", False)]
        assert about["sendings"][0]["age_received_ms"] < 15_000
        async with asyncio.timeout(30):
            while True:
                _, found = await fieldgate(gateway, "list", "--device", "cam-2")
                shown = next((e for e in found["media"] if e["id"] == part), None)
                if shown is not None and shown["received_chunks"] == shown["of"] - 1:
                    break
        assert shown["state"] == "partial"


async def test_a_changed_bit_is_found_and_never_shown(gateway: Gateway, tmp_path: Path) -> None:
    async with await camera(gateway, "cam-1") as cam:
        picture, sound = (cam.picture(encoded(".jpg", 640, 480, n)) for n in (4, 5))
        await gateway.wait_for(2, "media")
    status, proof = await fieldgate(gateway, "verify")
    assert (status, proof["kept"], proof["sound"]) == (0, 2, 2)
    path = gateway.folder / "journal" / "pictures" / picture[:2] / picture
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    status, body = await read(gateway, picture)
    assert (status, json.loads(body)["damaged"]) == (500, True)
    (event,) = await gateway.wait_for(1, "media.custody")
    assert (event["data"]["act"], event["data"]["media"]) == ("damaged", picture)
    status, proof = await fieldgate(gateway, "verify")
    assert (status, proof["changed"], proof["sound"]) == (1, [picture], 1)
    out = tmp_path / "picture.jpg"
    assert (await fieldgate(gateway, "get", sound, "--out", str(out)))[0] == 0
    assert out.read_bytes() == encoded(".jpg", 640, 480, 5)
    assert (await fieldgate(gateway, "get", picture, "--out", str(out)))[0] == 1


async def test_holds_and_deletions_survive_a_kill(gateway: Gateway) -> None:
    large = [encoded(".jpg", 640, 480, n) + bytes(400_000) for n in (6, 7)]
    async with await camera(gateway, "cam-1") as cam:
        held, old = (cam.picture(data, chunk_bytes=8000, reason="live") for data in large)
        small = cam.picture(encoded(".jpg", 640, 480, 8), reason="live")
        await gateway.wait_for(3, "media")
        _, answer = await fieldgate(gateway, "hold", held, "--by", "Li", "--note", "case 7")
        assert answer["held"]
        new = cam.picture(encoded(".jpg", 640, 480, 9) + bytes(500_000), chunk_bytes=8000)
        await gateway.wait_for(4, "media")
    await gateway.kill()
    # As a kill leaves it that came when a deletion was noted, and nothing of it done yet.
    folder = gateway.folder / "journal" / "pictures"
    shelf = Shelf(folder)
    some = shelf.may_go(Guarded(), worth=None, until_ms=2**62, limit=10)
    doomed = [each for each in some if each.id == small]
    assert shelf.doom(doomed, Deletion(t=now_ms(), by="budget", why="a kill"), Guarded()) == doomed
    shelf.close()
    assert (folder / small[:2] / small).exists()
    await gateway.start()
    events = await gateway.wait_for(3, "media.custody")
    told = [(e["data"]["act"], e["data"]["media"], e["data"].get("why")) for e in events]
    assert told[0] == ("held", held, None)
    assert set(told[1:]) == {
        ("deleted", small, "a kill"), ("deleted", old, "pictures_budget_mb"),
    }  # fmt: skip
    assert (await read(gateway, held))[0] == 200
    assert (await read(gateway, new))[0] == 200
    for each in (small, old):
        status, body = await read(gateway, each)
        assert (status, json.loads(body)["was"]["sha256"]) == (410, each)
    async with asyncio.timeout(30):
        while len([path for path in folder.glob("??/*") if "." not in path.name]) > 2:
            await asyncio.sleep(0.02)
    assert (await fieldgate(gateway, "verify"))[0] == 0
    _, answer = await fieldgate(gateway, "holds")
    assert [(each["id"], each["note"]) for each in answer["holds"]] == [(held, "case 7")]
    _, answer = await fieldgate(gateway, "release", held, "--by", "Li")
    assert not answer["held"]
    assert (await gateway.wait_for(4, "media.custody"))[3]["data"]["act"] == "released"
