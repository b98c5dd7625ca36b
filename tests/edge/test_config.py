"""agent.toml: the example that is deployed, and errors that name field and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import load
from protocols.errors import FieldInvalid

DEPLOY = Path(__file__).parents[2] / "deploy"
LEAST = 'device = "a"\nkind = "phone"\nbroker.host = "h"\nspool.folder = "/s"\n'


def test_the_example_is_valid_and_so_is_all_that_it_comments_out(tmp_path: Path) -> None:
    text = (DEPLOY / "agent.toml").read_text()
    assert load(DEPLOY / "agent.toml").device == "car-017"
    settings = [line.removeprefix("# ") for line in text.splitlines()[2:]]
    place = [line for line in settings if not line.startswith(("[position]", "lat", "lon"))]
    (tmp_path / "agent.toml").write_text("\n".join(place))
    config = load(tmp_path / "agent.toml")
    assert config.camera is not None
    assert config.broker.tls is not None


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("broker.port = 70000", "broker.port", 70000),
        ("status.period_s = 0", "status.period_s", 0),
        ("camera.sauce = 1", "camera.sauce", 1),
        ("position = { lat = 91.0, lon = 0.0 }", "position.lat", 91.0),
        ("spool.max_bytes = 10", "spool.max_bytes", 10),
        ("control = {}", "control.socket", None),
    ],
)
def test_an_error_names_the_field_and_the_value(
    tmp_path: Path, line: str, field: str, value: object
) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(LEAST + line)
    with pytest.raises(FieldInvalid) as error:
        load(path)
    assert (error.value.field, error.value.value) == (field, value)


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(LEAST + "gps = {}\nposition = { lat = 1.0, lon = 2.0 }")
    with pytest.raises(FieldInvalid, match="position"):
        load(path)


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("device =")
    with pytest.raises(FieldInvalid, match="not TOML"):
        load(path)
