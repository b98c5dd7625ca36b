"""Commands over HTTP: who may, what is wrong with an order, whom a target reaches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.api.commands import timeline
from gateway.journal.base import CommandRecord, CommandStep, Event, EventType, Tick
from gateway.registry import Device, Role
from protocols.commands import CommandState
from protocols.model import DutyReport, Fix
from tests.gateway.outward import NOW_MS, Outward, outward

LOCATE = {"act": "locate", "by": "Li"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        for number in range(1, 4):
            started.registry.add(Device(id=f"car-{number}", kind="vehicle_terminal"))
        started.registry.add(Device(id="box-1", kind="alarm_box"))
        yield started


async def post(
    gateway: Outward, path: str, body: Any, *, role: Role = Role.DISPATCHER, **how: Any
) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer."""
    content = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with gateway.request("POST", path, role=role, **content, **how) as response:
        return response.status, await response.json(content_type=None)


def place(gateway: Outward, device: str, lat: float, lon: float, *, age_ms: int = 0) -> None:
    fix = Fix(boot=1, seq=1, t=NOW_MS - age_ms, lat=lat, lon=lon, fix=3)
    gateway.twins.of(device).take_fix(fix, NOW_MS)


async def test_an_order_is_a_command_that_can_be_read(gateway: Outward) -> None:
    status, made = await post(gateway, "/api/v1/devices/car-1/commands", LOCATE)
    assert (status, made["state"], made["device"]) == (201, "created", "car-1")
    assert (made["t"], made["exp"]) == (NOW_MS, NOW_MS + 60_000)
    assert made["timeline"][0]["by"] == "Li"
    assert await gateway.get(f"/api/v1/commands/{made['id']}") == made
    for path in ("/api/v1/devices/car-1/commands", "/api/v1/commands?state=created,sent"):
        assert (await gateway.get(path))["commands"] == [made]
    assert (await gateway.get("/api/v1/devices/car-2/commands"))["commands"] == []


async def test_a_viewer_orders_nothing_and_calls_nothing_back(gateway: Outward) -> None:
    _, made = await post(gateway, "/api/v1/devices/car-1/commands", LOCATE)
    for path in ("devices/car-1/commands", "commands", f"commands/{made['id']}/cancel"):
        status, problem = await post(gateway, f"/api/v1/{path}", LOCATE, role=Role.VIEWER)
        assert (status, problem["needed"]) == (403, "dispatcher")


@pytest.mark.parametrize(
    ("body", "parameter", "value"),
    [
        ({}, "act", None),
        ({"act": 3}, "act", 3),
        ({"act": "dance"}, "act", "dance"),
        ({"act": "live", "args": {"fps": 9}}, "args.fps", 9),
        ({"act": "live", "args": {"second": 9}}, "args.second", 9),
        ({"act": "instruct", "args": {"incident": "i"}}, "args.kind", None),
        ({"act": "locate", "exp": 5}, "exp", 5),
        ({"act": "locate", "expires_s": 0}, "expires_s", 0.0),
        ({"act": "locate", "urgent": True}, "urgent", True),
        ({"act": "locate", "id": "a/b"}, "id", "a/b"),
        ({"act": "cancel", "args": {"id": "x"}}, "act", "cancel"),
    ],
)
async def test_what_is_wrong_is_named_with_its_value(
    gateway: Outward, body: dict[str, Any], parameter: str, value: Any
) -> None:
    status, problem = await post(gateway, "/api/v1/devices/car-1/commands", body)
    assert (status, problem["parameter"], problem["value"]) == (400, parameter, value)
    assert parameter in problem["detail"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b'{"act": "\\ud800"}'])
async def test_a_body_that_is_no_json_object_is_refused(gateway: Outward, body: bytes) -> None:
    status, problem = await post(gateway, "/api/v1/devices/car-1/commands", body)
    assert status == 400
    assert "body" in problem["detail"] or "act" in problem["detail"]


async def test_who_is_not_there_cannot_be_ordered(gateway: Outward) -> None:
    gateway.registry.revoke("car-2")
    for device in ("car-2", "car-9"):
        status, problem = await post(gateway, f"/api/v1/devices/{device}/commands", LOCATE)
        assert (status, problem["device"]) == (404, device)
    status, problem = await post(gateway, "/api/v1/commands/c9/cancel", {})
    assert (status, problem["command"]) == (404, "c9")


