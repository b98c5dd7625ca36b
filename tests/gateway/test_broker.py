"""The private Mosquitto: who gets in, who may say what, and that it is always there."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway import broker as broker_module
from gateway.broker import (
    ACCOUNTS,
    PRIORITY_ACCOUNT,
    Broker,
    BrokerFailed,
    reload,
)
from gateway.registry import Device, Registry
from tests import parts


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path) as opened:
        yield opened


@pytest.fixture
async def broker(tmp_path: Path, registry: Registry) -> AsyncIterator[Broker]:
    async with Broker(tmp_path, registry, host="127.0.0.1", port=0) as started:
        yield started


class Client:
    """A foreign MQTT client in its own thread, with what happened to it as futures."""

    def __init__(self, user: str, password: str) -> None:
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[bool] = loop.create_future()
        self.subscribed, self.dropped = asyncio.Event(), asyncio.Event()
        self.messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

        def on_connect(
            _client: object, _data: object, _flags: object, reason: Any, _p: Any
        ) -> None:
            loop.call_soon_threadsafe(self.connected.set_result, not reason.is_failure)

        def on_subscribe(*_: object) -> None:
            loop.call_soon_threadsafe(self.subscribed.set)

        def on_disconnect(*_: object) -> None:
            loop.call_soon_threadsafe(self.dropped.set)

        def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
            loop.call_soon_threadsafe(
                self.messages.put_nowait, (message.topic, bytes(message.payload))
            )

        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2, "any", reconnect_on_failure=False, protocol=paho.MQTTv5
        )
        self.paho.username_pw_set(user, password)
        self.paho.on_connect = on_connect
        self.paho.on_subscribe = on_subscribe
        self.paho.on_disconnect = on_disconnect
        self.paho.on_message = on_message


@contextlib.asynccontextmanager
async def connecting(
    broker: Broker, user: str, password: str, *, session_s: int = 0
) -> AsyncIterator[Client]:
    client = Client(user, password)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_s
    client.paho.connect("127.0.0.1", broker.port, clean_start=not session_s, properties=properties)
    client.paho.loop_start()
    try:
        async with asyncio.timeout(30):
            await client.connected
        yield client
    finally:
        client.paho.disconnect()
        await asyncio.to_thread(client.paho.loop_stop)


async def is_let_in(broker: Broker, user: str, password: str) -> bool:
    async with connecting(broker, user, password) as client:
        return await client.connected


async def test_only_who_is_registered_gets_in(tmp_path: Path, registry: Registry) -> None:
    password = registry.add(Device(id="car-1", kind="vehicle_terminal"))
    async with Broker(tmp_path, registry, host="127.0.0.1", port=0) as broker:
        assert await is_let_in(broker, "car-1", password)
        assert not await is_let_in(broker, "car-1", "guess")
        assert not await is_let_in(broker, "car-2", password)
        assert await is_let_in(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])


async def test_a_device_gets_in_as_soon_as_it_is_added(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    password = registry.add(Device(id="car-1", kind="vehicle_terminal"))
    assert not await is_let_in(broker, "car-1", password)
    assert await asyncio.to_thread(reload, tmp_path)
    assert await is_let_in(broker, "car-1", password)


async def test_who_is_connected_stays_so_when_another_is_added(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    password = registry.add(Device(id="car-1", kind="vehicle_terminal"))
    await asyncio.to_thread(reload, tmp_path)
    async with connecting(broker, "car-1", password) as car:
        registry.add(Device(id="car-2", kind="vehicle_terminal"))
        await asyncio.to_thread(reload, tmp_path)
        assert await is_let_in(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])
        assert not car.dropped.is_set()


async def test_a_revoked_device_is_dropped_and_stays_out(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    password = registry.add(Device(id="car-1", kind="vehicle_terminal"))
    await asyncio.to_thread(reload, tmp_path)
    async with connecting(broker, "car-1", password) as car:
        registry.revoke("car-1")
        await asyncio.to_thread(reload, tmp_path)
        async with asyncio.timeout(30):
            await car.dropped.wait()
    assert not await is_let_in(broker, "car-1", password)


async def test_a_device_speaks_and_hears_on_its_own_topics_alone(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    devices = (Device(id=f"car-{n}", kind="vehicle_terminal") for n in (1, 2))
    passwords = registry.add_many(devices)
    await asyncio.to_thread(reload, tmp_path)
    async with (
        connecting(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT]) as gateway,
        connecting(broker, "car-1", passwords["car-1"]) as first,
        connecting(broker, "car-2", passwords["car-2"]) as second,
    ):
        gateway.paho.subscribe("field/v1/+/up/#", 1)
        first.paho.subscribe("field/v1/#", 1)
        async with asyncio.timeout(30):
            await gateway.subscribed.wait()
            await first.subscribed.wait()
        second.paho.publish("field/v1/car-1/up/alarm", b"forged", 1)
        second.paho.publish("field/v1/car-2/dn/cmd", b"forged", 1)
        second.paho.publish("field/v1/car-2/up/alarm", b"true", 1)
        async with asyncio.timeout(30):
            assert await gateway.messages.get() == ("field/v1/car-2/up/alarm", b"true")
            gateway.paho.publish("field/v1/car-2/dn/cmd", b"not for car-1", 1)
            gateway.paho.publish("field/v1/car-1/dn/cmd", b"go", 1)
            assert await first.messages.get() == ("field/v1/car-1/dn/cmd", b"go")
        assert gateway.messages.empty()


async def test_two_devices_that_claim_one_client_id_do_not_throw_each_other_out(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    passwords = registry.add_many(Device(id=f"car-{n}", kind="vehicle_terminal") for n in (1, 2))
    await asyncio.to_thread(reload, tmp_path)
    async with (
        connecting(broker, "car-1", passwords["car-1"]) as first,
        connecting(broker, "car-2", passwords["car-2"]) as second,
    ):
        assert await first.connected
        assert await second.connected
        assert await is_let_in(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])
        assert not first.dropped.is_set()


async def test_secrets_are_readable_by_their_owner_alone(broker: Broker, tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    for name in ("passwd", "acl", "broker.json", "mosquitto.conf"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for account in ACCOUNTS:
        assert broker.passwords[account] not in (folder / "passwd").read_text()


async def test_a_killed_broker_is_back_on_its_port(broker: Broker, tmp_path: Path) -> None:
    process = broker_module._running((tmp_path / "broker").resolve())
    assert process is not None
    process.kill()
    await _until_back(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])


async def test_a_broker_that_is_killed_after_a_save_knows_its_subscribers(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    device = registry.add(Device(id="car-1", kind="vehicle_terminal"))
    await asyncio.to_thread(reload, tmp_path)
    account = (PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])
    async with connecting(broker, *account, session_s=60) as gateway:
        gateway.paho.subscribe("field/v1/+/up/#", 1)
        await gateway.subscribed.wait()
        broker.save()
        async with asyncio.timeout(30):
            while not (tmp_path / "broker" / "mosquitto.db").exists():
                await asyncio.sleep(0.01)  # nothing tells when it has written
        psutil.Process(broker._process.pid).kill()
        await gateway.dropped.wait()
    await _until_back(broker, "car-1", device)  # the gateway's account would begin anew
    async with connecting(broker, "car-1", device) as car:
        car.paho.publish("field/v1/car-1/up/alarm", b"while nobody listens", 1).wait_for_publish(5)
    async with connecting(broker, *account, session_s=60) as gateway, asyncio.timeout(30):
        assert (await gateway.messages.get())[1] == b"while nobody listens"


async def _until_back(broker: Broker, user: str, password: str) -> None:
    """Return when a broker that was started again lets them in."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                if broker.restarts and await is_let_in(broker, user, password):
                    return
            await asyncio.sleep(0.02)  # nothing tells when a process listens


