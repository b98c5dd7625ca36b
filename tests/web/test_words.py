"""Does the page say everything in both languages, and nothing that it has no words for?"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import msgpack
import pytest

import fieldgate.cli
import gateway.darkroom
import gateway.health
from gateway.api.web import STATIC
from gateway.explanation import explain
from gateway.journal.base import FED_TYPES
from gateway.registry import Role
from gateway.unit import ContradictionKind
from protocols.commands import ACTIONS, CommandState
from protocols.duty import UnitState
from protocols.meanings import MEANINGS
from protocols.model import AlarmKind, DeviceKind, MediaReason, Stage
from protocols.native.topics import Down, Up
from tests.gateway.house import fix, house

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
        "contradiction": [*ContradictionKind, "begun", "ended"],
        "reason": get_args(MediaReason),
    }
    for group, names in groups.items():
        for name in names:
            assert f"{group}.{name}" in words


def test_every_act_of_the_audit_log_is_listed_and_has_a_word() -> None:
    page = (STATIC / "pages" / "audit.js").read_text()
    [listed] = re.findall(r"const ACTS = \[(.*?)\];", page, re.DOTALL)
    acts = set(re.findall(r'"([\w.]+)"', listed))
    assert acts == {word.removeprefix("did.") for word in known() if word.startswith("did.")}
    written = {
        act
        for folder in (STATIC.parent.parent / "api", Path(fieldgate.cli.__file__).parent)
        for path in folder.glob("*.py")
        for act in re.findall(r'(?:\bact=|"act": |note\(data, )"(\w+\.\w+)"', path.read_text())
    }
    assert written <= acts


SAID = re.compile(r'^  "((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)


def said() -> list[tuple[re.Pattern[str], str]]:
    text = (STATIC / "words" / "contract.js").read_text()
    pairs = SAID.findall(text)
    assert len(pairs) == sum(line.startswith('  "') for line in text.splitlines())
    forms = []
    for english, chinese in pairs:
        assert CHINESE.search(chinese), english
        assert len(re.findall(r"{\d?}", chinese)) == english.count("{}"), english
        forms.append((re.compile("(.+?)".join(map(re.escape, english.split("{}")))), english))
    return forms


def is_said(text: str) -> bool:
    forms = said()
    parts = [text] if any(form.fullmatch(text) for form, _ in forms) else text.split("; ")
    return all(any(form.fullmatch(part) for form, _ in forms) for part in parts)


def test_what_a_message_means_is_said_in_chinese_too() -> None:
    meanings = {key.meaning for keys in MEANINGS.values() for key in keys.values()}
    assert not [meaning for meaning in meanings if not is_said(meaning)]


@pytest.mark.parametrize("channel", [*Up, *Down])
def test_what_becomes_of_a_message_is_said_in_chinese_too(channel: Up | Down) -> None:
    direction = "up" if channel in list(Up) else "dn"
    numbered: dict[str, Any] = {"boot": 1, "seq": 1, "t": 1}
    bodies: dict[str, dict[str, Any]] = {
        Up.ALARM: {"kind": "panic"},
        Up.DUTY: {"act": "on_duty"},
        Up.REPLY: {"cmd": "c", "state": "done"},
        Up.POS: {"lat": 24.5, "lon": 117.6, "fix": 3},
        Up.PRESENCE: {"online": True},
        Up.MEDIA: {"id": "0" * 64, "mime": "a/b", "size": 9, "n": 3, "of": 2, "data": b""},
        Down.RECEIPT: {"p": 1, "t": 1},
    }
    whole = bodies.get(channel, {})
    wrong: dict[str, Any] = {
        "lat": "north",
        "fix": 9,
        "kind": 7,
        "act": "x",
        "online": 3,
        "lon": 999.0,
    }
    told = []
    for payload in (
        b"\xc1",
        b"{",
        msgpack.packb([1]),
        msgpack.packb({}),
        msgpack.packb(numbered | whole),
        msgpack.packb(numbered | whole | wrong),
        msgpack.packb(numbered | whole | {"of": 1, "ref": 5, "batt": 200, "detail": 5}),
        msgpack.packb(whole | {"seq": -1, "boot": "x"}),
        msgpack.packb({"fixes": [[[[[[[[[[[1]]]]]]]]]]]}),
        msgpack.packb({"text": "x" * 70_000}),
    ):
        for reading in explain(f"field/v1/car-1/{direction}/{channel}", payload, "field").messages:
            told += [reading.effect, *(problem.detail for problem in reading.problems)]
    assert not {text for text in told if not is_said(text)}


@pytest.mark.parametrize("topic", ["x", "field/v1/a", "field/v1/+/up/pos", "field/v1/a/up/x"])
def test_what_is_wrong_with_a_topic_is_said_in_chinese_too(topic: str) -> None:
    [reading] = explain(topic, b"", "field").messages
    assert is_said(reading.problems[0].detail)
    assert is_said(reading.effect)


async def test_what_stands_in_quarantine_and_keeps_alarms_out_is_said_in_chinese_too(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate:
        await gate.alarm(kind=7, pos=5)
        await gate.alarm(b"\xc1")
        await gate.duty("on_duty", seq=2, pos=5)
        await gate.telemetry_of("pos", b"\xc1", fix(1, lat="north"))
        found = await gate.journal.quarantine(2**53, 10)
    assert len(found) == 5
    assert not [item.detail for item in found if not is_said(item.detail)]
    source = inspect.getsource(gateway.health) + inspect.getsource(gateway.darkroom)
    told = re.findall(r'"(the [^"\n]{12,})"', source)
    assert len(told) > 5
    assert not [text for text in told if not is_said(text)]
