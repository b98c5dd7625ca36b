"""What counts as a press: 50 ms does, a bounce does not, and a blind loop misses none."""

from __future__ import annotations

import pytest

from firmware_stubs.alarm_box.button import SETTLE_MS, STUCK_MS, Button


def presses(levels: str, step_ms: int = 5) -> int:
    """How many presses a contact makes that is looked at every so often: # closed, . open."""
    button, found, was = Button(), 0, False
    for n, level in enumerate(levels):
        raw = level == "#"
        found += button.look(raw, raw and not was, False, n * step_ms)
        was = raw
    return found


@pytest.mark.parametrize(
    ("levels", "count"),
    [
        ("....", 0),
        (".##########....", 1),  # 50 ms
        ("..##....", 0),  # 10 ms: a spark
        (".#.#.##.##########..........", 1),  # bounces, then closes
        (".##########.#.#..........", 1),  # bounces as it opens
        ("##########", 1),  # closed from the start
        (".##########..........##########..........", 2),
        (".##########..##########..........", 1),  # open for 10 ms: not let go
        (".####################################", 1),  # held
        ("." + ("##########" + "." * 8) * 20, 20),  # hammered
    ],
)
def test_presses(levels: str, count: int) -> None:
    assert presses(levels) == count


def test_a_press_that_was_over_while_nobody_looked_counts() -> None:
    button = Button()
    assert not button.look(False, False, False, 0)
    assert button.look(False, True, True, 400)
    assert not button.look(False, False, False, 405)


def test_a_press_that_was_seen_to_begin_and_was_over_while_nobody_looked_counts() -> None:
    button = Button()
    assert not button.look(True, True, False, 0)
    assert button.look(False, False, False, 70)
    assert not button.look(False, False, False, 75)


def test_a_press_that_began_while_nobody_looked_counts_once() -> None:
    button = Button()
    assert button.look(True, True, True, 400)
    for ticks in range(405, 600, 5):
        assert not button.look(True, False, False, ticks)
    for ticks in range(600, 700, 5):
        assert not button.look(False, False, False, ticks)


def test_a_button_held_for_a_minute_is_stuck_until_it_opens() -> None:
    button = Button()
    for ticks in range(0, STUCK_MS + 200, 50):
        button.look(True, False, False, ticks)
    assert button.stuck
    for ticks in range(STUCK_MS + 200, STUCK_MS + 200 + 2 * SETTLE_MS, 10):
        button.look(False, False, False, ticks)
    assert not button.stuck
