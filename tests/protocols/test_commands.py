"""Commands: where a life cycle may go and where not; arguments that are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.commands import ACTIONS, NEXT, OPEN, CommandState, Instruct, Live, args_of
from protocols.errors import FieldInvalid

STEP = {"zh": "疏散", "en": "Evacuate"}


def reachable(start: CommandState) -> set[CommandState]:
    found, to_see = set[CommandState](), [start]
    while to_see:
        new = NEXT[to_see.pop()] - found
        found |= new
        to_see += new
    return found


def test_every_state_is_reached_and_none_is_reached_twice() -> None:
    assert set(NEXT) == set(CommandState)
    assert reachable(CommandState.CREATED) == set(CommandState) - {CommandState.CREATED}
    assert not [state for state in CommandState if state in reachable(state)]


def test_what_the_device_says_ends_a_command_for_good() -> None:
    for end in (CommandState.DONE, CommandState.REFUSED, CommandState.FAILED):
        assert NEXT[end] == frozenset()
        assert end not in OPEN


def test_a_late_answer_counts_against_the_gateways_own_word() -> None:
    assert CommandState.DONE in NEXT[CommandState.EXPIRED]
    assert CommandState.DONE in NEXT[CommandState.CANCELLED]


def test_arguments_are_read() -> None:
    args = args_of("instruct", {"incident": "i-7", "kind": "theft", "lat": 24.5, "lon": 117.6})
    assert args == Instruct(incident="i-7", kind="theft", lat=24.5, lon=117.6)
    assert args_of("live", {}) == Live(seconds=30, fps=5.0)
    assert args_of("config", {"status_every_s": 30}) == {"status_every_s": 30}


@pytest.mark.parametrize(
    ("act", "args", "field", "value"),
    [
        ("shoot", {}, "act", "shoot"),
        ("live", {"seconds": 0}, "args.seconds", 0),
        ("live", {"fps": "fast"}, "args.fps", "fast"),
        ("text", {}, "args.text", None),
        ("text", {"text": "x", "colour": "red"}, "args.colour", "red"),
        ("instruct", {"incident": "i", "kind": "theft", "lat": 91}, "args.lat", 91),
        ("instruct", {"incident": "", "kind": "theft"}, "args.incident", ""),
        ("instruct", {"incident": "i", "kind": "theft", "lat": 24.5}, "args.lon", None),
        ("instruct", {"incident": "i", "kind": "theft", "lon": 117.6}, "args.lat", None),
        (
            "checklist",
            {"id": "x", "title": STEP, "steps": [STEP, {"zh": 1, "en": ""}]},
            "args.steps.1.zh",
            1,
        ),
    ],
)
def test_a_wrong_argument_is_named(act: str, args: dict[str, Any], field: str, value: Any) -> None:
    with pytest.raises(FieldInvalid) as refused:
        args_of(act, args)
    assert (refused.value.field, refused.value.value) == (field, value)


def test_every_action_of_the_contract_is_known() -> None:
    wanted = {"snapshot", "live", "locate", "instruct", "checklist", "text", "config"}
    assert {*wanted, "identify", "ring_back"} <= set(ACTIONS)