@pytest.mark.slow
async def test_a_hung_broker_is_killed_and_started_anew(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "PROBE_EVERY_S", 0.1)
    monkeypatch.setattr(broker_module, "HUNG_AFTER", 1)
    async with Broker(tmp_path, registry, host="127.0.0.1", port=0) as broker:
        process = broker_module._running((tmp_path / "broker").resolve())
        assert process is not None
        process.suspend()
        await _until_back(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])


async def test_a_log_that_has_grown_large_gives_way_to_a_new_one(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "LOG_BYTES", 100)
    monkeypatch.setattr(broker_module, "PROBE_EVERY_S", 0.01)
    new, old = tmp_path / "broker/mosquitto.log", tmp_path / "broker/mosquitto.log.1"
    async with Broker(tmp_path, registry, host="127.0.0.1", port=0), asyncio.timeout(30):
        while not (old.exists() and new.exists()):  # a foreign process writes it
            await asyncio.sleep(0.01)


async def test_a_port_in_use_is_named(tmp_path: Path, registry: Registry) -> None:
    with parts.mosquitto(tmp_path) as (port, _), pytest.raises(BrokerFailed, match=str(port)):
        async with Broker(tmp_path, registry, host="127.0.0.1", port=port):
            pass


async def test_the_accounts_keep_their_passwords_over_a_restart(
    tmp_path: Path, registry: Registry
) -> None:
    async with Broker(tmp_path, registry, host="127.0.0.1", port=0) as first:
        passwords = first.passwords
    async with Broker(tmp_path, registry, host="127.0.0.1", port=0) as second:
        assert second.passwords == passwords


def test_without_a_broker_there_is_nothing_to_reload(tmp_path: Path, registry: Registry) -> None:
    assert not reload(tmp_path)


GATEWAY = """
import asyncio, pathlib, sys
from gateway.broker import Broker
from gateway.registry import Registry

async def main():
    folder = pathlib.Path(sys.argv[1])
    with Registry(folder) as registry:
        async with Broker(folder, registry, host="127.0.0.1", port=int(sys.argv[2])):
            print("ready", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_broker_ends_with_a_killed_gateway_and_starts_again_from_its_folder(
    tmp_path: Path, registry: Registry
) -> None:
    port = parts.free_port()
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, str(tmp_path), str(port), stdout=subprocess.PIPE
    )
    assert gateway.stdout is not None
    while b"ready" not in await gateway.stdout.readline():
        pass
    orphan = broker_module._running((tmp_path / "broker").resolve())
    assert orphan is not None
    gateway.kill()
    await gateway.wait()
    # At once, while the old one may still be saving its state:
    async with Broker(tmp_path, registry, host="127.0.0.1", port=port) as broker:
        assert await is_let_in(broker, PRIORITY_ACCOUNT, broker.passwords[PRIORITY_ACCOUNT])
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
async def test_five_hundred_connected_devices_do_not_slow_a_reload(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    passwords = registry.add_many(
        Device(id=f"car-{n}", kind="vehicle_terminal") for n in range(500)
    )
    started = time.process_time()
    await asyncio.to_thread(reload, tmp_path)
    assert time.process_time() - started < 1, "of work"
    assert await is_let_in(broker, "car-499", passwords["car-499"])
