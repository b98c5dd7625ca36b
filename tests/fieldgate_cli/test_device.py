"""`fieldgate device` and `token`: beside a running broker, and before there is one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from typer.testing import CliRunner

from fieldgate.cli import app
from gateway.audit import AuditLog, Query
from gateway.broker import Broker
from gateway.registry import Device, Registry, Role


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result.output


def run_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json"))


def is_let_in(port: int, user: str, password: str) -> bool:
    """Whether the broker takes this device, as the device itself would find out."""
    answers: list[bool] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    client.username_pw_set(user, password)
    client.on_connect = lambda _c, _u, _f, reason, _p: answers.append(not reason.is_failure)
    client.connect("127.0.0.1", port)
    with contextlib.suppress(OSError):
        while not answers and client.loop(1) == paho.MQTT_ERR_SUCCESS:
            pass
    client.disconnect()
    return answers == [True]


async def test_a_device_connects_when_the_command_returns_and_not_after_its_revocation(
    tmp_path: Path,
) -> None:
    with Registry(tmp_path) as registry:
        async with Broker(tmp_path, registry, host="127.0.0.1", port=0) as broker:

            def add_and_revoke() -> None:
                arguments = ("box-1", "--data", tmp_path)
                needs = run_json("device", "add", *arguments, "--kind", "alarm_box")
                assert is_let_in(broker.port, needs["user"], needs["password"])
                assert run_json("device", "revoke", *arguments) == {"revoked": "box-1"}
                assert not is_let_in(broker.port, needs["user"], needs["password"])

            await asyncio.to_thread(add_and_revoke)


def test_a_device_is_added_before_the_gateway_first_starts(tmp_path: Path) -> None:
    arguments = (
        "--kind",
        "alarm_box",
        "--data",
        tmp_path / "new",
        "--lat",
        "-33.5",
        "--lon",
        "151",
    )
    needs = run_json("device", "add", "box-1", *arguments, "--name", "第一中学", "--site", "门卫室")
    assert (needs["user"], needs["mqtt"]) == ("box-1", None)
    shown = run_json("device", "show", "box-1", "--data", tmp_path / "new")
    assert (shown["name"], shown["lat"], shown["site"]) == ("第一中学", -33.5, "门卫室")
    listed = run_json("device", "list", "--data", tmp_path / "new")
    assert listed == {"devices": [shown]}
    assert needs["password"] not in json.dumps(listed)


def test_where_the_gateway_answers_is_told_with_the_password(tmp_path: Path) -> None:
    (tmp_path / "gateway.json").write_text('{"mqtt": "127.0.0.1:1883", "http": "http://…"}')
    needs = run_json("device", "add", "car-1", "--kind", "vehicle_terminal", "--data", tmp_path)
    assert needs["mqtt"] == "127.0.0.1:1883"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "box 1", "--kind", "alarm_box"), "device: must match"),
        (("add", "gateway-priority", "--kind", "alarm_box"), "must not start with"),
        (("add", "box-1", "--kind", "toaster"), "kind: must be one of"),
        (("add", "box-1", "--kind", "alarm_box", "--lat", "91", "--lon", "1"), "lat: must lie"),
        (("add", "known", "--kind", "alarm_box"), "known is registered already"),
        (("show", "box-1"), "no device box-1"),
        (("revoke", "box-1"), "no device box-1"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    with Registry(tmp_path) as registry:
        registry.add(Device(id="known", kind="alarm_box"))
    assert said in run("device", *arguments, "--data", tmp_path, status=1)


def test_a_mistyped_folder_is_not_made(tmp_path: Path) -> None:
    assert "holds no registry" in run("device", "list", "--data", tmp_path / "typo", status=1)
    assert not (tmp_path / "typo").exists()


def test_people_read_tables(tmp_path: Path) -> None:
    run("device", "add", "box-1", "--kind", "alarm_box", "--data", tmp_path)
    run("device", "revoke", "box-1", "--data", tmp_path)
    assert "revoked" in run("device", "list", "--data", tmp_path)
    assert "alarm_box" in run("device", "show", "box-1", "--data", tmp_path)
    run("token", "add", "--role", "viewer", "--name", "wall screen", "--data", tmp_path)
    assert "wall screen" in run("token", "list", "--data", tmp_path)


def test_a_token_is_shown_once_and_can_be_revoked(tmp_path: Path) -> None:
    made = run_json("token", "add", "--role", "dispatcher", "--data", tmp_path)
    with Registry(tmp_path) as registry:
        assert registry.role_of(made["token"]) is Role.DISPATCHER
        listed = run_json("token", "list", "--data", tmp_path)
        assert made["token"] not in json.dumps(listed)
        [number] = [t["no"] for t in listed["tokens"]]
        run("token", "revoke", number, "--data", tmp_path)
        assert registry.role_of(made["token"]) is None
    assert "no token 9" in run("token", "revoke", 9, "--data", tmp_path, status=1)
    assert "role: must be one of" in run(
        "token", "add", "--role", "x", "--data", tmp_path, status=1
    )


async def test_a_device_is_added_in_a_fraction_of_a_second_beside_five_hundred(
    tmp_path: Path,
) -> None:
    with Registry(tmp_path) as registry:
        registry.add_many(Device(id=f"car-{n}", kind="vehicle_terminal") for n in range(500))
        async with Broker(tmp_path, registry, host="127.0.0.1", port=0):
            started = time.process_time()
            arguments = ("device", "add", "box-1", "--kind", "alarm_box", "--data", tmp_path)
            await asyncio.to_thread(run, *arguments)
            assert time.process_time() - started < 1, "of work"


def test_what_commands_do_is_in_the_audit_log(tmp_path: Path) -> None:
    added = ("device", "add", "box-1", "--data", tmp_path, "--kind", "alarm_box")
    run(*added)
    run("device", "revoke", "box-1", "--data", tmp_path)
    secret = run_json("token", "add", "--data", tmp_path, "--role", "viewer", "--name", "wall")
    run("token", "revoke", "1", "--data", tmp_path)
    with AuditLog(tmp_path) as audit:
        query = Query(since_ms=0, until_ms=2**62, before=2**53, limit=10)
        found = audit.page(query)
    assert [(entry.act, entry.target) for entry in reversed(found)] == [
        ("device.add", "box-1"),
        ("device.revoke", "box-1"),
        ("token.add", "wall"),
        ("token.revoke", "1"),
    ]
    assert {entry.source for entry in found} == {"command line"}
    assert secret["token"] not in str(found)
    assert run_json("audit", "--verify", "--data", tmp_path)["broken"] is None
    assert "4 entries, none changed" in run("audit", "--verify", "--data", tmp_path)
