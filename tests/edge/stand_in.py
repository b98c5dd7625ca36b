"""A stand-in gateway for tests: holds what devices send and receipts it as the contract says."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.config import Broker, Config, Control, SpoolSettings
from protocols.model import (
    Alarm,
    AlarmStage,
    Command,
    DeviceKind,
    Lane,
    Presence,
    Receipt,
    Reply,
    Stage,
)
from protocols.native import codec, topics
from protocols.native.sequence import Window
from protocols.native.topics import LANES, Down, Up

DEVICE = "car-017"


class Taken(NamedTuple):
    """One message as it came."""

    channel: Up
    message: Any
    qos: int
    retained: bool
    batch: int  # which PUBLISH it came in


class StandInGateway:
    """Use with `async with`. ``receipting`` may be switched off: an overloaded gateway."""

    def __init__(self, port: int, *, receipting: bool = True) -> None:
        self._port = port
        self.receipting = receipting
        self.taken: list[Taken] = []
        self.windows: dict[tuple[int, Lane], Window] = defaultdict(Window)
        self._batches = 0
        self._news = asyncio.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gateway")

    async def __aenter__(self) -> StandInGateway:
        self._loop = asyncio.get_running_loop()
        subscribed = asyncio.Event()
        client = self._client

        def subscribe(*_: object) -> None:
            client.subscribe("field/v1/+/up/#", qos=1)

        def be_ready(*_: object) -> None:
            self._loop.call_soon_threadsafe(subscribed.set)

        def take(_: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
            self._loop.call_soon_threadsafe(self._take, message)

        client.on_connect, client.on_subscribe, client.on_message = subscribe, be_ready, take
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        await asyncio.wait_for(subscribed.wait(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def until(self, holds: Callable[[], Any], timeout_s: float = 30) -> Any:
        """Wait until it holds; what it gave."""
        async with asyncio.timeout(timeout_s):
            while not (value := holds()):
                self._news.clear()
                await self._news.wait()
        return value

    def of(self, channel: Up) -> list[Any]:
        """The messages of a channel in the order of their coming."""
        return [taken.message for taken in self.taken if taken.channel is channel]

    async def alarms(self, count: int = 1) -> list[Alarm]:
        """Wait for so many alarm messages."""
        await self.until(lambda: len(self.of(Up.ALARM)) >= count)
        return self.of(Up.ALARM)

    async def presence(self, *, online: bool) -> Presence:
        """Wait for a presence message."""
        value: Presence = await self.until(
            lambda: next((p for p in self.of(Up.PRESENCE) if p.online is online), None)
        )
        return value

    def receipt(self, boot: int, *stages: AlarmStage, held: dict[Lane, int] | None = None) -> None:
        """Say what is held."""
        windows = {lane: self.windows[boot, lane] for lane in Lane}
        receipt = Receipt(
            boot=boot,
            p=(held or {}).get(Lane.PRIORITY, windows[Lane.PRIORITY].held_to),
            t=(held or {}).get(Lane.TELEMETRY, windows[Lane.TELEMETRY].held_to),
            miss={lane: list(window.missing()) for lane, window in windows.items()},
            high={lane: window.highest for lane, window in windows.items()},
            alarms=list(stages),
        )
        self.publish(Down.RECEIPT, codec.encode(receipt))

    def stage(self, alarm: Alarm, stage: Stage, by: str | None = None) -> None:
        """Say how far an alarm has got."""
        self.receipt(alarm.boot, AlarmStage(seq=alarm.seq, stage=stage, t=1, by=by))

    def command(self, identity: str, exp: int, act: str = "text", **args: object) -> None:
        """Send a command."""
        command = Command(id=identity, act=act, t=0, exp=exp, args=args)
        self.publish(Down.CMD, codec.encode(command))

    async def replies(self, identity: str, last: str) -> list[Reply]:
        """Wait until the command has got so far; all replies to it."""
        await self.until(lambda: any(r.state == last for r in self._replies(identity)))
        return self._replies(identity)

    def _replies(self, identity: str) -> list[Reply]:
        return [reply for reply in self.of(Up.REPLY) if reply.cmd == identity]

    def publish(self, channel: Down, payload: bytes, *, retain: bool = False) -> None:
        """Send whatever bytes."""
        self._client.publish(topics.down("field", DEVICE, channel), payload, qos=1, retain=retain)

    def _take(self, message: mqtt.MQTTMessage) -> None:
        channel = Up(topics.parse("field", message.topic).channel)
        self._batches += 1
        values = (
            codec.decode_fixes(bytes(message.payload))
            if channel is Up.POS
            else [codec.decode(bytes(message.payload), codec.TYPES[channel])]
        )
        boot = None
        for value in values:
            assert not isinstance(value, codec.Refused), value
            self.taken.append(Taken(channel, value, message.qos, message.retain, self._batches))
            if not isinstance(value, Presence):
                boot = value.boot
                self.windows[boot, LANES[channel]].add(value.seq)
        if self.receipting and boot is not None:
            self.receipt(boot)
        self._news.set()


def config(port: int, folder: Any, *, kind: DeviceKind = "vehicle_terminal", **more: Any) -> Config:
    """An agent's configuration that speaks to the broker at that port."""
    return Config(
        device=DEVICE,
        kind=kind,
        broker=Broker(host="127.0.0.1", port=port),
        spool=SpoolSettings(folder=str(folder / "spool")),
        control=Control(socket=str(folder / "edge.sock")),
        **more,
    )
