"""What does the box do and show when something fails: network, gateway, flash, clock, a part?"""

from __future__ import annotations

import itertools

import pytest

from firmware_stubs.alarm_box import hal
from tests.firmware.world import World, looks, ready


def test_without_a_broker_nobody_has_it_yet() -> None:
    world = ready(World())
    world.broker_up = False
    world.run(100)
    since = world.now
    world.press()
    world.until(lambda: world.look == "nobody_has_it_yet", 2000)
    assert world.tunes[-1][1] == "two_low"
    world.run(20_000)
    world.broker_up = True
    world.until(lambda: world.look == "stored", 10_000)
    assert looks(world, since) == ["pressed", "nobody_has_it_yet", "sent", "stored"]
    assert len(world.alarms) == 1


def test_without_a_gateway_it_is_sent_and_then_nobody_has_it() -> None:
    world = ready(World())
    world.gateway_up = False
    since = world.now
    world.press()
    world.run(60_000)
    assert looks(world, since) == ["pressed", "sent", "nobody_has_it_yet"]
    world.gateway_up = True
    world.until(lambda: world.look == "stored", 31_000)
    assert len(world.alarms) == 1


def test_an_idle_box_shows_that_no_gateway_answers() -> None:
    world = ready(World())
    world.gateway_up = False
    world.until(lambda: world.look == "no_gateway", 120_000)
    world.gateway_up = True
    world.until(lambda: world.look == "ready", 120_000)


def test_an_idle_box_shows_that_there_is_no_network() -> None:
    world = ready(World())
    world.broker_up = False
    assert world.until(lambda: world.look == "no_network") < 7_000
    world.broker_up = True
    world.until(lambda: world.look == "ready")


@pytest.mark.parametrize("how", ["silent", "unplugged"])
def test_the_second_network_within_five_seconds(how: str) -> None:
    world = ready(World())
    (world.silent if how == "silent" else world.reachable)[0] = how == "silent"
    if how == "unplugged":
        world.plugged[0] = False
        for sock in world.socks:
            sock.open = False
    took = world.until(lambda: world.look == "ready_second_network", 5000)
    assert took <= 5000
    world.press()
    world.until(lambda: world.look == "stored", 500)
    world.stage(next(iter(world.alarms)), "closed")
    world.silent[0], world.reachable[0], world.plugged[0] = False, True, True
    world.until(lambda: world.look == "ready", 60_000)


def test_a_press_on_a_network_that_has_just_died_is_stored_by_the_other() -> None:
    world = ready(World())
    world.silent[0] = True
    world.press()
    assert world.until(lambda: world.look == "stored", 6000) <= 5500


def test_the_preferred_network_is_not_gone_back_to_during_an_alarm() -> None:
    world = ready(World())
    world.silent[0] = True
    world.until(lambda: world.look == "ready_second_network")
    world.silent[0], world.gateway_up = False, False
    world.press()
    world.run(60_000)
    assert world.device.uplink.using == 1


def test_a_broker_that_never_says_connack_is_left() -> None:
    world = World()
    world.silent[0] = True  # TCP connects, and nothing comes
    world.until(lambda: world.look == "ready_second_network", 6000)


def test_a_broker_that_acknowledges_nothing_still_gets_the_alarm() -> None:
    world = ready(World())
    world.pubacks = False
    for _ in range(3):
        world.press()
        world.until(lambda: world.look == "stored", 15_000)
        world.press(hal.KEY)
    assert len(world.raised()) == 3


def test_a_clock_that_is_not_set_stops_nothing() -> None:
    world = World()
    world.clock_on = False
    world.until(lambda: world.look == "clock_unset")
    world.press()
    world.until(lambda: world.look == "stored", 500)
    (alarm,) = world.raised()
    assert alarm["t"] == 0


def test_a_flash_that_takes_nothing_stops_nothing() -> None:
    world = ready(World())
    world.chip.fails = True
    world.press()
    world.until(lambda: world.look == "stored", 500)
    world.press(hal.KEY)
    world.until(lambda: world.look == "flash_worn")
    world.press()
    world.run(500)
    assert len(world.raised()) == 2


def test_boots_of_a_worn_flash_are_not_drawn_twice() -> None:
    world = ready(World())
    world.chip.fails = True
    boots = set()
    for _ in range(20):
        world.power_cut()
        world.chip.fails = True
        boots.add(world.device.box.boot)
    assert len(boots) == 20


def test_a_full_flash_stops_nothing() -> None:
    world = ready(World(sectors=4, sector_size=512))
    world.gateway_up = False
    for _ in range(9):
        world.press()
        world.press(hal.KEY)
    assert world.device.outbox.book.is_full()
    world.until(lambda: world.look == "flash_full")
    world.gateway_up = True
    world.until(lambda: len(world.raised()) == 9, 60_000)
    world.until(lambda: world.look == "ready")


