"""Pictures that the gateway orders: one of now, and live ones for a time.

One of now shows nothing of before the order. Of live ones the next is taken when the one before
has left the device: what a poor link cannot carry is never taken, so nothing piles up, and an
alarm waits behind no more than one chunk. While the link is down none is taken.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from edge.live_pace import Pace
from edge.order import Order
from edge.orders import OrderFailed, Orders
from edge.photographer import Photographer
from edge.sources.camera import Picture, Wish
from edge.spool import Spooled
from protocols.commands import Live

SNAPSHOT_S = 20.0
"""A camera whose pictures are all older than the order for so long gives none."""

LOST_S = 5.0
"""A camera that gives no picture for so long is lost: live pictures end."""

LOOK_S = 5.0
"""What has not left for so long may have given way in a full spool."""


class OrderedPictures:
    """Carries out ``snapshot`` and ``live`` while ``run`` runs."""

    def __init__(self, photographer: Photographer, *, is_connected: Callable[[], bool]) -> None:
        self._photographer, self._is_connected = photographer, is_connected
        self._live: tuple[Order, asyncio.Future[str | None]] | None = None
        self._accept: Callable[[Order], None] = lambda order: None
        self._pace = Pace(1.0)
        self._count = 0
        self._seen_s = 0.0
        self._wanted = asyncio.Event()
        self._leaving: set[int] = set()
        self._left = asyncio.Event()

    def register(self, orders: Orders) -> None:
        """These are the handlers of their actions."""
        self._accept = orders.accept
        orders.on("snapshot", self.snapshot)
        orders.on("live", self.live)

    async def snapshot(self, order: Order) -> str | None:
        """A picture whose taking began after the order came; it goes out before all others."""
        give_up_s = time.monotonic() + SNAPSHOT_S
        while time.monotonic() < give_up_s:
            picture = await self._photographer.take(Wish(anew=True))
            if picture is None:
                raise OrderFailed("the camera gives no picture")
            if picture.taken_ms >= order.came:  # a camera that is known to lag needs its time
                self._photographer.send(picture, "command", order.id)
                return None
        raise OrderFailed("the camera gives only pictures of before the order")

    async def live(self, order: Order) -> str | None:
        """Live pictures until the order's time is over; a newer order takes over."""
        assert isinstance(order.args, Live)
        ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if self._live is None:
            self._pace = Pace(order.args.fps)
        else:
            _settle(self._live[1], f"taken over by {order.id}")
            self._pace.want(order.args.fps)
        self._live, self._count, self._seen_s = (order, ended), 0, time.monotonic()
        self._accept(order)
        self._wanted.set()
        try:
            async with asyncio.timeout(order.args.seconds):
                return await ended
        except TimeoutError:
            return f"{self._count} pictures"
        finally:
            if self._live is not None and self._live[0] is order:
                self._live = None
                self._wanted.clear()

    def note_sent(self, messages: Iterable[Spooled]) -> None:
        """The broker has these."""
        self._leaving.difference_update(message.n for message in messages)
        if not self._leaving:
            self._left.set()

    async def run(self) -> None:
        """Take live pictures when there is an order for them, until cancelled."""
        while True:
            await self._wanted.wait()
            began_s = time.monotonic()
            if self._is_connected():
                await self._take_one(began_s)
            await asyncio.sleep(began_s + self._pace.interval_s - time.monotonic())

    async def _take_one(self, began_s: float) -> None:
        pace, step = self._pace, self._pace.step
        picture = await self._photographer.take(Wish(step.width_px, step.quality))
        taken_s = time.monotonic()
        if self._live is None or not self._is_connected():
            return
        order, ended = self._live
        if picture is None:
            if taken_s - self._seen_s > LOST_S:
                _settle(ended, OrderFailed("the camera gives no picture"))
            return
        pace.was_taken(taken_s - began_s)
        self._count, self._seen_s = self._count + 1, taken_s
        await self._until_left(self._send(order, picture, step.quality))
        pace.has_left(time.monotonic() - taken_s)

    def _send(self, order: Order, picture: Picture, quality: int) -> list[Spooled]:
        about: dict[str, Any] = {"fps": round(self._pace.fps, 2), "quality": quality}
        if self._pace.limited is not None:
            about["limited"] = self._pace.limited
        return self._photographer.send(picture, "live", order.id, about=about)

    async def _until_left(self, chunks: list[Spooled]) -> None:
        """Until the broker has the whole picture, or it has given way."""
        self._leaving = {chunk.n for chunk in chunks}
        self._left.clear()
        while not self._left.is_set() and self._photographer.holds(chunks):
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._left.wait()
            except TimeoutError:
                continue


def _settle(ended: asyncio.Future[str | None], how: str | OrderFailed) -> None:
    if ended.done():
        return
    if isinstance(how, str):
        ended.set_result(how)
    else:
        ended.set_exception(how)
