"""Is docs/asyncapi.yaml what the code speaks: channels, payloads, and the events of a real day?"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
import yaml

from gateway.config import Settings
from gateway.contradictions import SILENT_MS
from gateway.darkroom import Darkroom
from gateway.duty import instructed
from gateway.feeds.envelope import envelope
from gateway.journal.base import FED_TYPES
from gateway.reserve import Room
from gateway.unit import Instruction
from gateway.watch import Watch
from protocols.cloudevents import event_type, to_json
from protocols.model import Command, Receipt, Stage
from protocols.native import topics
from protocols.native.codec import TYPES
from tests.gateway.house import NOW, house

HOUSE = Path(__file__).parents[2]
PAGE = HOUSE / "docs" / "asyncapi.yaml"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(PAGE.read_text())
    return found


def without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {
            k: without(v, name) for k, v in value.items() if not (k == name and isinstance(v, str))
        }
    return [without(each, name) for each in value] if isinstance(value, list) else value


def referred(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*(referred(each) for each in value.values()))
    return set().union(*(referred(each) for each in value)) if isinstance(value, list) else set()


def test_the_page_is_the_one_that_the_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/asyncapi.py"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert made.stdout == PAGE.read_text(), "make it anew: see scripts/asyncapi.py"


def test_it_has_every_channel_and_no_other(page: dict[str, Any]) -> None:
    addresses = {channel["address"] for channel in page["channels"].values()}
    expected = {topics.up("field", "{device}", channel) for channel in topics.Up}
    expected |= {topics.down("field", "{device}", channel) for channel in topics.Down}
    expected |= {f"/api/v1/{each}" for each in ("events/stream", "events/socket", "map/stream")}
    assert addresses == expected | {"/api/v1/devices/{device}/live"}
    used = {each["channel"]["$ref"].rpartition("/")[2] for each in page["operations"].values()}
    assert used == set(page["channels"])


@pytest.mark.parametrize(
    "kind", [*TYPES.values(), Receipt, Command], ids=lambda kind: kind.__name__
)
def test_each_payload_has_the_keys_and_ranges_of_the_model(page: dict[str, Any], kind: Any) -> None:
    _, components = msgspec.json.schema_components(
        [kind],
        schema_hook=lambda _: {"description": ""},
        ref_template="#/components/schemas/{name}",
    )
    for name, schema in components.items():
        published = page["components"]["schemas"][name]
        plain = without(without(schema, "pattern"), "description")
        assert without(without(published, "pattern"), "description") == msgspec.to_builtins(plain)


def test_every_key_is_described(page: dict[str, Any]) -> None:
    for kind in [*TYPES.values(), Receipt, Command]:
        for name, schema in page["components"]["schemas"][kind.__name__]["properties"].items():
            assert schema.get("description"), f"{kind.__name__}.{name}"


def test_it_has_every_type_of_event(page: dict[str, Any]) -> None:
    messages = page["components"]["messages"]
    types = {
        messages[name]["payload"]["allOf"][1]["properties"]["type"]["const"]
        for name in page["channels"]["events"]["messages"]
    }
    assert types == {event_type(kind.feed_name) for kind in FED_TYPES}


def test_every_reference_leads_somewhere(page: dict[str, Any]) -> None:
    for reference in referred(page):
        found: Any = page
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


async def test_the_events_of_a_day_are_as_described(page: dict[str, Any], tmp_path: Path) -> None:
    lane = {"boot": 1, "t": NOW - 500}
    picture = b"not really a picture"
    chunk = {
        "id": hashlib.sha256(picture).hexdigest(),
        "mime": "image/jpeg",
        "size": len(picture),
        "n": 0,
        "of": 1,
        "data": base64.b64encode(picture).decode(),
    }
    pos = {"lat": 24.5, "lon": 117.6, "fix": 3}
    async with house(tmp_path) as gate:

        async def take(channel: str, **keys: Any) -> None:
            payload = json.dumps({**lane, **keys}).encode()
            await gate.priority.take(gate.arrival(channel, payload))

        await gate.alarm(seq=1, pos=pos)
        await gate.alarm(seq=2, count=3, of=1)
        await gate.alarm(seq=3, pos={"lat": 95, "lon": float("nan")}, device="box-1")
        await gate.alarm(seq=4, kind=7, t="noon", device="box-1")
        await gate.alarm(b"\xc1")
        await take("duty", seq=5, act="on_duty", crew=["007"])
        await take("duty", seq=7, act="on_scene", ref="110-7", t=NOW)
        await take("reply", seq=6, cmd="c1", state="done")
        await take("presence", online=True, kind="vehicle_terminal", caps=["camera"])
        await gate.telemetry_of("pos", {**lane, "seq": 1, **pos, "alt": float("nan")})
        await gate.telemetry_of("pos", {**lane, "seq": 3, "t": NOW, **pos})
        await gate.telemetry_of("status", {**lane, "seq": 2, "batt": 80, "lost": [[1, 3, 4]]})
        await gate.telemetry_of("media", {**lane, "seq": 5, **chunk})
        await gate.commands.send("car-1", "identify", {}, by="desk 3", command_id="c2")
        await gate.commands.cancel("c2")
        await gate.alarms.advance("car-1:1:p:1", Stage.ACCEPTED, by="desk 3", note="noted")
        unit = gate.units.newest("car-1")
        sent = Instruction(incident="110-7", command="c2", t=NOW - 9000, lat=24.5, lon=117.6)
        await gate.units.keep(unit, instructed(unit, sent), [])
        watch = Watch(gate.units, gate.twins, now_ms=lambda: gate.now)
        await watch.look("car-1")
        gate.now += SILENT_MS + 1
        await watch.look("car-1")
        darkroom = Darkroom(
            settings=Settings(),
            store=gate.journal.pictures,
            shelf=gate.journal.shelf,
            journal=gate.journal,
            room=Room(tmp_path, reserve_bytes=1 << 16),
            metrics=gate.metrics,
            open_alarms=gate.alarms.open,
            now_ms=lambda: NOW,
        )
        joining = asyncio.create_task(darkroom.media.run())
        await gate.journal.wait_beyond(gate.journal.last_cursor)
        await darkroom.custody.hold("alarm", "car-1:1:p:1", by="Li", note="a trial")
        joining.cancel()
        await asyncio.wait([joining])
        events = [envelope(event) for event in await gate.events()]

    by_type = {
        message["payload"]["allOf"][1]["properties"]["type"]["const"]: message["payload"]
        for name, message in page["components"]["messages"].items()
        if name.startswith("event-")
    }
    for event in events:
        schema = {**by_type[event.type], "components": page["components"]}
        jsonschema.Draft202012Validator(schema).validate(msgspec.json.decode(to_json(event)))
    seen = {event.type for event in events}
    assert seen == by_type.keys()
