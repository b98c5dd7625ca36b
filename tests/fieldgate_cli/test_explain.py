"""`fieldgate explain`: what captured bytes mean, or exactly why they are refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from typer.testing import CliRunner

from fieldgate.cli import app
from gateway.explained import Verdict
from gateway.explanation import explain as explain_bytes
from protocols import model
from protocols.meanings import MEANINGS

T = 1_790_000_000_000
NUMBERED = {"boot": 3, "seq": 7, "t": T}


def run(*arguments: str, status: int, stdin: bytes | None = None) -> str:
    result = CliRunner().invoke(app, ["explain", *arguments], input=stdin)
    assert result.exit_code == status, result.output
    return result.output


def explain(channel: str, keys: object, *, status: int = 0) -> dict[str, Any]:
    payload = msgpack.packb(keys).hex()
    answer: dict[str, Any] = json.loads(
        run(f"field/v1/box-1/{channel}", payload, "--json", status=status)
    )
    assert answer["accepted"] == (status == 0)
    return answer


def test_every_key_of_the_contract_has_its_meaning() -> None:
    structs = {
        kind
        for kind in vars(model).values()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind.__struct_fields__
    } - {Struct, model.Message}
    assert {kind: set(keys) for kind, keys in MEANINGS.items()} == {
        kind: set(kind.__struct_fields__) for kind in structs
    }


def test_an_accepted_alarm_is_shown_field_by_field() -> None:
    pos = {"lat": 24.5, "lon": 117.6, "fix": 3, "brand": "x"}
    answer = explain("up/alarm", {**NUMBERED, "kind": "panic", "pos": pos, "new": 1})
    assert (answer["device"], answer["channel"], answer["lane"]) == ("box-1", "alarm", "p")
    (message,) = answer["messages"]
    assert (message["id"], message["verdict"]) == ("box-1:3:p:7", "accepted")
    assert message["ignored"] == ["pos.brand", "new"]
    fields = {field["name"]: field for field in message["fields"]}
    assert fields["pos.lat"]["value"] == 24.5
    assert fields["pos.lat"]["unit"] == "deg"
    assert "2026-09-21T14:13:20.000Z" in fields["t"]["shown"]
    assert all(field["meaning"] for field in message["fields"])
    assert "raises alarm box-1:3:p:7" in message["effect"]


def test_an_addition_names_the_alarm_that_it_adds_to() -> None:
    (message,) = explain("up/alarm", {**NUMBERED, "kind": "panic", "of": 5})["messages"]
    assert "adds to alarm box-1:3:p:5" in message["effect"]


def test_a_salvaged_alarm_says_what_is_left_out_and_its_flags() -> None:
    keys = {**NUMBERED, "t": 0, "kind": "panic", "zone": 5, "pos": {"lat": 95, "lon": 1, "fix": 3}}
    (message,) = explain("up/alarm", keys)["messages"]
    assert message["verdict"] == "salvaged"
    assert set(message["flags"]) == {"clock_unset", "zone_invalid", "position_invalid"}
    wrong = {problem["field"]: problem["value"] for problem in message["problems"]}
    assert wrong == {"zone": 5, "pos.lat": 95}


def test_a_reply_with_a_detail_that_is_none_is_taken_without_it() -> None:
    (message,) = explain("up/reply", {**NUMBERED, "cmd": "c", "state": "done", "detail": 5})[
        "messages"
    ]
    assert (message["verdict"], message["flags"]) == ("salvaged", ["detail_invalid"])
    assert [problem["field"] for problem in message["problems"]] == ["detail"]


def test_an_unreadable_alarm_is_an_alarm_all_the_same() -> None:
    answer = json.loads(run("field/v1/box-1/up/alarm", "c1", "--json", status=1))
    (message,) = answer["messages"]
    assert message["verdict"] == "unreadable"
    assert message["problems"][0]["reason"] == "malformed"
    assert "alarm of kind unreadable is raised" in message["effect"]


def test_a_refused_status_names_each_field_its_value_and_the_reason() -> None:
    answer = explain("up/status", {"boot": 3, "seq": 7, "batt": 140, "net": "6g"}, status=1)
    (message,) = answer["messages"]
    assert [(p["field"], p["value"]) for p in message["problems"]] == [
        ("batt", 140),
        ("net", "6g"),
        ("t", None),
    ]
    assert {p["reason"] for p in message["problems"]} == {"field_invalid"}
    assert "its number is used up" in message["effect"]


def test_one_bad_fix_stands_among_good_ones() -> None:
    fix = {**NUMBERED, "lat": 24.5, "lon": 117.6, "fix": 3}
    answer = explain("up/pos", [fix, {**fix, "seq": 8, "lon": 500}], status=1)
    assert [m["verdict"] for m in answer["messages"]] == ["accepted", "refused"]
    assert [m["id"] for m in answer["messages"]] == ["box-1:3:t:7", "box-1:3:t:8"]


def test_a_chunk_that_contradicts_itself_is_refused() -> None:
    chunk = {"id": "0" * 64, "mime": "image/jpeg", "size": 3, "n": 2, "of": 1, "data": b"abc"}
    (message,) = explain("up/media", {**NUMBERED, **chunk}, status=1)["messages"]
    assert (message["problems"][0]["reason"], message["problems"][0]["field"]) == (
        "media_invalid",
        "n",
    )


def test_receipts_commands_and_configurations_are_explained_too() -> None:
    stage = {"seq": 7, "stage": "accepted", "t": T, "by": "desk 3"}
    receipt = {"boot": 3, "p": 7, "t": 90, "miss": {"t": [[4, 5]]}, "alarms": [stage]}
    (message,) = explain("dn/receipt", receipt)["messages"]
    assert "alarms[0].stage" in {field["name"] for field in message["fields"]}
    explain("dn/cmd", {"id": "c1", "act": "snapshot", "t": T, "exp": T + 1000})
    explain("dn/cmd", {"id": "c1", "act": "snapshot", "t": T}, status=1)
    explain("dn/config", {"version": 4})


def test_bytes_come_as_hex_base64_json_file_or_standard_input(tmp_path: Path) -> None:
    topic, raw = "field/v1/car-1/up/presence", msgpack.packb({"online": True, "boot": 1})
    spaced, coded = raw.hex(" "), base64.b64encode(raw).decode()
    (tmp_path / "captured").write_bytes(raw)
    answers = {
        run(topic, spaced, "--json", status=0),
        run(topic, coded, "--base64", "--json", status=0),
        run(topic, "--file", str(tmp_path / "captured"), "--json", status=0),
        run(topic, "-", "--json", status=0, stdin=raw),
        run(topic, "-", "--hex", "--json", status=0, stdin=spaced.encode() + b"\n"),
    }
    assert len(answers) == 1
    as_json = run(topic, '{"online": true, "boot": 1}', "--json", status=0)
    assert json.loads(as_json)["form"] == "JSON"


@pytest.mark.parametrize("arguments", [("zz",), ("abc", "--base64"), (), ("00", "--file", "x")])
def test_bytes_that_cannot_be_had_are_a_wrong_use_of_the_command(arguments: tuple[str]) -> None:
    run("field/v1/car-1/up/pos", *arguments, status=2)


def test_a_topic_of_no_contract_is_refused() -> None:
    assert "topic_invalid" in run("field/v2/car-1/up/pos", "80", status=1)


def test_a_person_gets_a_table() -> None:
    output = run("field/v1/box-1/up/alarm", '{"boot":1,"seq":2,"t":0,"kind":"fire"}', status=0)
    assert "box-1:1:p:2" in output
    assert "clock_unset" in output


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["up/alarm", "up/pos", "up/media", "up/presence", "dn/receipt", "dn/config"]),
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**64 - 1) | st.binary(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["boot", "seq", "t", "pos", "kind", "of", "alarms", "miss", "x"]),
                inner,
            )
            | st.lists(inner, max_size=3)
        ),
        max_leaves=8,
    ).map(msgpack.packb),
)
def test_any_bytes_have_an_explanation(channel: str, payload: bytes) -> None:
    found = explain_bytes(f"field/v1/box-1/{channel}", payload, "field")
    for message in found.messages:
        is_good = message.verdict in (Verdict.ACCEPTED, Verdict.SALVAGED)
        assert is_good or message.problems
