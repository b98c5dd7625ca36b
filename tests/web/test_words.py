"""Does the page say everything in both languages, and nothing that it has no words for?"""

from __future__ import annotations

import re
from typing import get_args

from gateway.api.web import STATIC
from gateway.contradictions import Kind
from gateway.journal.base import FED_TYPES
from gateway.registry import Role
from protocols.commands import ACTIONS, CommandState
from protocols.duty import UnitState
from protocols.model import AlarmKind, DeviceKind, MediaReason, Stage

# A key, and its text in Chinese and English, as a JavaScript object has them.
ENTRY = re.compile(
    r'(?:"([\w.]+)"|\b(\w+)):\s*\[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\]'
)
CALL = re.compile(r'\bt\(\s*"([\w.]+)"')
CHINESE = re.compile(r"[\u3400-\u9fff]")


def known() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for path in sorted((STATIC / "words").glob("*.js")):
        text = path.read_text()
        entries = {m[1] or m[2]: (m[3], m[4]) for m in ENTRY.finditer(text)}
        assert len(entries) == len(re.findall(r":\s*\[", text)), f"{path.name}: not a pair"
        assert not entries.keys() & found.keys(), f"{path.name}: said elsewhere too"
        found |= entries
    return found


def test_every_word_is_there_in_both_languages() -> None:
    for key, (zh, en) in known().items():
        assert zh.strip(), key
        assert en.strip(), key
        assert key == "language" or not CHINESE.search(en), key
        assert sorted(re.findall(r"{\d}", zh)) == sorted(re.findall(r"{\d}", en)), key


def test_every_word_that_is_asked_for_is_there() -> None:
    words = known()
    for path in sorted(STATIC.rglob("*.js")):
        asked = set(CALL.findall(path.read_text()))
        assert not asked - words.keys(), path


def test_no_chinese_stands_outside_the_words() -> None:
    for path in sorted(STATIC.rglob("*.js")):
        if path.parent.name != "words" and path.name != "i18n.js":
            assert not CHINESE.search(path.read_text()), path


def test_the_field_s_own_words_are_there() -> None:
    words = known()
    groups = {
        "kind": get_args(AlarmKind),
        "stage": list(Stage),
        "device": get_args(DeviceKind),
        "duty": list(UnitState),
        "presence": ("online", "stale", "offline"),
        "type": [kind.feed_name for kind in FED_TYPES],
        "act": list(ACTIONS),
        "state": [*CommandState, "step"],
        "role": list(Role),
        "contradiction": [*Kind, "begun", "ended"],
        "reason": get_args(MediaReason),
    }
    for group, names in groups.items():
        for name in names:
            assert f"{group}.{name}" in words
