"""What does the box do and show, from the press to the close, in a world that fails?"""

from __future__ import annotations

import itertools

import pytest

from firmware_stubs.alarm_box import hal
from tests.firmware.world import World


def ready(world: World) -> World:
    """A world whose box is connected and at rest."""
    world.until(lambda: world.statuses and world.look == "ready")
    world.run(500)
    return world


def looks(world: World, since: int) -> list[str]:
    return [look for at, look in world.looks if at >= since]


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
