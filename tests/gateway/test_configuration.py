"""Desired configuration: a version for each change, held by the broker, shown beside what is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gateway.receipts import Down
from gateway.registry import Device, Role
from protocols.errors import FieldInvalid
from tests.gateway.house import House, as_json, house
from tests.gateway.outward import outward


def told(gateway: House, device: str = "car-1") -> list[Down]:
    return [down for down in gateway.sent if down.topic == f"field/v1/{device}/dn/config"]


def keys(down: Down) -> Any:
    if down.payload.startswith(b"{"):
        return json.loads(down.payload)
    return msgpack.unpackb(down.payload)


async def test_each_change_is_a_version_and_the_broker_keeps_the_last(tmp_path: Path) -> None:
    async with house(tmp_path) as gateway:
        put = gateway.configurations.put
        assert put("car-1", {"status_every_s": 60}, by="Li").version == 1
        assert put("car-1", {"status_every_s": 60}, by="Wang").by == "Li"
        assert put("car-1", {"status_every_s": 90, "name": "3"}, by="Li").version == 2
        *_, last = told(gateway)
        assert keys(last) == {"status_every_s": 90, "name": "3", "version": 2}
        assert (last.is_retained, last.expiry_s) == (True, None)
        assert put("box-1", {}, by=None).version == 1


async def test_the_broker_is_told_again_until_the_device_reports_the_version(
    tmp_path: Path,
) -> None:
    online = as_json(online=True, boot=1)
    async with house(tmp_path) as gateway:
        gateway.configurations.put("car-1", {"test_every_s": 600}, by="Li")
    async with house(tmp_path) as gateway:
        gateway.configurations.look()
        assert len(told(gateway)) == 1
        await gateway.priority.take(gateway.arrival("presence", online))
        assert keys(told(gateway)[-1]) == {"test_every_s": 600, "version": 1}
        assert told(gateway)[-1].payload.startswith(b"{")
        await gateway.telemetry_of("status", {"boot": 1, "seq": 1, "t": gateway.now, "cfg": 1})
        await gateway.priority.take(gateway.arrival("presence", online))
        assert len(told(gateway)) == 2
        await gateway.checkpoints.keep()
    async with house(tmp_path) as gateway:
        gateway.configurations.look()
        assert told(gateway) == []


async def test_without_a_broker_it_is_told_later(tmp_path: Path) -> None:
    async with house(tmp_path) as gateway:
        gateway.is_connected = False
        gateway.configurations.put("car-1", {"a": 1}, by=None)
        gateway.configurations.put("car-1", {"a": 2}, by=None)
        gateway.configurations.look()
        assert told(gateway) == []
        gateway.is_connected = True
        gateway.configurations.look()
        gateway.configurations.look()
        assert [keys(down) for down in told(gateway)] == [{"a": 2, "version": 2}]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"b": 1, "a": [1]}, "settings.a"),
        ({"version": 7}, "settings.version"),
        ({"a": "x" * 40_000}, "settings"),
    ],
)
async def test_settings_that_cannot_be_are_refused(
    tmp_path: Path, settings: dict[str, Any], field: str
) -> None:
    async with house(tmp_path) as gateway:
        with pytest.raises(FieldInvalid) as error:
            gateway.configurations.put("car-1", settings, by=None)
        assert error.value.field == field
        assert gateway.configurations.desired("car-1") is None


async def test_over_http_it_stands_beside_what_is_in_force(tmp_path: Path) -> None:
    path = "/api/v1/devices/car-1/config"
    async with outward(tmp_path) as gateway:
        gateway.registry.add(Device(id="car-1", kind="vehicle_terminal"))
        assert (await gateway.get(path))["version"] is None
        body = {"settings": {"status_every_s": 30}, "by": "Li"}
        for role, status in ((Role.DISPATCHER, 403), (Role.ADMIN, 200), (Role.ADMIN, 200)):
            async with gateway.request("PUT", path, role=role, json=body) as response:
                assert response.status == status
        view = await gateway.get(path)
        assert (view["version"], view["settings"], view["by"]) == (1, body["settings"], "Li")
        assert (view["in_force"], view["reported"]) == (None, None)
        body["settings"] = {"a": {"b": 1}}
        async with gateway.request("PUT", path, role=Role.ADMIN, json=body) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["value"]) == (400, {"b": 1})
        path = "/api/v1/devices/car-9/config"
        async with gateway.request("PUT", path, role=Role.ADMIN, json=body) as response:
            assert response.status == 404
