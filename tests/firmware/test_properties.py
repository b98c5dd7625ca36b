"""Whatever the network, the gateway's answers and the power do: does each press arrive, once?"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_stubs.alarm_box import hal
from tests.firmware.flash import PowerCut
from tests.firmware.world import World

pytestmark = pytest.mark.slow

EVENTS = st.one_of(
    st.tuples(st.just("press"), st.sampled_from([hal.PANIC, hal.DURESS])),
    st.tuples(st.just("key"), st.just(0)),
    st.tuples(st.just("run"), st.integers(1, 8000)),
    st.tuples(st.just("cut"), st.just(0)),
    st.tuples(st.just("cut while writing"), st.integers(0, 200)),
    st.tuples(st.just("broker"), st.booleans()),
    st.tuples(st.just("gateway"), st.booleans()),
    st.tuples(st.just("silent"), st.integers(0, 3)),
    st.tuples(st.just("reset"), st.just(0)),
    st.tuples(st.just("close"), st.just(0)),
)


@given(
    seed=st.integers(0, 2**32),
    events=st.lists(EVENTS, max_size=25),
    drops=st.sampled_from([0.0, 0.3, 0.7]),
    repeats=st.sampled_from([0.0, 0.5]),
    delay_ms=st.sampled_from([0, 300, 4000]),
    short_writes=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_press_that_was_lit_arrives_and_none_is_made_up(  # noqa: PLR0912, PLR0917  a story
    seed: int,
    events: list[tuple[str, int]],
    drops: float,
    repeats: float,
    delay_ms: int,
    short_writes: float,
) -> None:
    world = World(seed)
    world.drops, world.repeats, world.delay_ms = drops, repeats, (0, delay_ms)
    world.short_writes = short_writes
    world.run(500)
    raised: set[tuple[int, int]] = set()  # the alarms that the box had kept
    begun = 0

    def watch() -> None:
        """Note each alarm that the box has in its journal, and that no light claims too much."""
        box = world.device.box
        for alarm in (box.panic, box.duress):
            if alarm.seq and alarm.boot == box.boot:
                raised.add((alarm.boot, alarm.seq))
        if world.look in ("stored", "accepted", "acknowledged", "closed"):
            assert (box.panic.boot, box.panic.seq) in world.alarms

    step = world.step

    def watched_step() -> None:
        step()
        watch()

    world.step = watched_step  # type: ignore[method-assign]
    for what, value in events:
        try:
            match what:
                case "press":
                    begun += 1
                    world.press(value)
                case "key":
                    world.press(hal.KEY)
                case "run":
                    world.run(value)
                case "cut":
                    world.power_cut()
                case "cut while writing":
                    world.chip.budget = value
                case "broker":
                    world.broker_up = bool(value)
                case "gateway":
                    world.gateway_up = bool(value)
                case "silent":
                    world.silent = [bool(value & 1), bool(value & 2)]
                case "reset":
                    for sock in world.socks:
                        sock.open = False
                case "close":
                    for key in list(world.alarms):
                        world.stage(key, "closed")
        except PowerCut:
            world.power_cut()
    world.chip.budget = None
    world.broker_up = world.gateway_up = True
    world.silent = [False, False]
    world.drops = 0.0
    world.until(lambda: world.device.uplink.is_up() and not world.device.outbox.waiting(), 120_000)
    world.run(10_000)
    arrived = {(keys["boot"], keys["seq"]) for keys in world.raised()}
    assert raised <= arrived
    assert len(arrived) <= begun + len(raised)
    for copies in world.copies.values():
        assert len(set(copies)) == 1  # the same number never says two things
    assert not world.faults
