"""Are commands carried out once, and does nothing that the gateway says stop a press?"""

from __future__ import annotations

import pytest

from firmware_stubs.alarm_box import hal
from tests.firmware.world import World, ready


def test_nobody_calls_back_while_a_duress_is_open() -> None:
    world = ready(World())
    world.press(hal.DURESS)
    world.run(500)
    shown, played = list(world.looks), list(world.tunes)
    world.command("c1", "ring_back")
    world.command("c2", "identify")
    world.run(1000)
    assert (world.looks, world.tunes) == (shown, played)
    assert [r["state"] for r in world.replies] == ["delivered", "refused"] * 2


COMMANDS = {
    "identify": ("identify", {}, ["delivered", "shown", "done"], "identify"),
    "ring_back": ("ring_back", {}, ["delivered", "shown", "done"], "ring_back"),
    "config": ("config", {"test_every_s": 3600, "version": 4}, ["delivered", "done"], "ready"),
    "config refused": ("config", {"test_every_s": 1}, ["delivered", "refused"], "ready"),
    "unknown": ("dance", {}, ["refused"], "ready"),
    "update unsigned": ("update", {"version": 9}, ["delivered", "refused"], "ready"),
}


@pytest.mark.parametrize(("act", "args", "states", "look"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_carried_out_once(
    act: str, args: dict[str, object], states: list[str], look: str
) -> None:
    world = ready(World())
    for _ in range(3):
        world.command("id-1", act, **args)
        world.run(300)
    assert [reply["state"] for reply in world.replies] == states
    assert {reply["cmd"] for reply in world.replies} == {"id-1"}
    assert world.look == look
    world.power_cut()
    world.until(lambda: world.statuses[-1]["boot"] == world.device.box.boot)
    world.command("id-1", act, **args)
    world.run(500)
    assert len(world.replies) == len(states)
    if act == "config" and "version" in args:
        assert world.device.settings.test_every_s == 3600
        assert world.statuses[-1]["cfg"] == 4


def test_an_expired_command_is_refused() -> None:
    world = ready(World())
    world.say("cmd", {"id": "x", "act": "identify", "t": 1, "exp": 2})
    world.run(300)
    assert [(r["state"], r["detail"]) for r in world.replies] == [("refused", "expired")]


def test_no_reboot_while_an_alarm_is_open() -> None:
    world = ready(World())
    world.press()
    world.run(300)
    world.command("r1", "reboot")
    world.run(500)
    assert [r["state"] for r in world.replies] == ["delivered", "refused"]
    assert world.device._restarting is False


def test_a_reboot_is_told_before_and_after() -> None:
    world = ready(World())
    world.command("r1", "reboot")
    world.until(lambda: world.device._restarting)
    world.power_cut()
    world.until(lambda: len(world.replies) == 3)
    assert [r["state"] for r in world.replies] == ["delivered", "accepted", "done"]


def test_a_press_goes_before_a_reboot() -> None:
    world = ready(World())
    world.gateway_up = False
    world.command("r1", "reboot")
    world.run(1000)
    world.press()
    world.run(10_000)
    assert world.device._restarting is False
    world.gateway_up = True
    world.until(lambda: len(world.replies) == 3)
    assert [r["state"] for r in world.replies] == ["delivered", "accepted", "failed"]


def test_desired_configuration_is_taken_and_kept() -> None:
    world = ready(World())
    world.say("config", {"version": "v7", "status_every_s": 30, "test_every_s": "often"})
    world.until(lambda: world.statuses[-1].get("cfg") == "v7", 2000)
    world.power_cut()
    assert world.device.settings.status_every_s == 30
    assert world.device.settings.test_every_s == 86_400


@pytest.mark.parametrize(
    "noise", [b"", b"{", b"\xc1", b"\x80", b"\x90", b"null", b"\x81\xa4boot\xa1x", b"x" * 5000]
)
@pytest.mark.parametrize("channel", ["receipt", "cmd", "config", "other"])
def test_noise_from_the_gateway_stops_nothing(channel: str, noise: bytes) -> None:
    world = ready(World())
    world.later.append((0, channel, noise))
    world.run(100)
    world.press()
    world.until(lambda: world.look == "stored", 500)