@pytest.mark.parametrize("in_header", [True, False])
async def test_the_same_request_again_is_the_same_command(
    gateway: Outward, in_header: bool
) -> None:
    how: dict[str, Any] = {"headers": {"Idempotency-Key": "k-1"}} if in_header else {}
    body = LOCATE if in_header else LOCATE | {"id": "k-1"}
    first = await post(gateway, "/api/v1/devices/car-1/commands", body, **how)
    assert first[1]["id"] == "k-1"
    assert await post(gateway, "/api/v1/devices/car-1/commands", body, **how) == first
    other = body | {"args": {"seconds": 5}}
    status, problem = await post(gateway, "/api/v1/devices/car-1/commands", other, **how)
    assert (status, problem["key" if in_header else "command"]) == (409, "k-1")


async def test_a_command_is_called_back_once(gateway: Outward) -> None:
    _, made = await post(gateway, "/api/v1/devices/car-1/commands", LOCATE)
    path = f"/api/v1/commands/{made['id']}"
    status, after = await post(gateway, f"{path}/cancel", {"by": "Wang"})
    assert (status, after["state"], after["timeline"][-1]["by"]) == (200, "cancelled", "Wang")
    assert await post(gateway, f"{path}/cancel", {"by": "Li"}) == (200, after)
    reply = {"boot": 1, "seq": 1, "t": NOW_MS, "cmd": made["id"], "state": "done"}
    event = Event(
        type=EventType.COMMAND, id="r", device="car-1", t=NOW_MS, received=NOW_MS, data=reply
    )
    await gateway.journal.commit(await gateway.commands.take(event))
    status, problem = await post(gateway, f"{path}/cancel", {})
    assert (status, problem["state"]) == (409, "done")


async def test_who_orders_without_a_name_has_that_of_the_token(gateway: Outward) -> None:
    _, made = await post(gateway, "/api/v1/devices/car-1/commands", {"act": "identify"})
    _, after = await post(gateway, f"/api/v1/commands/{made['id']}/cancel", {}, role=Role.ADMIN)
    assert [each["by"] for each in after["timeline"]] == ["dispatcher 1", "admin 1"]


async def test_all_that_was_ordered_together_is_called_back(gateway: Outward) -> None:
    for device in ("car-1", "car-2"):
        place(gateway, device, 24.50, 117.60)
    near = {"lat": 24.5, "lon": 117.6, "radius_m": 500}
    _, made = await post(gateway, "/api/v1/commands", LOCATE | {"to": {"near": near}, "id": "g-1"})
    reply = {"boot": 1, "seq": 1, "t": NOW_MS, "cmd": "g-1:car-1", "state": "done"}
    event = Event(
        type=EventType.COMMAND, id="r", device="car-1", t=NOW_MS, received=NOW_MS, data=reply
    )
    await gateway.journal.commit(await gateway.commands.take(event))
    for _again in range(2):
        status, after = await post(gateway, "/api/v1/groups/g-1/cancel", {"by": "Wang"})
        assert (status, after["left_out"]) == (200, made["left_out"])
        told = [(each["device"], each["state"]) for each in after["commands"]]
        assert told == [("car-1", "done"), ("car-2", "cancelled")]
    assert (await post(gateway, "/api/v1/groups/g-2/cancel", {}))[0] == 404


async def test_the_checklists_are_listed(gateway: Outward) -> None:
    lists = {each["id"]: each for each in (await gateway.get("/api/v1/checklists"))["checklists"]}
    assert lists["theft"]["title"] == {"zh": "盗窃（正在发生）", "en": "Theft in progress"}


def test_a_timeline_ends_with_the_end() -> None:
    steps = (
        CommandStep(state=CommandState.CREATED, t=1),
        CommandStep(state=CommandState.DONE, t=5),
    )
    record = CommandRecord(
        id="c", device="car-1", act="instruct", args={}, t=1, exp=9, steps=steps,
        ticks=(Tick(t=5, step=0),),
    )  # fmt: skip
    assert [each.state for each in timeline(record)] == ["created", "step", "done"]


async def test_who_waits_is_answered_when_there_is_more_to_say(gateway: Outward) -> None:
    _, made = await post(gateway, "/api/v1/devices/car-1/commands", LOCATE)
    path = f"/api/v1/commands/{made['id']}?beyond=1&wait_s=30"
    waiting = asyncio.create_task(gateway.get(path))
    await gateway.get("/healthz")
    await gateway.commands.cancel(made["id"])
    async with asyncio.timeout(30):
        assert (await waiting)["state"] == "cancelled"
        assert (await gateway.get(path))["state"] == "cancelled"


