"""Commands over HTTP: ordered of one device or of many, followed to their ends, called back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.api import params
from gateway.api.body import body_of
from gateway.api.idempotency import HEADER
from gateway.api.parts import Commands, Targets
from gateway.api.problems import Problem
from gateway.api.routes import Route, caller, json_answer
from gateway.journal.base import CommandRecord, Reader
from gateway.order import (
    MOST_DEVICES,
    Addressed,
    CommandExists,
    Ended,
    Order,
    Target,
    TooManyWaiting,
    UnknownCommand,
    check_target,
    checked_id,
)
from gateway.registry import Registry, Role
from protocols.commands import ACTIONS, HELD, OPEN, Checklist, CommandState
from protocols.errors import FieldInvalid
from protocols.model import Name
from protocols.native.topics import check_device_id

_STATE = params.some_of(
    "state",
    "States; all if not given.",
    {state.value: state for state in CommandState},
)
_DEVICE = params.text("device", "Commands to this device alone.")
_GROUP = params.text("group", "Those that were ordered together.")
_BEFORE = params.before("commands created")
_LIMIT = params.integer("limit", "How many commands at most.", default=100, low=1, high=1000)
_BEYOND = params.integer(
    "beyond",
    "So many entries of the timeline are known: wait for more of them.",
    default=0,
    low=0,
    high=1000,
)
_WAIT_S = params.integer("wait_s", "How long to wait at most.", default=0, low=0, high=60)

ORDERED = sorted(set(ACTIONS) - {"cancel"})
"""The actions that can be ordered here; a command is cancelled under its own path."""

MOMENTS = [*(state.value for state in CommandState), "step", "overdue"]
"""What an entry of a timeline can say."""

EXAMPLE = {"act": "locate", "args": {"seconds": 60}, "by": "desk 3"}


class OrderBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is ordered. ``exp``: ms since 1970; or ``expires_s`` from now; else by the action.

    ``id``: of the sender's choice. The same request under it again is the same command.
    """

    act: Annotated[str, Meta(extra_json_schema={"enum": ORDERED})]
    args: dict[str, Any] = {}
    by: Name | None = None
    exp: int | None = None
    expires_s: float | None = None
    id: Annotated[str, Meta(max_length=64)] | None = None

    def order(self, caller: str | None) -> Order:
        """The order; by the caller, if it does not say by whom."""
        by = self.by or caller
        return Order(act=self.act, args=self.args, by=by, exp_ms=self.exp, expires_s=self.expires_s)


