"""Which checklists the gateway has: its own, and what the operator puts beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.checklists import SUPPLIED, load
from gateway.config import ConfigError

OWN = 'title = { zh = "电梯困人", en = "Stuck lift" }\n[[steps]]\nzh = "安抚"\nen = "Calm them"\n'


def test_the_supplied_ones_are_found_in_the_package() -> None:
    checklists = load(None)
    assert {"theft", "fire", "knife"} <= set(checklists)
    assert SUPPLIED.is_relative_to(Path(load.__code__.co_filename).parent)


def test_the_operators_own_stand_beside_ours_and_before_them(tmp_path: Path) -> None:
    (tmp_path / "lift.toml").write_text(OWN)
    (tmp_path / "theft.toml").write_text(OWN)
    checklists = load(tmp_path)
    assert checklists["lift"].title.en == checklists["theft"].title.en == "Stuck lift"
    assert checklists["fire"].title.zh == "火灾"


def test_a_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "lift.toml").write_text(OWN.replace("zh", "zn"))
    with pytest.raises(ConfigError, match=r"lift\.toml: .*zh"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        load(tmp_path / "nowhere")