async def test_a_radius_reaches_the_units_whose_last_fix_lies_in_it(gateway: Outward) -> None:
    place(gateway, "car-1", 24.50, 117.60)
    place(gateway, "car-2", 24.52, 117.60)
    place(gateway, "car-3", 24.501, 117.60, age_ms=3_600_000)
    place(gateway, "box-1", 24.50, 117.60)
    gateway.registry.add(Device(id="phone-1", kind="phone"))
    near = {"lat": 24.5, "lon": 117.6, "radius_m": 500}
    status, answer = await post(gateway, "/api/v1/commands", LOCATE | {"to": {"near": near}})
    assert (status, [c["device"] for c in answer["commands"]]) == (201, ["car-1"])
    assert answer["left_out"] == [
        {"device": "car-3", "why": "position too old"},
        {"device": "phone-1", "why": "position unknown"},
    ]
    (command,) = answer["commands"]
    assert command["group"] == answer["group"]
    assert command["target"] == {"near": near}
    listed = await gateway.get(f"/api/v1/commands?group={answer['group']}")
    assert [c["id"] for c in listed["commands"]] == [f"{answer['group']}:car-1"]


async def test_of_a_crew_all_devices_are_addressed_where_it_is(gateway: Outward) -> None:
    gateway.registry.add(Device(id="cam-1", kind="body_camera"))
    place(gateway, "car-1", 24.55, 117.65)
    place(gateway, "cam-1", 24.9, 117.9)  # where it was left, an hour ago
    await gateway.units.bind("u-1", ["car-1", "cam-1"], ["007"], "Li")
    for to in ({"unit": "u-1"}, {"grid": "North"}):
        _, answer = await post(gateway, "/api/v1/commands", LOCATE | {"to": to})
        assert {c["device"] for c in answer["commands"]} == {"cam-1", "car-1"}
    gateway.registry.revoke("cam-1")
    _, answer = await post(gateway, "/api/v1/commands", LOCATE | {"to": {"unit": "u-1"}})
    assert [c["device"] for c in answer["commands"]] == ["car-1"]
    assert answer["left_out"] == [{"device": "cam-1", "why": "not registered"}]


async def test_an_alarm_box_that_reports_duty_is_still_no_unit_to_send(gateway: Outward) -> None:
    place(gateway, "car-1", 24.55, 117.65)
    place(gateway, "box-1", 24.55, 117.65)
    duty = DutyReport(boot=1, seq=1, t=NOW_MS, act="en_route")
    data = msgspec.to_builtins(duty)
    event = Event(type=EventType.DUTY, id="d", device="box-1", t=NOW_MS, received=NOW_MS, data=data)
    gateway.units.know(gateway.units.report(event, duty).units)
    _, answer = await post(gateway, "/api/v1/commands", LOCATE | {"to": {"grid": "North"}})
    assert [c["device"] for c in answer["commands"]] == ["car-1"]


async def test_a_grid_is_one_order_however_often_it_is_asked_for(gateway: Outward) -> None:
    place(gateway, "car-1", 24.55, 117.65)
    place(gateway, "car-2", 24.55, 117.66)
    place(gateway, "car-3", 24.65, 117.65)
    body = LOCATE | {"to": {"grid": "North"}, "id": "g-1"}
    first = await post(gateway, "/api/v1/commands", body)
    assert [c["id"] for c in first[1]["commands"]] == ["g-1:car-1", "g-1:car-2"]
    place(gateway, "car-3", 24.55, 117.65)
    assert await post(gateway, "/api/v1/commands", body) == first
    status, _ = await post(gateway, "/api/v1/commands", body | {"act": "identify"})
    assert status == 409


@pytest.mark.parametrize(
    ("to", "parameter"),
    [
        (None, "to"),
        ({}, "to"),
        ({"grid": "North", "device": "car-1"}, "to"),
        ({"grid": "South"}, "to.grid"),
        ({"unit": "u-1"}, "to.unit"),
        ({"device": "car-9"}, "to.device"),
        ({"near": {"lat": 24, "lon": 117}}, "to.near.radius_m"),
        ({"near": {"lat": 124, "lon": 117, "radius_m": 5}}, "to.near.lat"),
    ],
)
async def test_a_target_that_is_none_is_named(
    gateway: Outward, to: dict[str, Any] | None, parameter: str
) -> None:
    body = LOCATE if to is None else LOCATE | {"to": to}
    status, problem = await post(gateway, "/api/v1/commands", body)
    assert (status, problem["parameter"]) == (400, parameter)


async def test_a_group_of_nobody_says_so(gateway: Outward) -> None:
    status, answer = await post(gateway, "/api/v1/commands", LOCATE | {"to": {"grid": "North"}})
    assert (status, answer["group"], answer["commands"]) == (201, None, [])
    assert len(answer["left_out"]) == 3
