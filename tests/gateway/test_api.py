"""The API for operators and systems: who may, what there is, what is wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema  # type: ignore[import-untyped]
import openapi_spec_validator
import pytest
from aiohttp import web
from yarl import URL

from gateway.api import app as server
from gateway.api.app import make_app
from gateway.api.health import Condition
from gateway.api.web import STATIC
from gateway.journal.base import Change, Quarantined
from gateway.registry import Device, Role
from protocols.model import Stage
from tests.gateway.outward import NOW_MS, Outward, alarm_change, fix, fixes, outward


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


async def problem(gateway: Outward, method: str, path: str, **options: Any) -> dict[str, Any]:
    """The problem that this request is answered with."""
    async with gateway.request(method, path, **options) as response:
        assert response.content_type == "application/problem+json"
        details: dict[str, Any] = await response.json(content_type=None)
        assert details["status"] == response.status
        assert details["type"] == "about:blank"
        assert details["title"]
        assert details["detail"]
    return details


# Who may


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}])
async def test_without_a_token_nothing_is_shown(gateway: Outward, headers: dict[str, str]) -> None:
    details = await problem(gateway, "GET", "/api/v1/alarms", role=None, headers=headers)
    assert details["status"] == 401


async def test_an_unknown_or_revoked_token_opens_nothing(gateway: Outward) -> None:
    headers = {"Authorization": "Bearer guess"}
    assert (await problem(gateway, "GET", "/api/v1/alarms", role=None, headers=headers))[
        "status"
    ] == 401
    gateway.registry.revoke_token(1)
    assert (await problem(gateway, "GET", "/api/v1/alarms", role=Role.VIEWER))["status"] == 401


async def test_a_viewer_reads_and_answers_nothing(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1))
    assert await gateway.get("/api/v1/alarms/box-1:1:p:1")
    details = await problem(gateway, "POST", "/api/v1/alarms/box-1:1:p:1/accept")
    assert (details["status"], details["needed"], details["role"]) == (403, "dispatcher", "viewer")
    assert gateway.alarms.asked == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
async def test_health_and_description_are_open(gateway: Outward, path: str) -> None:
    async with gateway.request("GET", path, role=None) as response:
        assert response.status == 200


async def test_an_unknown_path_is_a_problem(gateway: Outward) -> None:
    assert (await problem(gateway, "GET", "/api/v1/nothing"))["status"] == 404


async def test_a_wrong_method_names_the_right_ones(gateway: Outward) -> None:
    async with gateway.request("DELETE", "/api/v1/alarms") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert response.content_type == "application/problem+json"


async def test_a_failure_of_ours_is_a_problem(
    gateway: Outward, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr(gateway.journal, "alarms", fail)
    details = await problem(gateway, "GET", "/api/v1/alarms")
    assert details["status"] == 500
    assert "disk gone" not in json.dumps(details)


# Alarms


async def test_an_alarm_is_shown_with_its_stages(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1, zone="hall"))
    alarm = await gateway.get("/api/v1/alarms/box-1:1:p:1")
    assert alarm == {
        "id": "box-1:1:p:1",
        "device": "box-1",
        "boot": 1,
        "seq": 1,
        "kind": "panic",
        "t": NOW_MS + 1,
        "received": NOW_MS + 21,
        "stage": "stored",
        "stages": [{"stage": "stored", "t": NOW_MS + 21}],
        "count": 1,
        "flags": [],
        "clock_offset_ms": None,
        "data": {"boot": 1, "seq": 1, "t": NOW_MS + 1, "kind": "panic", "zone": "hall"},
    }


@pytest.mark.parametrize(
    ("act", "stage"), [("accept", "accepted"), ("acknowledge", "acknowledged"), ("close", "closed")]
)
async def test_the_dispatch_core_answers_an_alarm(gateway: Outward, act: str, stage: str) -> None:
    await gateway.journal.commit(alarm_change(1))
    path = f"/api/v1/alarms/box-1:1:p:1/{act}"
    answer = {"by": "desk 3", "note": "已派单", "more": "ignored"}
    async with gateway.request("POST", path, role=Role.DISPATCHER, json=answer) as response:
        assert response.status == 200
        assert (await response.json())["stage"] == stage
    assert gateway.alarms.asked == [("box-1:1:p:1", Stage(stage), "desk 3", "已派单")]


@pytest.mark.parametrize("body", [b"", b" ", b"{}"])
async def test_an_answer_without_words_is_the_tokens(gateway: Outward, body: bytes) -> None:
    await gateway.journal.commit(alarm_change(1))
    path = "/api/v1/alarms/box-1:1:p:1/accept"
    async with gateway.request("POST", path, role=Role.ADMIN, data=body) as response:
        assert response.status == 200
    assert gateway.alarms.asked == [("box-1:1:p:1", Stage.ACCEPTED, "admin 1", None)]


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"by": 3}', b"\xff", b'{"by": "%s"}' % (b"x" * 65)]
)
async def test_a_body_that_is_no_answer_is_refused(gateway: Outward, body: bytes) -> None:
    await gateway.journal.commit(alarm_change(1))
    path = "/api/v1/alarms/box-1:1:p:1/accept"
    details = await problem(gateway, "POST", path, role=Role.ADMIN, data=body)
    assert details["status"] == 400
    assert gateway.alarms.asked == []


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
    ],
)
async def test_a_body_of_another_type_is_refused(gateway: Outward, media: str, status: int) -> None:
    await gateway.journal.commit(alarm_change(1))
    said = {"Content-Type": media}
    path = "/api/v1/alarms/box-1:1:p:1/accept"
    async with gateway.request("POST", path, role=Role.ADMIN, data=b"{}", headers=said) as response:
        assert response.status == status
        assert ("Accept" in response.headers) == (status == 415)


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"\x16\x03\x01\r\n\r\n"]
)
async def test_what_is_no_http_is_answered_with_a_problem(
    gateway: Outward, request_: bytes
) -> None:
    url = URL(gateway.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request_)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")  # the gateway closes
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.0 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["detail"].startswith("the request cannot be read: ")


async def test_a_body_too_large_is_refused(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1))
    path = "/api/v1/alarms/box-1:1:p:1/accept"
    details = await problem(gateway, "POST", path, role=Role.ADMIN, data=b" " * 70_000)
    assert details["status"] == 413


@pytest.mark.parametrize(("method", "act"), [("GET", ""), ("POST", "/accept"), ("POST", "/close")])
async def test_an_unknown_alarm_is_a_problem(gateway: Outward, method: str, act: str) -> None:
    path = f"/api/v1/alarms/box-9:1:p:1{act}"
    details = await problem(gateway, method, path, role=Role.DISPATCHER)
    assert (details["status"], details["alarm"]) == (404, "box-9:1:p:1")


async def test_alarms_are_listed_newest_first_in_pages(gateway: Outward) -> None:
    for seq in range(1, 4):
        await gateway.journal.commit(alarm_change(seq))
    first = await gateway.get("/api/v1/alarms?limit=2")
    assert [alarm["seq"] for alarm in first["alarms"]] == [3, 2]
    second = await gateway.get(f"/api/v1/alarms?limit=2&before={first['next']}")
    assert [alarm["seq"] for alarm in second["alarms"]] == [1]
    assert second["next"] is None


async def test_alarms_are_listed_by_stage_and_device(gateway: Outward) -> None:
    for device in ("box-1", "box-2"):
        await gateway.journal.commit(alarm_change(1, device))
    path = "/api/v1/alarms/box-1:1:p:1/accept"
    async with gateway.request("POST", path, role=Role.ADMIN):
        pass

    async def listed(query: str) -> list[str]:
        return [a["device"] for a in (await gateway.get(f"/api/v1/alarms?{query}"))["alarms"]]

    assert await listed("stage=accepted") == ["box-1"]
    assert await listed("stage=accepted,stored") == ["box-2", "box-1"]
    assert await listed("device=box-2") == ["box-2"]
    details = await problem(gateway, "GET", "/api/v1/alarms?stage=lost")
    assert (details["parameter"], details["value"]) == ("stage", "lost")


# Devices


async def test_devices_are_shown_as_registered_and_as_they_are_now(gateway: Outward) -> None:
    gateway.registry.add(Device(id="box-1", kind="alarm_box", name="第一中学", lat=24.5, lon=117.6))
    gateway.registry.add(Device(id="car-1", kind="vehicle_terminal"))
    devices = {d["id"]: d for d in (await gateway.get("/api/v1/devices"))["devices"]}
    assert list(devices) == ["box-1", "car-1", "stranger"]
    box, car, stranger = devices.values()
    assert (box["name"], box["state"], box["lat"]) == ("第一中学", "online", 24.5)
    assert (box["position"]["lat"], box["position"]["lon"]) == (24.5, 117.6)
    assert (car["registered"], car["state"], car["position"]) == (True, "offline", None)
    assert (stranger["registered"], stranger["state"]) == (False, "stale")
    assert await gateway.get("/api/v1/devices/box-1") == box
    assert (await problem(gateway, "GET", "/api/v1/devices/none"))["device"] == "none"


# Ledger, quarantine


async def test_the_ledger_says_what_is_missing(gateway: Outward) -> None:
    ledger = await gateway.get("/api/v1/ledger")
    assert [d["device"] for d in ledger["devices"]] == ["box-1", "car-1"]
    assert (ledger["totals"]["held"], ledger["totals"]["missing_today"]) == (7, 1)
    one = await gateway.get("/api/v1/ledger?device=box-1")
    assert [d["lanes"][0]["ranges"] for d in one["devices"]] == [[[3, 3]]]
    assert (await problem(gateway, "GET", "/api/v1/ledger?device=none"))["status"] == 404


@pytest.mark.parametrize(
    ("query", "since"), [("from=0&to=1000", 0), ("from=1&to=1000", 1), ("to=86401000", 1000)]
)
async def test_a_report_is_of_the_time_asked_for(gateway: Outward, query: str, since: int) -> None:
    assert (await gateway.get(f"/api/v1/reports/arrivals?{query}"))["since"] == since


@pytest.mark.parametrize("when", ["noon", "2026-11-22T13:00", "2026-11-22"])
async def test_a_time_without_its_zone_is_none(gateway: Outward, when: str) -> None:
    details = await problem(gateway, "GET", f"/api/v1/reports/arrivals?to={when}")
    assert details["detail"].startswith("to: must be ms since 1970, or RFC 3339 with its time zone")


async def test_quarantine_gives_back_the_bytes(gateway: Outward) -> None:
    for n in range(3):
        refused = Quarantined(
            topic="field/v1/box-1/up/alarm",
            device="box-1",
            reason="malformed",
            detail="no map",
            payload=b"\x00\xff%d" % n,
            first_ms=NOW_MS,
            last_ms=NOW_MS,
        )
        await gateway.journal.commit(Change(quarantined=[refused]))
    page = await gateway.get("/api/v1/quarantine?limit=2")
    payloads = [base64.b64decode(q["payload"]) for q in page["quarantine"]]
    assert payloads == [b"\x00\xff2", b"\x00\xff1"]
    rest = await gateway.get(f"/api/v1/quarantine?before={page['next']}")
    assert len(rest["quarantine"]) == 1
    assert rest["next"] is None


async def test_connections_leave_file_descriptors_for_alarms(
    gateway: Outward, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    monkeypatch.setattr(server, "most_connections", lambda: 2)
    kept = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    details = await problem(gateway, "GET", "/readyz", role=None)
    assert (details["status"], details["wrong"]) == (503, ["all 2 connections are taken"])
    for _, writer in kept:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(30):
        while True:
            async with gateway.request("GET", "/readyz", role=None) as response:
                if response.status == 200:
                    break


@pytest.mark.parametrize("most", [0, 64])
@pytest.mark.parametrize("turns", range(8))
def test_a_connection_at_any_turn_of_the_loop_ends_with_the_server(
    monkeypatch: pytest.MonkeyPatch, turns: int, most: int
) -> None:
    monkeypatch.setattr(server, "most_connections", lambda: most)

    async def connected() -> socket.socket:
        async with server.Server(web.Application(), "127.0.0.1", 0) as serving:
            client = socket.create_connection((serving.host, serving.port), timeout=30)
            for _ in range(turns):
                await asyncio.sleep(0)
        return client

    with asyncio.run(connected()) as client:
        gc.collect()  # what was left open says so now, and fails the test
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@pytest.mark.parametrize(("files", "most"), [(65536, 65280), (1024, 768), (256, 64)])
def test_few_file_descriptors_are_shared(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert server.most_connections() == most


# Health and description


async def test_a_gateway_that_is_not_ready_says_why(gateway: Outward) -> None:
    ready = {"ready": True, "disk": "ok", "warnings": ["a warning"]}
    assert await gateway.get("/readyz") == ready
    gateway.wrong.append("the priority lane has no broker")
    details = await problem(gateway, "GET", "/readyz", role=None)
    assert (details["status"], details["wrong"]) == (503, ["the priority lane has no broker"])
    assert (details["disk"], details["warnings"]) == ("ok", ["a warning"])
    assert await gateway.get("/healthz") == {"status": "ok"}


async def test_a_gateway_that_cannot_work_says_so_to_prometheus_too() -> None:
    unready = server.make_unready_app(lambda: Condition(["the journal has failed"], [], "ok"))
    async with (
        server.Server(unready, "127.0.0.1", 0) as serving,
        aiohttp.ClientSession(serving.url) as session,
    ):
        async with session.get("/metrics") as response:
            assert "fieldgate_ready 0.0" in await response.text()
        async with session.get("/api/v1/alarms") as response:
            assert (response.status, "failed" in await response.text()) == (503, True)


async def test_metrics_are_those_of_the_registry(gateway: Outward) -> None:
    async with gateway.request("GET", "/metrics", role=None) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "fieldgate_alarms_total 1.0" in await response.text()


async def test_the_description_names_every_route_and_no_other(gateway: Outward) -> None:
    description = await gateway.get("/openapi.json")
    described = {
        (method.upper(), path) for path, acts in description["paths"].items() for method in acts
    }
    app = make_app(
        registry=gateway.registry, reader=gateway.journal, alarms=gateway.alarms,
        audit=None, answered=None,  # type: ignore[arg-type]
        commands=gateway.commands, map_stream=gateway.map_stream,
        configurations=None, targets=None, units=None, outlook=None,  # type: ignore[arg-type]
        reports=None, live=None, twins=None, ledger=None, gallery=None, custody=None,  # type: ignore[arg-type]
        metrics=None, condition=None, snapshots=None, live_views=None, now_ms=None,  # type: ignore[arg-type]
        enrolment=None, explain=None, playback=None,  # type: ignore[arg-type]
    )  # fmt: skip
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and route.method != "HEAD"
        and not is_of_the_page(route.resource.canonical)
    }
    assert described == served


def is_of_the_page(path: str) -> bool:
    """Whether it is a file of the page, which is no part of the API."""
    is_ours = (STATIC / path.removeprefix("/")).is_file()
    return path in {"/", "/docs"} or is_ours or path.startswith("/maplibre/")


async def test_answers_are_as_described(gateway: Outward) -> None:
    gateway.registry.add(Device(id="box-1", kind="alarm_box"))
    await gateway.journal.commit(alarm_change(1))
    await gateway.journal.commit_block(fixes("box-1", fix(1), fix(2)))
    await gateway.commands.send("box-1", "identify", {}, command_id="c1")
    description = await gateway.get("/openapi.json")
    for path, concrete in {
        "/api/v1/events": "/api/v1/events",
        "/api/v1/alarms": "/api/v1/alarms",
        "/api/v1/alarms/{id}": "/api/v1/alarms/box-1:1:p:1",
        "/api/v1/devices": "/api/v1/devices",
        "/api/v1/devices/{id}": "/api/v1/devices/box-1",
        "/api/v1/devices/{id}/commands": "/api/v1/devices/box-1/commands",
        "/api/v1/devices/{id}/config": "/api/v1/devices/box-1/config",
        "/api/v1/commands": "/api/v1/commands",
        "/api/v1/commands/{id}": "/api/v1/commands/c1",
        "/api/v1/ledger": "/api/v1/ledger",
        "/api/v1/media": "/api/v1/media",
        "/api/v1/quarantine": "/api/v1/quarantine",
        "/healthz": "/healthz",
        "/readyz": "/readyz",
    }.items():
        content = description["paths"][path]["get"]["responses"]["200"]["content"]
        schema = {**content["application/json"]["schema"], "components": description["components"]}
        jsonschema.validate(await gateway.get(concrete), schema)


async def test_the_description_is_valid_openapi(gateway: Outward) -> None:
    description = await gateway.get("/openapi.json")
    openapi_spec_validator.validate(description)
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert operation["tags"] != [], path
            assert "500" in operation["responses"], path
