"""Times as people read them: what no calendar has is shown as it is."""

from __future__ import annotations

import pytest

from fieldgate.cli.times import TIME, shown


@pytest.mark.parametrize("millis", [2**55, -(2**55), 2**62])
def test_a_time_that_no_calendar_has_is_a_number(millis: int) -> None:
    assert shown(millis) == f"{millis} ms"


def test_a_time_is_told_as_exactly_as_asked_for() -> None:
    assert shown(None) == ""
    assert shown(1_795_356_373_740, to_the_ms=True) == shown(1_795_356_373_740) + ".740"
    assert shown(1_795_356_373_740).endswith(" " + shown(1_795_356_373_740, TIME))