class GroupBody(OrderBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, and who it is for."""

    to: Target


def _each(body: type[OrderBody], suffix: str) -> dict[str, type[Struct]]:
    """The body of each action, with what that action takes: as programs want it described."""
    found: dict[str, type[Struct]] = {}
    for act in ORDERED:
        kind, is_needed = ACTIONS[act], False
        if act != "config":
            is_needed = any(field.required for field in msgspec.structs.fields(kind))
        args: Any = ("args", kind) if is_needed else ("args", kind, {})
        name = "".join(word.title() for word in act.split("_")) + suffix
        fields: list[Any] = [("act", Literal[act]), args]
        found[act] = msgspec.defstruct(name, fields, bases=(body,), frozen=True, kw_only=True)
    return found


ORDERS, GROUP_ORDERS = _each(OrderBody, "Order"), _each(GroupBody, "GroupOrder")


class CancelBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who calls it back."""

    by: Name | None = None


class Moment(Struct, frozen=True, kw_only=True):
    """One entry of a timeline. ``t``: the gateway's clock, ``device_t``: the device's, in ms.

    ``state`` is ``step`` where a step of a checklist was done, or some progress was told, and
    ``overdue`` where its end should have come.
    """

    t: int
    state: Annotated[str, Meta(extra_json_schema={"enum": MOMENTS})]
    device_t: int | None = None
    step: int | None = None
    by: str | None = None
    cause: str | None = None
    detail: str | None = None


class CommandView(Struct, frozen=True, kw_only=True):
    """One command, and all that became of it, in order. Times in ms.

    ``overdue``: since when its device, which has it, should have ended it; null if not.
    """

    id: str
    device: str
    act: Annotated[str, Meta(extra_json_schema={"enum": [*ACTIONS]})]
    args: dict[str, Any]
    t: int
    exp: int
    by: str | None
    group: str | None
    target: Target | None
    flags: tuple[str, ...]
    state: CommandState
    overdue: int | None
    timeline: list[Moment]

    @classmethod
    def of(cls, record: CommandRecord) -> CommandView:
        """The view of a record."""
        seen = {name: getattr(record, name) for name in cls.__struct_fields__[:-2]}
        seen["target"] = msgspec.convert(record.target, Target | None)
        overdue = record.overdue if record.state in HELD else None
        return cls(timeline=timeline(record), overdue=overdue, **seen)


class CommandPage(Struct, frozen=True):
    """Commands, newest first, and what to give as ``before`` for older ones; null at the end."""

    commands: list[CommandView]
    next: int | None


class LeftOut(Struct, frozen=True):
    """A device that could not be addressed."""

    device: str
    why: str


class GroupView(Struct, frozen=True):
    """Commands that were ordered together, and who could not be addressed, with why."""

    group: str | None
    commands: list[CommandView]
    left_out: list[LeftOut]


def timeline(record: CommandRecord) -> list[Moment]:
    """Its steps and ticks in the order of their times; of the same ms the end comes last."""
    steps = [Moment(**msgspec.structs.asdict(step)) for step in record.steps]
    ticks = [Moment(state="step", **msgspec.structs.asdict(tick)) for tick in record.ticks]
    moments = [*(each for each in steps if each.state in OPEN), *ticks]
    if record.overdue is not None:
        moments.append(Moment(t=record.overdue, state="overdue", cause="no end in its time"))
    moments += [each for each in steps if each.state not in OPEN]
    return sorted(moments, key=lambda moment: moment.t)


class ChecklistList(Struct, frozen=True):
    """What goes with an instruction of each kind (`id`), if the order brings none of its own."""

    checklists: list[Checklist]


class CommandRoutes:
    """Ordering, reading, calling back."""

    def __init__(
        self, registry: Registry, reader: Reader, commands: Commands, targets: Targets
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._commands = commands
        self._targets = targets

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="POST",
                path="/api/v1/devices/{id}/commands",
                handler=self.send,
                name="send_command",
                summary="Order something of a device. The key Idempotency-Key may stand for `id`.",
                role=Role.DISPATCHER,
                body=OrderBody,
                bodies=("act", ORDERS),
                act="command.send",
                answer=CommandView,
                status=201,
                problems=(409, 429),
                example=EXAMPLE,
            ),
            Route(
                method="POST",
                path="/api/v1/commands",
                handler=self.send_to_all,
                name="send_to_many",
                summary="Order something of a unit, or of all units in a grid or around a place.",
                role=Role.DISPATCHER,
                body=GroupBody,
                bodies=("act", GROUP_ORDERS),
                act="command.send",
                answer=GroupView,
                status=201,
                problems=(409, 429),
                example={**EXAMPLE, "to": {"device": "car-007"}},
            ),
            Route(
                method="GET",
                path="/api/v1/devices/{id}/commands",
                handler=self.page,
                name="list_device_commands",
                summary="A device's commands, newest first.",
                params=(_STATE, _GROUP, _BEFORE, _LIMIT),
                answer=CommandPage,
            ),
            Route(
                method="GET",
                path="/api/v1/commands",
                handler=self.page,
                name="list_commands",
                summary="Commands, newest first.",
                params=(_STATE, _DEVICE, _GROUP, _BEFORE, _LIMIT),
                answer=CommandPage,
            ),
            Route(
                method="GET",
                path="/api/v1/commands/{id}",
                handler=self.show,
                name="get_command",
                summary="One command with its timeline; waits for news of it if asked to.",
                params=(_BEYOND, _WAIT_S),
                answer=CommandView,
            ),
            Route(
                method="POST",
                path="/api/v1/commands/{id}/cancel",
                handler=self.cancel,
                name="cancel_command",
                summary="Call a command back. Again changes nothing.",
                role=Role.DISPATCHER,
                body=CancelBody,
                act="command.cancel",
                answer=CommandView,
                problems=(409,),
                example={"by": "desk 3"},
            ),
            Route(
                method="POST",
                path="/api/v1/groups/{id}/cancel",
                handler=self.cancel_group,
                name="cancel_group",
                summary="Call back all that was ordered together; what has ended stays as it is.",
                role=Role.DISPATCHER,
                body=CancelBody,
                act="group.cancel",
                answer=GroupView,
                example={"by": "desk 3"},
            ),
            Route(
                method="GET",
                path="/api/v1/checklists",
                handler=self.checklists,
                name="list_checklists",
                summary="The checklist of each kind of incident.",
                answer=ChecklistList,
            ),
        ]

    async def send(self, request: web.Request) -> web.Response:
        """To one device."""
        device = request.match_info["id"]
        body = await body_of(request, OrderBody)
        known = self._registry.get(device)
        if known is None or known.revoked:
            raise Problem(404, f"device {device} is not registered", device=device)
        try:
            record = await self._commands.send(
                device,
                body.act,
                body.args,
                by=body.by or caller(request),
                exp_ms=body.exp,
                expires_s=body.expires_s,
                command_id=_chosen_id(request, body),
            )
        except (CommandExists, TooManyWaiting) as error:
            raise _conflict(error) from error
        headers = {"Location": f"/api/v1/commands/{record.id}"}
        return json_answer(CommandView.of(record), status=201, headers=headers)

    async def send_to_all(self, request: web.Request) -> web.Response:
        """To all that a target is."""
        body = await body_of(request, GroupBody)
        check_target(body.to)
        addressed = Addressed(())

        def find() -> Addressed:
            nonlocal addressed
            addressed = self._targets.addressed(body.to)
            return addressed

        try:
            records = await self._commands.send_to_all(
                msgspec.to_builtins(body.to),
                body.order(caller(request)),
                addressed=find,
                group=_chosen_id(request, body),
            )
        except (CommandExists, TooManyWaiting) as error:
            raise _conflict(error) from error
        group = records[0].group if records else None
        left_out = records[0].left_out if records else addressed.left_out
        views = [CommandView.of(record) for record in records]
        return json_answer(GroupView(group, views, _left_out(left_out)), status=201)

    async def page(self, request: web.Request) -> web.Response:
        """A page."""
        limit, device = _LIMIT.read(request), request.match_info.get("id")
        if device is not None:
            check_device_id(device)
        found = await self._reader.commands(
            states=_STATE.read(request),
            device=device or _DEVICE.read(request),
            group=_GROUP.read(request),
            before=_BEFORE.read(request),
            limit=limit,
        )
        older = found[-1][0] if len(found) == limit else None
        return json_answer(CommandPage([CommandView.of(record) for _, record in found], older))

    async def show(self, request: web.Request) -> web.Response:
        """One command; with ``wait_s``, once more is known of it than the caller knows."""
        beyond, wait_s = _BEYOND.read(request), _WAIT_S.read(request)
        async with self._commands.watch(request.match_info["id"]) as news:
            record = await self._command(request)
            try:
                async with asyncio.timeout(wait_s):
                    while wait_s and len(record.steps) + len(record.ticks) <= beyond:
                        record = await news.get()
            except TimeoutError:
                pass
        return json_answer(CommandView.of(record))

    async def cancel(self, request: web.Request) -> web.Response:
        """Call it back."""
        body = await body_of(request, CancelBody)
        record = await self._command(request)
        try:
            record = await self._commands.cancel(record.id, by=body.by or caller(request))
        except Ended as error:
            raise Problem(409, str(error), command=record.id, state=error.state) from error
        except UnknownCommand as error:
            raise Problem(404, str(error), command=record.id) from error
        return json_answer(CommandView.of(record))

    async def cancel_group(self, request: web.Request) -> web.Response:
        """Call back what of them has not ended."""
        group, body = request.match_info["id"], await body_of(request, CancelBody)
        found = await self._reader.commands(
            states=None, device=None, group=group, before=params.MAX_CURSOR, limit=MOST_DEVICES
        )
        if not found:
            raise Problem(404, f"there is no group {group}", group=group)
        by = body.by or caller(request)
        records = [record for _, record in reversed(found)]
        after = await asyncio.gather(*(self._called_back(record, by) for record in records))
        views = [CommandView.of(record) for record in after]
        return json_answer(GroupView(group, views, _left_out(records[0].left_out)))

    async def _called_back(self, record: CommandRecord, by: str | None) -> CommandRecord:
        try:
            return await self._commands.cancel(record.id, by=by)
        except Ended:
            return await self._reader.command(record.id) or record

    async def checklists(self, _: web.Request) -> web.Response:
        """All of them."""
        return json_answer(ChecklistList([*self._commands.checklists.values()]))

    async def _command(self, request: web.Request) -> CommandRecord:
        command_id = request.match_info["id"]
        record = await self._reader.command(command_id)
        if record is None:
            raise Problem(404, f"there is no command {command_id}", command=command_id)
        return record


def _chosen_id(request: web.Request, body: OrderBody) -> str | None:
    """The id that the sender chose: in the body, or the key of the request."""
    key = request.headers.get(HEADER, "").strip('"')
    if body.id is not None or not key:
        return body.id
    try:
        return checked_id(key)
    except FieldInvalid:  # a key may have characters that an id has not
        return f"key-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _left_out(found: Sequence[Mapping[str, str]]) -> list[LeftOut]:
    return msgspec.convert(found, list[LeftOut])


def _conflict(error: CommandExists | TooManyWaiting) -> Problem:
    if isinstance(error, CommandExists):
        return Problem(409, str(error), command=error.command_id)
    return Problem(429, str(error), device=error.device)
