"""The life of a command: ordered, sent when its device is online, followed to its end."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.journal.base import Change, CommandRecord, CommandStep, Event, Journal
from gateway.journal.follow import follow, told, told_overdue
from gateway.order import (
    Addressed,
    CommandExists,
    Ended,
    Order,
    TooManyWaiting,
    UnknownCommand,
    checked_id,
    expiry,
)
from gateway.receipts import Down
from gateway.sending import URGENT, Pace, Sending, message
from gateway.twins import Twins
from protocols.commands import HELD, NEXT, Checklist, CommandState, args_of
from protocols.errors import FieldInvalid
from protocols.model import MAX_MESSAGE_BYTES, Lane
from protocols.native import codec, topics

TICK_S = 0.25
RECENT_KEPT = 1000
MOST_WAITING = 1000
"""Commands that may wait for one device."""

_WAITING = frozenset({CommandState.CREATED, CommandState.SENT})


class Commands:
    """Commands that their devices do not have yet, and the newest others, in memory.

    The records here run ahead of the disk by the commits under way: they serve
    to compute the next change. Nothing is sent, or told, that is not committed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        prefix: str,
        twins: Twins,
        publish: Callable[[Down], bool],
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        checklists: Mapping[str, Checklist] | None = None,
        on_step: Callable[[CommandRecord, CommandStep], None] = lambda record, step: None,
        on_kept: Callable[[CommandRecord], None] = lambda record: None,
    ) -> None:
        self._journal = journal
        self._prefix = prefix
        self._twins = twins
        self._publish = publish
        self._now_ms = now_ms
        self._now_s = now_s
        self.checklists: Mapping[str, Checklist] = {} if checklists is None else checklists
        self._on_step, self._on_kept = on_step, on_kept
        self._records: OrderedDict[str, CommandRecord] = OrderedDict()
        self._sending, self._pace = Sending(), Pace()
        self._under_way: dict[str, asyncio.Future[Any]] = {}
        self._perhaps_sent: set[str] = set()
        self._grouping = asyncio.Lock()
        self._watches: dict[str, set[asyncio.Queue[CommandRecord]]] = {}

    def restore(self, records: Sequence[CommandRecord]) -> None:
        """Take back what waited before a restart; what was not sent may have been."""
        for record in records:
            self._records[record.id] = record
            self._perhaps_sent.add(record.id)
            self._sending.add(record.device, record.id, record.act, record.exp)

    @property
    def waiting_count(self) -> int:
        """Commands that their devices do not have yet."""
        return len(self._sending)

    # ordered -----------------------------------------------------------------------------

    async def send(
        self,
        device: str,
        act: str,
        args: Mapping[str, Any],
        *,
        by: str | None = None,
        exp_ms: int | None = None,
        expires_s: float | None = None,
        command_id: str | None = None,
    ) -> CommandRecord:
        """Order something of one device; when this returns, it is committed.

        Raise FieldInvalid, TooManyWaiting, or CommandExists if the id was given to another
        request; to the same request again gives the command that there is.
        """
        order = Order(act=act, args=args, by=by, exp_ms=exp_ms, expires_s=expires_s)
        self._check(order)
        asked = order.digest(device)
        if command_id is not None:
            existing = await self.find(checked_id(command_id))
            if existing is not None:
                return await self._same(existing, asked)
        new = self._made(order, device, command_id or uuid.uuid4().hex, asked)
        await self._keep([new])
        return new

    async def send_to_all(
        self,
        target: Mapping[str, Any],
        order: Order,
        *,
        addressed: Callable[[], Addressed],
        group: str | None = None,
    ) -> list[CommandRecord]:
        """The same order to each of a target's devices, all or none; see ``send``.

        Each is a command of its own, ``{group}:{device}``. Who is addressed is decided once.
        """
        self._check(order)
        asked = order.digest(target)
        async with self._grouping:
            return await self._to_all(target, order, addressed, group, asked)

    async def _to_all(
        self,
        target: Mapping[str, Any],
        order: Order,
        addressed: Callable[[], Addressed],
        group: str | None,
        asked: str,
    ) -> list[CommandRecord]:
        if group is not None:
            there = await self._journal.commands(
                states=None, device=None, group=checked_id(group), before=2**63 - 1, limit=2**31
            )
            if there:
                return [await self._same(record, asked) for _, record in reversed(there)]
        group = group or uuid.uuid4().hex
        found, left_out = addressed()
        stuck = [device for device in found if self._sending.count(device) >= MOST_WAITING]
        left_out = (*left_out, *({"device": d, "why": "too many commands wait"} for d in stuck))
        devices = [device for device in found if device not in stuck]
        if stuck and not devices:
            raise TooManyWaiting(stuck[0], MOST_WAITING)
        new = [
            msgspec.structs.replace(
                self._made(order, device, f"{group}:{device}", asked),
                group=group,
                target=dict(target),
                left_out=left_out if device == devices[0] else (),
            )
            for device in devices
        ]
        await self._keep(new)
        return new

    def _check(self, order: Order) -> None:
        """Raise FieldInvalid if nobody could be asked for it."""
        if order.act == "cancel":
            raise FieldInvalid("act", "is sent to call a command back: cancel that one", "cancel")
        args_of(order.act, order.args)
        expiry(order, self._now_ms())

    def _made(self, order: Order, device: str, command_id: str, asked: str) -> CommandRecord:
        """The order as a new command; an instruction gets the checklist of its kind."""
        if self._sending.count(device) >= MOST_WAITING and order.act != "cancel":
            raise TooManyWaiting(device, MOST_WAITING)
        now = self._now_ms()
        args = msgspec.to_builtins(args_of(order.act, order.args))
        if order.act == "instruct" and "checklist" not in args and args["kind"] in self.checklists:
            args["checklist"] = msgspec.to_builtins(self.checklists[args["kind"]])
        record = CommandRecord(
            id=command_id,
            device=device,
            act=order.act,
            args=args,
            t=now,
            exp=expiry(order, now),
            steps=(CommandStep(state=CommandState.CREATED, t=now, by=order.by),),
            by=order.by,
            asked=asked,
        )
        size = len(codec.encode(message(record, now), as_json=True))
        if size > MAX_MESSAGE_BYTES:
            raise FieldInvalid("args", f"make a command of {size} bytes, {MAX_MESSAGE_BYTES} fit")
        return record

    async def _keep(self, records: Sequence[CommandRecord]) -> None:
        """Commit new commands together; once they are, they are sent."""
        if not records:
            return
        for record in records:
            if record.id in self._records:
                raise CommandExists(record.id)
        events = [told(record, CommandState.CREATED, record.t) for record in records]
        for record in records:
            self._remember(record)
        cursors = await asyncio.shield(self._commit(events, records))
        if 0 in cursors:  # the id was used long ago
            raise CommandExists(records[cursors.index(0)].id)

    async def _same(self, existing: CommandRecord, asked: str) -> CommandRecord:
        if existing.asked != asked:
            raise CommandExists(existing.id)
        if existing.id in self._under_way:
            await asyncio.wait([self._under_way[existing.id]])
        return existing

    # called back -------------------------------------------------------------------------

    async def cancel(self, command_id: str, *, by: str | None = None) -> CommandRecord:
        """Call a command back; raise UnknownCommand or Ended. Again changes nothing.

        What may have been sent is called back by a command of its own, ``{id}:cancel``.
        """
        back_id = f"{command_id}:cancel"
        is_back = await self.find(back_id) is not None  # an id that somebody has chosen
        record = await self.find(command_id)
        if record is None:
            raise UnknownCommand(command_id)
        if record.state is CommandState.CANCELLED:
            return await self._same(record, record.asked)
        if CommandState.CANCELLED not in NEXT[record.state]:
            raise Ended(record.id, record.state)
        now = self._now_ms()
        was_sent = record.state is not CommandState.CREATED or record.id in self._perhaps_sent
        event = told(record, CommandState.CANCELLED, now, by=by)
        after, _ = follow(record, event)
        self._remember(after, record)
        events, records = [event], [after]
        if was_sent and record.act != "cancel" and not is_back:
            order = Order(act="cancel", args={"id": record.id}, by=by)
            back = self._made(order, record.device, back_id, "")
            events.append(told(back, CommandState.CREATED, now))
            records.append(back)
            self._remember(back)
        await asyncio.shield(self._commit(events, records))
        return after

    # read --------------------------------------------------------------------------------

    async def find(self, command_id: str) -> CommandRecord | None:
        """The newest state of a command. A change must follow without waiting in between."""
        if command_id in self._records:
            return self._records[command_id]
        kept = await self._journal.command(command_id)
        return self._records.get(command_id, kept)

    @contextlib.asynccontextmanager
    async def watch(self, command_id: str) -> AsyncGenerator[asyncio.Queue[CommandRecord]]:
        """A queue of what becomes of a command: its record after each commit from now on.

        It holds the newest only: who is slow misses states, never the last one.
        """
        queue: asyncio.Queue[CommandRecord] = asyncio.Queue(1)
        self._watches.setdefault(command_id, set()).add(queue)
        try:
            yield queue
        finally:
            self._watches[command_id].remove(queue)
            if not self._watches[command_id]:
                del self._watches[command_id]

    # answered ----------------------------------------------------------------------------

    async def take(self, event: Event) -> Change:
        """A device's reply: what is to be committed for it. Then ``after_commit``."""
        command_id = event.data["cmd"]
        record = await self.find(command_id)
        after, flags = record, event.flags
        if record is None:
            flags += ("command_unknown",)
        elif event.device != record.device:
            flags += ("command_other",)
        else:
            after, said = follow(record, event)
            flags += said
        events = (msgspec.structs.replace(event, flags=flags),)
        if after is None or after is record:
            return Change(events=events)
        self._remember(after, record)
        return Change(events=events, commands=(after,))

    def after_commit(self, change: Change, cursors: Sequence[int]) -> None:
        """It is committed; or, for a cursor of 0, the journal knew better than we did."""
        for record in change.commands:
            if 0 in cursors:
                self._records.pop(record.id, None)
                self._sending.remove(record.device, record.id)
            else:
                self._settled(record)

    def _settled(self, record: CommandRecord) -> None:
        """Tell who watches, and send what is due."""
        if record.state not in _WAITING:
            self._sending.remove(record.device, record.id)
            self._perhaps_sent.discard(record.id)
            self._pace.answered(record.id)
        elif record.state is CommandState.CREATED:
            self._sending.add(record.device, record.id, record.act, record.exp)
        self._on_kept(record)
        for queue in self._watches.get(record.id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(record)
        self._go_on(record.device)

    # sent --------------------------------------------------------------------------------

    def came_online(self, device: str) -> None:
        """The device connects: it gets what waits, and what it has not answered once more."""
        self._sending.came_back(device)
        self._go_on(device)

    async def run(self) -> None:
        """Send what is due, and end what was not delivered in its time, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.look()

    def look(self) -> None:
        """Send what is due now, end what is past its time."""
        now = self._now_ms()
        for command_id in self._sending.expired(now):
            record = self._records[command_id]
            if CommandState.EXPIRED not in NEXT[record.state]:
                continue  # its answer is being committed
            was_sent = record.state is CommandState.SENT
            cause = "sent, no answer" if was_sent else "not online in time"
            self._step(record, CommandState.EXPIRED, now, cause=cause)
        for device in self._sending.devices:
            self._go_on(device)

    def _go_on(self, device: str) -> None:
        if not self._sending.count(device):
            return
        twin = self._twins.of(device)
        if self._twins.state(twin) == "offline":  # one that is silent has a connection still
            return
        now = self._now_ms()
        for command_id in self._sending.due(device, self._now_s()):
            record = self._records[command_id]
            if record.state not in _WAITING or record.exp <= now:
                continue  # its end is being committed
            is_paced = record.group is not None and record.act not in URGENT
            if is_paced and not self._pace.take(command_id, self._now_s()):
                continue  # its turn comes; what is urgent goes before it
            payload = codec.encode(message(record, now), as_json=twin.speaks_json)
            topic = topics.down(self._prefix, device, topics.Down.CMD)
            # What is left of its time: after that the broker drops it.
            expiry_s = max(1, (record.exp - now) // 1000)
            # By the other client: receipts of alarms share no room with commands.
            if not self._publish(Down(topic, payload, expiry_s=expiry_s, lane=Lane.TELEMETRY)):
                return  # no connection, or too much under way: the next turn tries again
            self._sending.sent(device, command_id, self._now_s())
            if record.state is CommandState.CREATED:
                self._step(record, CommandState.SENT, now)

    def _step(self, record: CommandRecord, state: CommandState, now: int, **why: str) -> None:
        event = told(record, state, now, **why)
        after, _ = follow(record, event)
        self._remember(after, record)
        self._commit([event], [after])

    async def overdue(self, command_id: str) -> None:
        """Its device has it, and its end should have come: told once, its state stays."""
        record = await self.find(command_id)
        if record is None or record.state not in HELD or record.overdue is not None:
            return
        event = told_overdue(record, self._now_ms())
        after, _ = follow(record, event)
        self._remember(after, record)
        await asyncio.shield(self._commit([event], [after]))

    # kept --------------------------------------------------------------------------------

    def _remember(self, record: CommandRecord, before: CommandRecord | None = None) -> None:
        """Keep it at hand; the oldest that nothing waits for may go: the journal knows them."""
        for step in record.steps[len(before.steps) if before is not None else 0 :]:
            self._on_step(record, step)
        self._records[record.id] = record
        self._records.move_to_end(record.id)
        if len(self._records) - len(self._sending) < 2 * RECENT_KEPT:
            return
        for each in list(self._records.values())[:-RECENT_KEPT]:
            if each.state not in _WAITING and not self._sending.holds(each.device, each.id):
                del self._records[each.id]

    def _commit(
        self, events: Sequence[Event], records: Sequence[CommandRecord]
    ) -> asyncio.Future[list[int]]:
        """Hand over to the journal, now and in this order; gives the cursors once all is told."""
        change = Change(events=events, commands=records)
        committed = self._journal.commit(change)
        done: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        for record in records:
            self._under_way[record.id] = done

        def settle(future: asyncio.Future[tuple[list[int], int]]) -> None:
            for record in records:
                if self._under_way.get(record.id) is done:
                    del self._under_way[record.id]
            if future.cancelled():
                done.cancel()
            elif (failure := future.exception()) is not None:
                done.set_exception(failure)
                done.exception()  # whoever asked may have gone by then
            else:
                cursors, _ = future.result()
                self.after_commit(change, cursors)
                done.set_result(cursors)

        committed.add_done_callback(settle)
        return done
