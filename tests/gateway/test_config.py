"""Settings: what overrides what, and what is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config import ConfigError, load

HOOK = '[[webhooks]]\nurl = "http://127.0.0.1:9/{}"\nsecret = "whsec_c2VjcmV0"\n'


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('data = "a"\nhttp = "127.0.0.1:1"\nprefix = "x"\n')
    environment = {"FIELDGATE_DATA": "b", "FIELDGATE_HTTP": "127.0.0.1:2"}
    settings = load(path, {"data": "c", "http": None}, environment)
    assert (settings.data, settings.http, settings.prefix) == ("c", "127.0.0.1:2", "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('htpp = "x"', "htpp"),
        ('http = "8110"', "http: expected HOST:PORT, got '8110'"),
        ('mqtt = "host:99999"', "mqtt: expected HOST:PORT"),
        ("stale_after_s = -1", "stale_after_s"),
        ('prefix = "a/b"', "prefix"),
        ('[[webhooks]]\nurl = "ftp://x"\nsecret = "whsec_"', "webhooks"),
        (HOOK.format("a") + HOOK.format("a"), "webhooks: 2 have the name or URL"),
        ("data = [", "gateway.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(path, {}, {})


def test_two_receivers_without_names_have_cursors_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(HOOK.format("a") + HOOK.format("b"))
    first, second = load(path, {}, {}).webhooks
    assert first.cursor_name != second.cursor_name
