"""A stand-in for gpsd: speaks its JSON on TCP about a receiver that somebody moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from edge.connections import Connections
from protocols.cloudevents import rfc3339
from protocols.model import Position
from simulators.ledger import now_ms
from simulators.link import Address

DEVICE = "/dev/simulated0"
SIGMAS_95_CIRCLE = 1.73  # gpsd tells the 95 % radius, the contract 1 sigma
MAX_REQUEST_BYTES = 80  # gpsd_json(5)
MAX_BEHIND_BYTES = 64 * 1024

_VERSION = {
    "class": "VERSION",
    "release": "3.22",
    "rev": "simulated",
    "proto_major": 3,
    "proto_minor": 14,
}
_DEVICES = {
    "class": "DEVICES",
    "devices": [{"class": "DEVICE", "path": DEVICE, "driver": "simulated", "activated": 1}],
}
_WATCH = {"class": "WATCH", "enable": True, "json": True}


class Gpsd:
    """Listens on the loopback interface; each epoch every watcher gets a SKY and a TPV.

    ``observe`` gives the fix after so many seconds, or None while there is none.
    A watcher that does not read is dropped.
    """

    def __init__(
        self, observe: Callable[[float], Position | None], *, period_s: float = 1.0
    ) -> None:
        self._observe = observe
        self._period_s = period_s
        self._watchers: set[asyncio.StreamWriter] = set()
        self._clients = Connections(self._talk)
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._clients.accept, "127.0.0.1", 0)
        self._ticking = asyncio.create_task(self._tick(), name="gpsd")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        assert self._ticking is not None
        self._ticking.cancel()
        await self._clients.close(self._server)
        await asyncio.gather(self._ticking, return_exceptions=True)

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self._server is not None
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(_line(_VERSION))
            while request := await reader.readline():
                if len(request) > MAX_REQUEST_BYTES:
                    writer.write(_line({"class": "ERROR", "message": "request too long"}))
                elif not request.startswith(b"?WATCH="):
                    writer.write(_line({"class": "ERROR", "message": "Unrecognized request"}))
                else:
                    writer.write(_line(_DEVICES) + _line(_WATCH))
                    self._watchers.add(writer)
        except (OSError, ValueError):
            pass  # the client is gone, or sends no lines
        finally:
            self._watchers.discard(writer)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        epoch_s = loop.time()
        while True:
            epoch_s += self._period_s
            await asyncio.sleep(epoch_s - loop.time())
            position = self._observe(self._period_s)
            report = _line(_sky(position)) + _line(_tpv(position, now_ms()))
            for watcher in list(self._watchers):
                if watcher.transport.get_write_buffer_size() > MAX_BEHIND_BYTES:
                    watcher.transport.abort()
                else:
                    watcher.write(report)


def _tpv(position: Position | None, t: int) -> dict[str, Any]:
    """A time-position-velocity report; what the receiver does not know is left out."""
    report: dict[str, Any] = {"class": "TPV", "device": DEVICE, "mode": 1, "time": rfc3339(t)}
    if position is None:
        return report
    known = {
        "mode": position.fix,
        "lat": position.lat,
        "lon": position.lon,
        "altHAE": position.alt,
        "speed": position.spd,
        "track": position.hdg,
        "eph": None if position.acc is None else round(position.acc * SIGMAS_95_CIRCLE, 3),
    }
    return report | {name: value for name, value in known.items() if value is not None}


def _sky(position: Position | None) -> dict[str, Any]:
    report: dict[str, Any] = {"class": "SKY", "device": DEVICE, "satellites": []}
    if position is None:
        return report | {"uSat": 0}
    known = {"uSat": position.sats, "hdop": position.hdop}
    return report | {name: value for name, value in known.items() if value is not None}


def _line(report: dict[str, Any]) -> bytes:
    return msgspec.json.encode(report) + b"\r\n"
