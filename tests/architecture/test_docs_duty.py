"""Does docs/duty.md say what the tables of the code say?"""

from __future__ import annotations

import re

from gateway.unit import ContradictionKind
from protocols.duty import BRINGS
from tests.architecture.test_docs import first_column, section


def test_every_key_has_its_state() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section("duty.md", "## States"), re.M)
    assert dict(rows) == {act: state.value for act, state in BRINGS.items()}


def test_every_contradiction_has_its_row() -> None:
    assert first_column(section("duty.md", "## Contradictions")) == {"kind", *ContradictionKind}
