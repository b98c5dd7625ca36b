"""The whole system in processes of its own, on ports that stay through a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import msgpack
import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from fieldgate.processes import Child
from gateway.app import admin_token
from gateway.broker import reload
from gateway.registry import Device, Registry
from protocols.model import DeviceKind
from tests.api import Api
from tests.parts import free_port


class Gateway(Api):
    """`fieldgate up` on one folder. Killed and started again, it has the same ports."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.mqtt_port, self.http_port = free_port(), free_port()
        self._arguments = [
            "up", "--json", "--data", str(folder), "--mqtt", f"127.0.0.1:{self.mqtt_port}",
            "--http", f"127.0.0.1:{self.http_port}", *options,
        ]  # fmt: skip
        self._child: Child

    @property
    def url(self) -> str:
        """Where its API answers."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def token(self) -> str:
        """The first administrator's, once it has started."""
        return admin_token(self.folder)

    async def __aenter__(self) -> Gateway:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.__aexit__()

    async def start(self) -> None:
        """Start it and wait until it is ready for the first alarm."""
        self._child = Child("gateway", *self._arguments, logs=self.folder / "logs")
        await self._child.__aenter__()
        await self._child.ready()

    async def kill(self) -> None:
        """Kill it as a crash would."""
        psutil.Process(self.pid).send_signal(signal.SIGKILL)
        await self._child.exited.wait()
        await self._child.__aexit__()

    def kill_broker(self) -> None:
        """Kill its broker."""
        pid = int((self.folder / "broker" / "mosquitto.pid").read_text())
        psutil.Process(pid).send_signal(signal.SIGKILL)

    async def add(self, device: str, kind: DeviceKind = "vehicle_terminal") -> str:
        """Register a device while it runs, as `fieldgate device add` does; gives its password."""

        def added() -> str:
            with Registry(self.folder) as registry:
                password = registry.add(Device(id=device, kind=kind))
            reload(self.folder)
            return password

        return await asyncio.to_thread(added)

    async def command(self, *arguments: str) -> Any:
        """What a `fieldgate … --data DIR --json` command prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fieldgate", *arguments,
            "--data", str(self.folder), "--json", stdout=subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode == 0, output
        return json.loads(output)

    async def wait_for(self, count: int, *types: str) -> list[Any]:
        """The events, once there are so many of them."""
        async with asyncio.timeout(30):
            while len(found := await self.events(*types)) < count:
                await asyncio.sleep(0.02)
        return found


class Terminal:
    """A device of another maker: plain paho, which knows the contract only by its pages."""

    def __init__(
        self,
        port: int,
        device: str,
        password: str,
        *,
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        as_json: bool = False,
    ) -> None:
        self.device = device
        self.receipts: asyncio.Queue[Any] = asyncio.Queue()
        self.commands: asyncio.Queue[Any] = asyncio.Queue()
        self.how: list[tuple[bool, int | None]] = []  # each command: retained, seconds to expiry
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._as_json = as_json
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=device, protocol=version,
        )  # fmt: skip
        self._client.username_pw_set(device, password)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_connect = lambda client, *_: client.subscribe(f"field/v1/{device}/dn/#", 1)
        self._client.on_message = self._on_message
        self._port = port

    async def __aenter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        await asyncio.wait_for(self._ready.wait(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, channel: str, message: Any, *, qos: int = 1, retain: bool = False) -> None:
        """Publish keys, a list of keys, or bytes as they are."""
        if not isinstance(message, bytes):
            message = json.dumps(message).encode() if self._as_json else msgpack.packb(message)
        self._client.publish(f"field/v1/{self.device}/up/{channel}", message, qos, retain)

    async def receipt(self, **wanted: Any) -> Any:
        """The next receipt that has these values."""
        async with asyncio.timeout(30):
            while True:
                receipt = await self.receipts.get()
                if all(receipt.get(key) == value for key, value in wanted.items()):
                    return receipt

    def _on_subscribe(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ready.set)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        keys = (json.loads if message.payload[:1] == b"{" else msgpack.unpackb)(message.payload)
        queue = self.receipts
        if message.topic.endswith("/cmd"):
            expiry_s = getattr(message.properties, "MessageExpiryInterval", None)
            self.how.append((message.retain, expiry_s))
            queue = self.commands
        self._loop.call_soon_threadsafe(queue.put_nowait, keys)

    async def command(self) -> Any:
        """The next command that comes."""
        return await asyncio.wait_for(self.commands.get(), 30)


@contextlib.asynccontextmanager
async def dispatch_core(
    gateway_url: str, folder: Path, port: int, secret: str
) -> AsyncIterator[Child]:
    """A dispatch core that takes the webhook on that port."""
    arguments = [
        "sim", "core", "--json", "--gateway", gateway_url, "--listen", f"127.0.0.1:{port}",
        "--data", str(folder / "core"), "--ledger", str(folder / "core.jsonl"),
    ]  # fmt: skip
    env = {"FIELDGATE_TOKEN": admin_token(folder), "FIELDGATE_WEBHOOK_SECRET": secret}
    async with Child("core", *arguments, logs=folder / "logs", env=env) as core:
        await core.ready()
        yield core
