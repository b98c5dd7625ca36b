"""Latched buttons: one alarm however often it is pressed, and its count."""

from __future__ import annotations

from edge.button import MAX_LATCHED, TEST_LATCH_S, Button, Buttons
from edge.spool import Spooled
from protocols.native.topics import Up

PANIC = Button("panic")
UPDATE = Spooled(1, 1, 2, Up.ALARM)


def pressed(buttons: Buttons, button: Button, seq: int, now_s: float) -> bool:
    """Press; whether that raised an alarm."""
    if buttons.add(button, None, now_s) is not None:
        return False
    buttons.latch(button, seq, now_s)
    return True


def test_fifty_presses_a_second_are_one_alarm_told_at_most_once_a_second() -> None:
    buttons = Buttons()
    raised, told = 0, []
    for press in range(500):
        now_s = press / 50
        raised += pressed(buttons, PANIC, 1, now_s)
        for _, latched in buttons.untold(now_s):
            told.append((now_s, latched.count))
            latched.tell(UPDATE, now_s)
    assert raised == 1
    assert [now_s for now_s, _ in told] == [float(second) for second in range(1, 10)]
    [(_, last)] = buttons.untold(100)
    assert last.count == 500


def test_another_kind_and_another_zone_are_other_buttons() -> None:
    buttons = Buttons()
    assert pressed(buttons, PANIC, 1, 0)
    assert pressed(buttons, Button("fire"), 2, 0)
    assert pressed(buttons, Button("panic", "hall"), 3, 0)
    assert not pressed(buttons, Button("panic", "hall"), 4, 0)


def test_a_release_gives_the_count_that_is_still_to_be_told() -> None:
    buttons = Buttons()
    pressed(buttons, PANIC, 1, 0)
    pressed(buttons, PANIC, 1, 0)
    [(button, latched)] = buttons.release(seq=1)
    assert (button, latched.count) == (PANIC, 2)
    assert buttons.release() == []
    assert pressed(buttons, PANIC, 2, 0)


def test_a_self_test_lets_go_by_itself() -> None:
    buttons = Buttons()
    assert pressed(buttons, Button("test"), 1, 0)
    assert not pressed(buttons, Button("test"), 2, TEST_LATCH_S - 1)
    assert pressed(buttons, Button("test"), 2, TEST_LATCH_S)


def test_the_latched_buttons_are_bounded() -> None:
    buttons = Buttons()
    for zone in range(MAX_LATCHED + 1):
        pressed(buttons, Button("panic", str(zone)), zone + 1, 0)
    assert pressed(buttons, Button("panic", "0"), 99, 0)
    assert not pressed(buttons, Button("panic", str(MAX_LATCHED)), 99, 0)
