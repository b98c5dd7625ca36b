"""A picture on demand: taken after the request, or word that it could not be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from gateway.asked import NoPicture, Snapshot
from gateway.commands import Commands
from gateway.journal.base import CommandRecord
from gateway.order import TooManyWaiting
from gateway.pictures import Sending
from gateway.shots import Shot, Shots
from gateway.twins import Twins
from protocols.commands import CommandState

MAX_WAITING = 32
"""Requests that wait at a time: each may hold a picture in memory."""


class Ordered(NamedTuple):
    """What ordering pictures takes: the order, the way back, what is known of the device, and
    what was sent before (that blocks: in a thread)."""

    commands: Commands
    shots: Shots
    twins: Twins
    sendings: Callable[[str], Sequence[Sending]]
    now_ms: Callable[[], int]


class Snapshots:
    """Asks devices for pictures, and waits for them."""

    def __init__(self, ordered: Ordered) -> None:
        self._commands, self._shots, self._twins, self._sendings, self._now_ms = ordered
        self._waiting = 0

    async def take(self, device: str, *, by: str | None, timeout_ms: int) -> Snapshot:
        """The picture; raise NoPicture."""
        requested = self._now_ms()
        look(self._twins, device)
        if self._waiting >= MAX_WAITING:
            raise NoPicture("busy", f"{MAX_WAITING} requests for pictures are waiting already")
        self._waiting += 1
        command = uuid4().hex
        waiting = _Waiting()

        def offer(shot: Shot) -> None:
            if shot.ref == command:
                waiting.take(self._judged(shot, requested))

        try:
            with self._shots.expected(device, offer):
                async with self._commands.watch(command) as changes:
                    await self._commands.send(
                        device,
                        "snapshot",
                        {},
                        by=by,
                        exp_ms=requested + timeout_ms,
                        command_id=command,
                    )
                    left_s = (requested + timeout_ms - self._now_ms()) / 1000
                    snapshot = await waiting.answer(changes, left_s)
                    await self._refuse_known(snapshot)
                    return snapshot
        except TooManyWaiting as error:
            raise NoPicture("busy", str(error), device=device) from error
        except NoPicture as problem:
            state = waiting.state
            problem.facts |= {"device": device, "command": command, "state": state}
            raise
        finally:
            self._waiting -= 1

    async def _refuse_known(self, snapshot: Snapshot) -> None:
        """Raise NoPicture for bytes that came before the request: no camera makes them twice,
        unless it is frozen, sees nothing, or shows a still."""
        sendings = await asyncio.to_thread(self._sendings, snapshot.id)
        began = min((sent.began for sent in sendings if sent.began), default=snapshot.requested)
        if began < snapshot.requested:
            raise NoPicture(
                "older",
                "the device has sent the very bytes of an earlier picture: the camera is frozen,"
                " sees nothing or is none, or the picture is an old one",
                picture=snapshot.id,
                began=began,
            )

    def _judged(self, shot: Shot, requested: int) -> Snapshot | NoPicture:
        """The picture, unless it is damaged, or older than the request."""
        if shot.problem:
            detail = f"the picture came damaged: {shot.problem}"
            return NoPicture("damaged", detail, picture=shot.id)
        taken = corrected(self._twins, shot)
        if taken is not None and taken < requested:
            return NoPicture(
                "older",
                f"the device has sent a picture taken {requested - taken} ms before the request",
                picture=shot.id,
                taken=taken,
            )
        image = shot.image
        return Snapshot(
            id=shot.id,
            device=shot.device,
            command=shot.ref,
            requested=requested,
            taken=taken,
            taken_device=shot.about.get("taken"),
            received=shot.received,
            mime=image.mime if image is not None else "application/octet-stream",
            width_px=image.width if image is not None else None,
            height_px=image.height if image is not None else None,
            data=shot.data,
        )


class _Waiting:
    """For one picture: what has come of the command so far."""

    def __init__(self) -> None:
        self.state = CommandState.CREATED
        self._found: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        self._refused: NoPicture | None = None

    def take(self, judged: Snapshot | NoPicture) -> None:
        """The device has answered with a picture, which will do or not: then another may."""
        if isinstance(judged, NoPicture):
            self._refused = judged
        elif not self._found.done():
            self._found.set_result(judged)

    async def answer(self, changes: asyncio.Queue[CommandRecord], left_s: float) -> Snapshot:
        """The first picture that will do; raise NoPicture when none can come any more."""
        async with asyncio.TaskGroup() as tasks:
            end = tasks.create_task(self._end(changes))
            either: list[asyncio.Future[Any]] = [end, self._found]
            await asyncio.wait(either, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            end.cancel()
        if self._found.done():
            return self._found.result()
        if self._refused is not None:
            raise self._refused
        if not end.cancelled():
            raise end.result()
        raise NoPicture("timed_out", f"no picture has come in time; the command is {self.state}")

    async def _end(self, changes: asyncio.Queue[CommandRecord]) -> NoPicture:
        """Why no picture can come any more."""
        while True:
            record = await changes.get()
            self.state = record.state
            if (problem := ended(record)) is not None:
                return problem


def look(twins: Twins, device: str) -> None:
    """Raise NoPicture for a device that cannot be asked now."""
    if twins.state(twins.of(device)) == "offline":
        raise NoPicture("offline", f"device {device} is offline", device=device)


def corrected(twins: Twins, shot: Shot) -> int | None:
    """When the picture was taken, by the gateway's clock; None where the device does not know.

    The offset is the least that arrival was ever behind the device's clock of late: it is never
    less than the clock's own error. So what was taken after a request is never taken for older,
    and what was taken before is taken for newer by at most the quickest message's delay.
    """
    taken = shot.about.get("taken") or 0
    offset_ms = twins.of(shot.device).clock.offset_ms
    return taken + offset_ms if taken > 0 and offset_ms is not None else None


def ended(command: CommandRecord) -> NoPicture | None:
    """Why no picture will come of the command, if it has ended without."""
    detail = command.steps[-1].detail
    said = f": {detail}" if detail else ""
    match command.state:
        case CommandState.REFUSED:
            return NoPicture("refused", f"device {command.device} refuses{said}")
        case CommandState.FAILED:
            return NoPicture("failed", f"device {command.device} could not{said}")
        case CommandState.CANCELLED:
            return NoPicture("cancelled", "the command was cancelled")
        case CommandState.EXPIRED:
            return NoPicture("timed_out", "the command has expired before the device had it")
    return None
