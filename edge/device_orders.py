"""Orders that the device carries out by itself: locate, identify, ring_back, config.

Pictures on order are in edge/ordered_pictures.py.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias

from edge.order import Order
from edge.orders import OrderFailed, OrderRefused, Orders
from edge.tuning import Tuning
from protocols.commands import Identify, Locate
from protocols.errors import FieldInvalid

RING_BACK_S = 60.0  # as long as the alarm box rings

Call: TypeAlias = Literal["identify", "ring_back"]

log = logging.getLogger(__name__)


class DeviceOrders:
    """``calls``: what the device is to beep, blink or ring for now; a panel shows it.

    ``is_silent``: whether an alarm is open of which nobody in the room may learn.
    ``called`` is told of each change of ``calls``.
    """

    def __init__(
        self,
        tuning: Tuning,
        *,
        is_locating: bool,
        is_silent: Callable[[], bool],
        called: Callable[[], None],
    ) -> None:
        self._tuning, self._is_locating = tuning, is_locating
        self._is_silent, self._called = is_silent, called
        self._accept: Callable[[Order], None] = lambda order: None
        self._calls: dict[str, Call] = {}  # by order

    @property
    def calls(self) -> list[Call]:
        """What is called for now."""
        return sorted(set(self._calls.values()))

    def register(self, orders: Orders) -> None:
        """These are the handlers of their actions."""
        self._accept = orders.accept
        if self._is_locating:
            orders.on("locate", self.locate)
        orders.on("identify", self.identify)
        orders.on("ring_back", self.ring_back)
        orders.on("config", self.config)

    async def locate(self, order: Order) -> str | None:
        """A position a second for a time, however little the device moves."""
        assert isinstance(order.args, Locate)
        self._accept(order)
        report = self._tuning.report
        before = report.count
        with report.every_second():
            await asyncio.sleep(order.args.seconds)
        if report.count == before:
            raise OrderFailed("the receiver gives no position")
        return f"{report.count - before} positions"

    async def identify(self, order: Order) -> str | None:
        """Beep and blink."""
        assert isinstance(order.args, Identify)
        await self._call(order, "identify", order.args.seconds)
        return None

    async def ring_back(self, order: Order) -> str | None:
        """Somebody has the alarm."""
        await self._call(order, "ring_back", RING_BACK_S)
        return None

    async def config(self, order: Order) -> str | None:
        """Change settings."""
        assert isinstance(order.args, dict)
        try:
            self._tuning.order(order.args)
        except FieldInvalid as error:
            raise OrderRefused(str(error)) from None
        return None

    async def _call(self, order: Order, call: Call, seconds: float) -> None:
        if self._is_silent():
            raise OrderRefused("a silent alarm is open")
        self._accept(order)
        self._calls[order.id] = call
        self._called()
        log.warning("device_called for=%s seconds=%g", call, seconds)
        if sys.stderr.isatty():
            sys.stderr.write("\a")
        try:
            await asyncio.sleep(seconds)
        finally:
            del self._calls[order.id]
            self._called()
