"""Terminals of other makers, which know only the contract, against the whole gateway."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import urllib.error
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgpack
import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from gateway.app import admin_token
from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, real time


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path / "data") as gateway:
        yield gateway


async def added(gateway: Gateway, device: str, *options: str) -> str:
    """The password of a device that is registered while the gateway runs."""
    answer = await gateway.command(
        "device", "add", device, *(options or ("--kind", "vehicle_terminal"))
    )
    assert answer["user"] == device
    password: str = answer["password"]
    return password


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
async def test_a_press_is_stored_fed_accepted_and_the_box_is_told(
    gateway: Gateway, version: MQTTProtocolVersion, as_json: bool
) -> None:
    password = await added(
        gateway, "box-1", "--kind", "alarm_box", "--lat", "24.5", "--lon", "117.6"
    )
    async with Terminal(
        gateway.mqtt_port, "box-1", password, version=version, as_json=as_json
    ) as box:
        now = int(time.time() * 1000)
        box.send("alarm", {"boot": 7, "seq": 1, "t": now, "kind": "panic"})
        receipt = await box.receipt(boot=7, p=1)
        assert [(a["seq"], a["stage"]) for a in receipt["alarms"]] == [(1, "stored")]
        (event,) = await gateway.wait_for(1, "alarm.raised")
        assert (event["id"], event["subject"]) == ("box-1:7:p:1", "box-1")
        assert event["data"]["pos"]["lat"] == 24.5
        assert abs(event["data"]["clock_offset_ms"]) < 5000
        await gateway.post("/api/v1/alarms/box-1:7:p:1/accept", by="Li", note="car 3 sent")
        receipt = await box.receipt(boot=7)
        assert [(a["seq"], a["stage"], a["by"]) for a in receipt["alarms"]] == [
            (1, "accepted", "Li")
        ]
        (stage,) = await gateway.events("alarm.stage")
        assert stage["data"]["alarm"] == "box-1:7:p:1"


async def test_what_is_wrong_with_an_alarm_never_stops_it(gateway: Gateway) -> None:
    async with Terminal(gateway.mqtt_port, "car-1", await gateway.add("car-1")) as car:
        alarm = {"boot": 1, "t": int(time.time() * 1000), "kind": "panic"}
        car.send("alarm", alarm | {"seq": 1, "pos": {"lat": float("nan"), "lon": 500, "fix": 3}})
        car.send("alarm", alarm | {"seq": 2, "t": 1000})
        car.send("alarm", alarm | {"seq": 3}, qos=0)
        car.send("alarm", b"\x00\xff not a message")
        car.send("alarm", b"\x00\xff not a message")
        car.send("alarm", alarm | {"seq": 4, "kind": "knife"})
        car.send("alarm", b"x" * 100_000)
        car.send("alarm", alarm | {"seq": 5, "unknown": [[[[[[[[[[1]]]]]]]]]]})
        raised = await gateway.wait_for(7, "alarm.raised")
        flags = {event["id"]: event["data"]["flags"] for event in raised}
        assert "position_invalid" in flags["car-1:1:p:1"]
        assert raised[0]["data"]["pos"]["lat"] is None
        assert "clock_skewed" in flags["car-1:1:p:2"]
        assert "qos0" in flags["car-1:1:p:3"]
        assert "kind_invalid" in flags["car-1:1:p:4"]
        assert sum(":unreadable:" in each for each in flags) == 2
        await car.receipt(boot=1, p=5)
        reasons = {
            each["reason"] for each in (await gateway.get("/api/v1/quarantine"))["quarantine"]
        }
        assert reasons >= {"malformed", "too_large", "field_invalid"}


async def test_repetitions_conflicts_and_gaps_end_as_the_contract_says(gateway: Gateway) -> None:
    async with Terminal(gateway.mqtt_port, "car-1", await gateway.add("car-1")) as car:
        alarm = {"boot": 1, "seq": 1, "t": int(time.time() * 1000), "kind": "panic"}
        for each in (alarm, alarm, alarm | {"text": "another body"}):
            car.send("alarm", each)
            await car.receipt(boot=1, p=1)
        sent_s = time.monotonic()
        car.send("alarm", alarm | {"seq": 4})
        receipt = await car.receipt(miss={"p": [[2, 3]]})
        assert time.monotonic() - sent_s >= 1, "they may be on their way"
        assert receipt["p"] == 1
        ledger = await gateway.get("/api/v1/ledger?device=car-1")
        (device,) = ledger["devices"]
        assert (device["duplicates"], device["conflicts"]) == (1, 1)
        assert len(await gateway.events("alarm.raised")) == 2
        shown = await gateway.get("/api/v1/alarms/car-1:1:p:1")
        assert "conflict" in json.dumps(shown)


async def test_a_track_and_a_picture_come_back_as_they_were_sent(gateway: Gateway) -> None:
    async with Terminal(gateway.mqtt_port, "car-1", await gateway.add("car-1")) as car:
        now = int(time.time() * 1000)
        fixes = [
            {
                "boot": 1,
                "seq": n,
                "t": now + n,
                "lat": 24.5 + n / 7e5,
                "lon": 117.6 - n / 3e5,
                "fix": 3,
            }
            for n in range(1, 101)
        ]
        car.send("pos", fixes[50:])
        car.send("pos", fixes[:50])
        picture = bytes(range(256)) * 64
        picture_id = hashlib.sha256(picture).hexdigest()
        keys = {
            "boot": 1,
            "t": now,
            "id": picture_id,
            "mime": "image/jpeg",
            "size": len(picture),
            "of": 2,
        }
        about = {"taken": now, "w": 64, "h": 64, "reason": "alarm"}
        car.send("media", keys | about | {"seq": 101, "n": 0, "data": picture[:8192]})
        car.send("media", keys | {"seq": 102, "n": 1, "data": picture[8192:]})
        await car.receipt(t=102)
        track = await gateway.get(
            f"/api/v1/devices/car-1/track?from={now}&to={now + 1000}&format=geojson"
        )
        points = [f for f in track["features"] if f["geometry"]["type"] == "Point"]
        assert [p["geometry"]["coordinates"][:2] for p in points] == [
            [fix["lon"], fix["lat"]] for fix in fixes
        ]
        (event,) = await gateway.wait_for(1, "media")
        assert (event["data"]["id"], event["data"]["complete"]) == (picture_id, True)
        headers = {"Authorization": f"Bearer {admin_token(gateway.folder)}"}
        async with (
            aiohttp.ClientSession(gateway.url, headers=headers) as session,
            session.get(f"/api/v1/media/{picture_id}") as answer,
        ):
            assert await answer.read() == picture


async def test_the_live_feed_resumes_where_it_was_left(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {admin_token(gateway.folder)}"}
    async with (
        Terminal(gateway.mqtt_port, "car-1", await gateway.add("car-1")) as car,
        aiohttp.ClientSession(gateway.url, headers=headers) as session,
    ):
        for seq in (1, 2, 3):
            car.send("alarm", {"boot": 1, "seq": seq, "t": 0, "kind": "panic"})
        first, *_ = await gateway.wait_for(3, "alarm.raised")
        seen = []
        async with session.get(
            "/api/v1/events/stream?types=alarm.raised",
            headers={"Last-Event-ID": first["sequence"]},
        ) as stream:
            async for line in stream.content:
                if line.startswith(b"data:"):
                    seen.append(json.loads(line[5:])["id"])
                if len(seen) == 2:
                    break
        assert seen == ["car-1:1:p:2", "car-1:1:p:3"]


async def test_nobody_speaks_for_another_or_reads_without_a_token(gateway: Gateway) -> None:
    async with Terminal(gateway.mqtt_port, "car-1", await gateway.add("car-1")) as car:
        car.device = "car-2"
        car.send("alarm", {"boot": 1, "seq": 1, "t": 0, "kind": "panic"})
        car.device = "car-1"
        car.send("alarm", {"boot": 1, "seq": 1, "t": 0, "kind": "panic"})
        (event,) = await gateway.wait_for(1, "alarm.raised")
        assert event["subject"] == "car-1"
    async with (
        aiohttp.ClientSession(gateway.url) as session,
        session.get("/api/v1/alarms") as answer,
    ):
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
    token = await gateway.command("token", "add", "--role", "viewer")
    headers = {"Authorization": f"Bearer {token['token']}"}
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as session,
        session.post("/api/v1/alarms/car-1:1:p:1/accept", json={}) as answer,
    ):
        assert answer.status == 403


async def test_a_revoked_device_is_out_at_once(gateway: Gateway) -> None:
    password = await gateway.add("car-1")
    async with Terminal(gateway.mqtt_port, "car-1", password):
        pass
    await gateway.command("device", "revoke", "car-1")
    terminal = Terminal(gateway.mqtt_port, "car-1", password)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(terminal.__aenter__(), 1.5)
    await terminal.__aexit__()


async def test_an_unknown_alarm_is_a_problem_that_names_it(gateway: Gateway) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        await gateway.post("/api/v1/alarms/car-9:1:p:1/accept", by="Li")
    problem = json.loads(error.value.read())
    assert (error.value.code, problem["status"]) == (404, 404)
    assert "car-9:1:p:1" in problem["detail"]


def test_a_message_of_another_author_is_what_we_think_it_is() -> None:
    """The codec of these tests is not ours: it must agree with the contract's example."""
    assert msgpack.packb({"boot": 1}) == b"\x81\xa4boot\x01"