def test_without_any_room_an_alarm_stays_latched_until_there_is_some() -> None:
    world = ready(World())
    world.gateway_up = False
    world.chip.fails = True
    for _ in range(8):
        world.press()
        world.press(hal.KEY)
    world.press()
    world.press(hal.KEY)
    world.run(2000)
    assert world.look == "nobody_has_it_yet"
    world.gateway_up = True
    world.until(lambda: len(world.raised()) == 9, 60_000)
    assert world.look == "stored"


@pytest.mark.parametrize("part", ["clock", "settings", "status", "commands", "update", "journal"])
def test_the_alarm_goes_out_whatever_part_fails(part: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    world = ready(World())
    device = world.device
    match part:
        case "clock":
            device.box.clock.put = device.box.clock.unix_ms = device.box.clock.turn = fail
        case "settings":
            device.settings.change = fail
            device.settings.zone = None
        case "status":
            device.status.turn = device.status.take_receipt = fail
        case "commands":
            device.commanding().turn = fail
        case "update":
            device.updating().turn = fail
        case "journal":
            device.outbox.book.tidy = fail
    world.press()
    world.until(lambda: world.look == "stored", 500)
    assert len(world.raised()) == 1


@pytest.mark.parametrize(
    "settings", [None, b"", b"{", b"[]", b'{"device": 3}', b'{"brokers": []}', b"\xff\xfe"]
)
def test_broken_settings_are_replaced_by_those_of_before(settings: bytes | None) -> None:
    from tests.firmware import world as module

    world = ready(World())
    before = module.PROVISION
    try:
        module.PROVISION = settings  # type: ignore[assignment]
        world.power_cut()
    finally:
        module.PROVISION = before
    world.press()
    world.until(lambda: world.look == "stored")


def test_the_case_raises_a_tamper_alarm() -> None:
    world = ready(World())
    world.press(hal.CASE, ms=2000)
    (alarm,) = world.raised()
    assert alarm["kind"] == "tamper"
    assert "case_open" in looks(world, 0)
    assert "pressed" not in looks(world, 0)


def test_mains_and_battery_are_told_at_once() -> None:
    world = ready(World())
    world.board.closed |= hal.MAINS
    world.until(lambda: world.look == "mains_lost")
    world.until(lambda: world.statuses[-1]["mains"] is False, 2000)
    world.board.closed = 0
    world.board.battery = 12
    world.until(lambda: world.look == "battery_low")
    world.until(lambda: world.statuses[-1]["batt"] == 12, 2000)
    assert world.statuses[-1]["mains"] is True


def test_the_daily_self_test_shows_nothing_when_all_is_well() -> None:
    world = ready(World())
    world.device.box._test_due = world.now + 1000
    shown = list(world.looks)
    world.run(5000)
    (alarm,) = world.raised()
    assert alarm["kind"] == "test"
    assert world.looks == shown
    assert not world.device.outbox.book.waiting()


def test_a_self_test_without_an_answer_is_a_fault() -> None:
    world = ready(World())
    world.gateway_up = False
    world.device.settings.status_every_s = 10_000
    world.device.box._test_due = world.now
    world.until(lambda: world.look == "no_gateway", 110_000)


def test_resends_come_after_2_4_8_and_at_most_30_seconds() -> None:
    world = ready(World())
    world.gateway_up = False
    sent: list[int] = []
    take = world.take

    def watch(channel: str, payload: bytes) -> None:
        if channel == "alarm":
            sent.append(world.now)
        take(channel, payload)

    world.take = watch  # type: ignore[method-assign]
    world.press()
    world.run(100_000)
    gaps = [round((b - a) / 1000) for a, b in itertools.pairwise(sent)]
    assert gaps == [2, 4, 8, 16, 30, 30]


def test_a_receipt_for_what_was_never_sent_is_not_believed() -> None:
    world = ready(World())
    world.gateway_up = False
    world.press()
    boot = world.device.box.boot
    world.say("receipt", {"boot": boot, "p": 99, "t": 0})
    world.say("receipt", {"boot": boot + 1, "p": 99, "t": 0})
    world.say("receipt", {"boot": boot, "p": 0, "t": 0, "alarms": [{"seq": 9, "stage": "closed"}]})
    world.run(500)
    assert world.look == "sent"
    assert world.device.outbox.waiting() == 1


def test_what_the_gateway_misses_is_sent_at_once() -> None:
    world = ready(World())
    world.gateway_up = False
    world.press()
    world.run(7000)  # the next would go out after 14 s
    world.gateway_up = True
    world.say("receipt", {"boot": world.device.box.boot, "p": 0, "t": 0, "miss": {"p": [[1, 1]]}})
    world.until(lambda: world.look == "stored", 200)


def test_missed_statuses_are_repeated_or_given_up() -> None:
    world = ready(World())
    world.device.settings.status_every_s = 1
    world.device.status.hurry()
    world.run(15_000)
    boot = world.device.box.boot
    last = max(world.telemetry[boot])
    world.telemetry[boot] -= {1, last}
    world.say("receipt", {"boot": boot, "p": 0, "t": 0, "miss": {"t": [[1, 1], [last, last]]}})
    world.until(lambda: last in world.telemetry[boot])
    world.until(lambda: world.statuses[-1].get("lost") == [[boot, 1, 1]], 3000)
