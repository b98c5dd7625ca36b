"""What does the box do and show, from the press to the close?"""

from __future__ import annotations

import pytest

from firmware_stubs.alarm_box import hal
from tests.firmware.world import World, looks, ready


def test_the_stages_of_a_press() -> None:
    world = ready(World())
    since = world.now
    world.press()
    world.until(lambda: world.look == "stored")
    (key,) = world.alarms
    assert world.alarms[key] == {
        "boot": key[0], "seq": 1, "t": pytest.approx(world.unix_ms(), abs=500), "kind": "panic",
        "count": 1, "zone": "till",
    }  # fmt: skip
    for stage in ("accepted", "acknowledged", "closed"):
        world.stage(key, stage)
        world.until(lambda stage=stage: world.look == stage)
    world.until(lambda: world.look == "ready")
    assert looks(world, since) == [
        "pressed", "sent", "stored", "accepted", "acknowledged", "closed", "ready",
    ]  # fmt: skip
    assert not world.faults


def test_stages_go_only_forward() -> None:
    world = ready(World())
    world.press()
    (key,) = world.alarms
    for stage in ("accepted", "stored", "accepted"):
        world.stage(key, stage)
        world.run(100)
    assert world.look == "accepted"
    world.stage(key, "closed")
    world.run(100)
    for stage in ("acknowledged", "stored"):
        world.stage(key, stage)
        world.run(100)
    assert world.look == "closed"


def test_a_hammered_button_is_one_alarm_with_a_count() -> None:
    world = ready(World())
    for _ in range(30):
        world.press(ms=60)
    world.run(5000)
    (alarm,) = world.raised()
    more = [keys for keys in world.alarms.values() if keys.get("of") == alarm["seq"]]
    assert max(keys["count"] for keys in more) == 30
    assert len(more) <= 5


def test_a_held_button_is_one_alarm_and_after_a_minute_it_is_stuck() -> None:
    world = ready(World())
    world.board.closed |= hal.PANIC
    world.run(1000)
    (alarm,) = world.raised()
    key = (alarm["boot"], alarm["seq"])
    world.run(61_000)
    assert [keys["text"] for keys in world.alarms.values() if "text" in keys] == ["button stuck"]
    assert len(world.raised()) == 1
    world.stage(key, "closed")
    world.until(lambda: world.look == "button_stuck")
    world.board.closed = 0
    world.until(lambda: world.look == "ready")


def test_it_latches_until_acknowledged() -> None:
    world = ready(World())
    world.press()
    world.press()
    world.run(3000)
    (alarm,) = world.raised()
    world.stage((alarm["boot"], alarm["seq"]), "acknowledged")
    world.run(200)
    world.press()
    world.run(500)
    assert len(world.raised()) == 2
    assert world.look == "stored"


def test_the_key_lets_go() -> None:
    world = ready(World())
    world.press()
    world.run(500)
    world.press(hal.KEY)
    assert world.look == "ready"
    world.press()
    world.run(500)
    assert len(world.raised()) == 2


def test_the_key_does_not_stop_an_alarm_that_nobody_has_yet() -> None:
    world = ready(World())
    world.broker_up = False
    world.run(500)
    world.press()
    world.press(hal.KEY)
    world.broker_up = True
    world.until(lambda: len(world.raised()) == 1)


def test_a_duress_shows_nothing_and_is_silent() -> None:
    world = ready(World())
    shown, played = list(world.looks), list(world.tunes)
    world.press(hal.DURESS)
    world.run(20_000)
    (alarm,) = world.raised()
    assert (alarm["kind"], alarm["silent"]) == ("duress", True)
    for stage in ("accepted", "acknowledged", "closed"):
        world.stage((alarm["boot"], alarm["seq"]), stage)
        world.run(1000)
    assert (world.looks, world.tunes) == (shown, played)


def test_a_duress_that_nobody_has_shows_nothing_either() -> None:
    world = ready(World())
    world.gateway_up = False
    shown, played = list(world.looks), list(world.tunes)
    world.press(hal.DURESS)
    world.run(15_000)
    assert (world.looks, world.tunes) == (shown, played)
    world.gateway_up = True
    world.until(lambda: len(world.raised()) == 1)


def test_after_a_restart_the_alarm_is_shown_and_sent_again() -> None:
    world = ready(World())
    world.gateway_up = False
    world.press()
    boot = world.device.box.boot
    since = world.now
    world.power_cut()
    assert world.device.box.boot == boot + 1
    world.run(100)
    assert looks(world, since)[0] == "nobody_has_it_yet"
    world.gateway_up = True
    world.until(lambda: world.look == "stored")
    assert set(world.alarms) == {(boot, 1)}
    world.power_cut()
    world.run(100)
    assert world.look == "stored"
    world.stage((boot, 1), "closed")
    world.until(lambda: world.look == "ready")
    world.power_cut()
    world.run(100)
    assert world.look == "ready"


def test_presence_and_will_carry_the_boot() -> None:
    world = ready(World())
    boot = world.device.box.boot
    assert world.presence[-1]["online"] is True
    assert world.presence[-1]["caps"] == ["identify", "ring_back", "config", "reboot", "update"]
    world.power_cut()
    assert world.presence[-1] == {"online": False, "boot": boot, "kind": "alarm_box"}
