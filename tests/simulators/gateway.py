"""A stand-in for the gateway: subscribes, keeps sets of numbers, sends receipts as promised."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from types import TracebackType
from typing import Any, Self

import gmqtt
from gmqtt.mqtt.constants import MQTTv311

from protocols.errors import ProtocolError
from protocols.model import Alarm, AlarmStage, Lane, Presence, Receipt, Stage, message_id
from protocols.native import codec, topics
from protocols.native.sequence import Window
from protocols.native.topics import Down, Up
from simulators.link import Address


class Gateway:
    """Holds everything in memory. ``silent``: it hears but sends no receipts.

    ``ids``: how often each message id came. ``lose_live``: drops every n-th live fix.
    """

    def __init__(self, broker: Address, *, lose_live: int = 0) -> None:
        self._broker = broker
        self._lose_live = lose_live
        self._live = 0
        self.silent = False
        self.ids: Counter[str] = Counter()
        self.messages: dict[str, Any] = {}
        self.presence: list[tuple[str, Presence]] = []
        self.windows: dict[tuple[str, int, Lane], Window] = defaultdict(Window)
        self.changed = asyncio.Condition()
        self._client: Any = gmqtt.Client("stand-in-gateway")
        self._client.on_message = self._take
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        subscribed = asyncio.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        # Over 3.1.1: with 5, gmqtt refuses more messages under way than the broker likes.
        await self._client.connect(*self._broker, version=MQTTv311)
        self._client.subscribe("field/v1/+/up/#", qos=1)
        await subscribed.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.disconnect()
        await asyncio.gather(*self._tasks)

    async def until(self, done: Any, timeout_s: float = 30) -> None:
        """Wait until ``done()`` holds, looking whenever a message has come."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(done)

    def alarms(self) -> list[Alarm]:
        """The alarms held, without updates."""
        return [m for m in self.messages.values() if isinstance(m, Alarm) and m.of is None]

    def publish(self, device: str, channel: Down, message: Any) -> None:
        """Send something down."""
        self._client.publish(topics.down("field", device, channel), codec.encode(message), qos=1)

    def receipt(self, device: str, boot: int, *alarms: AlarmStage) -> None:
        """Tell the device what is held."""
        p, t = (self.windows[device, boot, lane] for lane in (Lane.PRIORITY, Lane.TELEMETRY))
        miss = {lane: [*w.missing()] for lane, w in ((Lane.PRIORITY, p), (Lane.TELEMETRY, t))}
        self.publish(
            device,
            Down.RECEIPT,
            Receipt(
                boot=boot,
                p=p.held_to,
                t=t.held_to,
                miss={lane: ranges for lane, ranges in miss.items() if ranges},
                high={Lane.PRIORITY: p.highest, Lane.TELEMETRY: t.highest},
                alarms=[*alarms],
            ),
        )

    def _take(self, _: object, topic: str, payload: bytes, qos: int, about: object) -> int:
        device, _, channel = topics.parse("field", topic)
        messages: list[Any]
        if channel == Up.POS:
            self._live += qos == 0
            if qos == 0 and self._lose_live and self._live % self._lose_live == 0:
                return 0
            messages = [*codec.decode_fixes(payload)]
        else:
            messages = [codec.decode(payload, codec.TYPES[Up(channel)])]
        lane = topics.LANES.get(Up(channel))
        if lane is None:
            self.presence.append((device, messages[0]))
        else:
            for message in messages:
                assert not isinstance(message, codec.Refused | ProtocolError), message
                id_ = message_id(device, message.boot, lane, message.seq)
                self.ids[id_] += 1
                self.messages[id_] = message
                self.windows[device, message.boot, lane].add(message.seq)
            if not self.silent:
                stages = [
                    AlarmStage(seq=m.seq, stage=Stage.STORED, t=m.t)
                    for m in messages
                    if isinstance(m, Alarm) and m.of is None
                ]
                for boot in {message.boot for message in messages}:
                    self.receipt(device, boot, *stages)
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return 0

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()
