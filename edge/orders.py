"""Orders: what the gateway asks of this device, each at most once, and what became of it.

An order is one command that this device has taken. Its id is on disk before anything is done
about it, so it is never carried out twice; if the agent dies in between, it is not carried out
a second time, and the gateway hears so. Orders for a person (`instruct`, `checklist`, `text`)
are held until the person has answered them, over restarts too. Those for the device are
carried out by the handler of their action: see `on`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import msgspec

from edge.clock import steady_ms
from edge.corrected_clock import CorrectedClock
from edge.order import Order
from edge.orders_file import OrdersFile
from protocols.commands import ACTIONS, Cancel, CommandState, args_of
from protocols.errors import FieldInvalid, ProtocolError
from protocols.model import MAX_TEXT_CHARS, Command
from protocols.native import codec

PERSONAL = frozenset({"instruct", "checklist", "text"})
"""Actions that a person answers."""
MAX_HELD = 64  # orders, open or ended, that can be read here
MAX_HELD_BYTES = 1 << 20
MAX_RUNNING = 16  # carried out at the same time

Handler: TypeAlias = Callable[[Order], Awaitable[str | None]]
"""Carries an order out: when it returns the order is done, with that detail. It raises
OrderRefused or OrderFailed if it is not, and is cancelled when the order is."""

log = logging.getLogger(__name__)


class OrderRefused(Exception):
    """The device does not do it, and says why."""


class OrderFailed(Exception):
    """The device has begun, and could not end it."""


class UnknownOrder(Exception):
    """No order of that id can be answered here."""


class Reply(Protocol):
    """Puts a reply into the spool."""

    def __call__(self, t: int, keys: dict[str, Any], /) -> None:
        """``keys``: those of the contract, without boot, seq and ``t``."""


class Orders:
    """`async with` it, between the handlers' registration and the first command.

    ``is_set``: whether something sets the device's own clock. ``changed`` is called after
    each change of what `held` shows.
    """

    def __init__(
        self,
        folder: Path,
        reply: Reply,
        *,
        now_ms: Callable[[], int],
        is_set: Callable[[], bool],
        changed: Callable[[], None] = lambda: None,
        steady_ms: Callable[[], int] = steady_ms,
    ) -> None:
        self.file = OrdersFile(folder)
        self._reply, self._changed = reply, changed
        self._now_ms, self._steady_ms, self._is_set = now_ms, steady_ms, is_set
        self._clock = CorrectedClock()
        self._handlers: dict[str, Handler] = {}
        self._orders: dict[str, Order] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()

    def on(self, act: str, handler: Handler) -> None:
        """Let orders of that action be carried out by the handler."""
        assert act in ACTIONS, act
        self._handlers[act] = handler

    @property
    def acts(self) -> list[str]:
        """The actions that are carried out here."""
        return sorted(PERSONAL | self._handlers.keys())

    async def __aenter__(self) -> Orders:
        self.file.__enter__()
        self._tasks = await asyncio.TaskGroup().__aenter__()
        for body in self.file.held():
            try:
                order = Order.from_bytes(body)
            except msgspec.DecodeError as error:
                log.error("order_unreadable: %s", error)
                continue
            self._orders[order.id] = order
        for order in list(self._orders.values()):
            self._take_up(order)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running.values():
            task.cancel()
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            self.file.__exit__()

    # -- what the gateway says ---------------------------------------------

    def time_ms(self) -> int:
        """How late it is, by the corrected clock."""
        return self._clock.now_ms(self._now_ms(), self._steady_ms(), is_set=self._is_set())

    def take_bytes(self, payload: bytes) -> None:
        """A command as it came. One that is none is refused, if its id can be read; raise
        ProtocolError if not: there is nobody to answer."""
        try:
            command = codec.decode(payload, Command)
        except ProtocolError as error:
            identity = codec.decode_map(payload).get("id")
            if not isinstance(identity, str) or len(identity) > MAX_TEXT_CHARS:
                raise
            if not self.file.has_seen(identity):
                self._tell(identity, CommandState.REFUSED, str(error))
                self.file.see(identity, self.time_ms(), self.time_ms())
        else:
            self.take(command)

    def take(self, command: Command) -> None:
        """A command has come."""
        if command.sent is not None:
            self._clock.learn(command.sent, self._steady_ms())
        if self.file.has_seen(command.id):
            return
        detail: str | None = None
        args: Any = None
        # One that was forgotten had expired: it must not begin again for want of a witness.
        if command.exp < self.time_ms() or command.exp <= self.file.forgotten_to_ms:
            detail = "expired"
        elif command.act not in self._handlers and command.act not in {*PERSONAL, "cancel"}:
            detail = "unknown act"
        elif len(self._running) >= MAX_RUNNING and command.act in self._handlers:
            detail = f"{MAX_RUNNING} orders are under way"
        else:
            try:
                args = args_of(command.act, command.args)
            except FieldInvalid as error:
                detail = str(error)
        if detail is not None:
            self._tell(command.id, CommandState.REFUSED, detail)
            self.file.see(command.id, command.exp, self.time_ms())
        elif command.act == "cancel":
            self._take_cancel(command, args)
        else:
            self._take_on(Order.of(command, args, self._now_ms()))

    def _take_on(self, order: Order) -> None:
        if not self.file.see(order.id, order.exp, self.time_ms(), order.to_bytes()):
            self._tell(order.id, CommandState.REFUSED, "too many commands to remember")
            return
        self._orders[order.id] = order
        self._make_room()
        log.info("order_taken id=%s act=%s", order.id, order.act)
        self._reach(order, CommandState.DELIVERED)
        if (handler := self._handlers.get(order.act)) is not None:
            task = self._tasks.create_task(self._carry_out(order, handler), name=order.id)
            self._running[order.id] = task
            task.add_done_callback(lambda _: self._running.pop(order.id))

    def _take_up(self, order: Order) -> None:
        """After a start: what was under way then is not begun again."""
        if not order.is_open:
            return
        if order.act not in PERSONAL:
            self._reach(order, CommandState.FAILED, "restarted")
        elif order.state is None:  # its arrival may not have been told
            self._reach(order, CommandState.DELIVERED)

    def _take_cancel(self, command: Command, cancel: Cancel) -> None:
        self._tell(command.id, CommandState.DELIVERED)
        state: CommandState = CommandState.DONE
        detail: str | None = None
        order = self._orders.get(cancel.id)
        if order is not None and order.is_open:
            begun = order.state is CommandState.ACCEPTED or order.id in self._running
            self._reach(order, CommandState.FAILED if begun else CommandState.REFUSED, "cancelled")
            if (task := self._running.get(order.id)) is not None:
                task.cancel()
        elif not self.file.has_seen(cancel.id):  # overtaken by its end: it is not to begin
            self.file.see(cancel.id, command.exp, self.time_ms())
            self._tell(cancel.id, CommandState.REFUSED, "cancelled")
        else:
            state, detail = CommandState.REFUSED, "it has ended already"
        self._tell(command.id, state, detail)
        self.file.see(command.id, command.exp, self.time_ms())  # last: to do it twice is no harm

    # -- what the device does ----------------------------------------------

    def accept(self, order: Order) -> None:
        """The handler has begun something that takes a while."""
        self._reach(order, CommandState.ACCEPTED)

    async def _carry_out(self, order: Order, handler: Handler) -> None:
        state, detail = CommandState.DONE, None
        try:
            detail = await handler(order)
        except OrderRefused as refusal:
            state, detail = CommandState.REFUSED, str(refusal)
        except OrderFailed as failure:
            state, detail = CommandState.FAILED, str(failure)
        except Exception:  # once per supervised task
            log.exception("order_failed id=%s act=%s", order.id, order.act)
            state, detail = CommandState.FAILED, "a fault of the device"
        if order.is_open:
            self._reach(order, state, detail)

    # -- what a person does ------------------------------------------------

    def held(self) -> list[Order]:
        """The orders that can be read here, the oldest first."""
        return list(self._orders.values())

    def find(self, identity: str) -> Order:
        """An order that is held; raise UnknownOrder."""
        if (order := self._orders.get(identity)) is None:
            raise UnknownOrder(identity)
        return order

    def answer(self, identity: str, state: CommandState, detail: str | None = None) -> Order:
        """The person's answer; to repeat one changes nothing. Raise UnknownOrder, or FieldInvalid
        if the order cannot go there."""
        order = self.find(identity)
        if state is order.state:
            return order
        if order.act not in PERSONAL:
            raise FieldInvalid("id", f"the device itself carries out {order.act}", identity)
        if not order.can_reach(state):
            raise FieldInvalid("state", f"the order is {order.state}", str(state))
        self._reach(order, state, detail)
        return order

    def tick(self, identity: str, step: int) -> Order:
        """A step of the checklist is done; to tick it again changes nothing. Raise UnknownOrder,
        or FieldInvalid."""
        order = self.find(identity)
        if step in order.ticks:
            return order
        steps = 0 if order.checklist is None else len(order.checklist.steps)
        if not 0 <= step < steps:
            raise FieldInvalid("step", f"the checklist has {steps} steps, counted from 0", step)
        if not order.is_open:
            raise FieldInvalid("id", f"the order is {order.state}", identity)
        now_ms = self._now_ms()
        self._reply(now_ms, {"cmd": order.id, "state": "step", "step": step})
        order.ticks[step] = now_ms
        self._keep(order)
        return order

    # -- keeping and telling -----------------------------------------------

    def _reach(self, order: Order, state: CommandState, detail: str | None = None) -> None:
        """Told first, then kept: should the agent die in between it is told twice, never not."""
        if not order.can_reach(state):
            return
        order.reach(state, self._tell(order.id, state, detail), detail)
        self._keep(order)

    def _tell(self, identity: str, state: CommandState, detail: str | None = None) -> int:
        """The reply's time."""
        keys = {"cmd": identity, "state": state.value}
        if detail:
            keys["detail"] = detail[:MAX_TEXT_CHARS]
        now_ms = self._now_ms()
        self._reply(now_ms, keys)
        return now_ms

    def _keep(self, order: Order) -> None:
        if order.id in self._orders:
            self.file.hold(order.id, order.to_bytes())
        self._changed()

    def _make_room(self) -> None:
        """Ended orders go first, then messages, then the oldest. What is open is given up, told."""
        while len(self._orders) > MAX_HELD or self._held_bytes() > MAX_HELD_BYTES:
            *older, _newest = self._orders.values()
            order = min(older, key=_worth)
            self._reach(order, CommandState.FAILED, "gave way to newer orders")
            if (task := self._running.get(order.id)) is not None:
                task.cancel()
            del self._orders[order.id]
            self.file.let_go(order.id)

    def _held_bytes(self) -> int:
        return sum(order.size_bytes for order in self._orders.values())


def _worth(order: Order) -> tuple[bool, bool]:
    """What may go first is worth least: what has ended, and of that what no person reads."""
    return order.is_open, order.act != "text" if order.is_open else order.act in PERSONAL
