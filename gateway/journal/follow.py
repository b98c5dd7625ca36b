"""How far a command has got, by the events that tell of it: the gateway's own, and replies."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.journal.base import CommandRecord, CommandStep, Event, EventType, Tick
from protocols.commands import NEXT, OPEN, CommandState

MAX_TICKS = 64
MAX_STEPS = 32
"""Of a checklist: what is told beyond it is kept as an event only."""

Flags = tuple[str, ...]


def told(record: CommandRecord, state: CommandState, t: int, **why: Any) -> Event:
    """The gateway's own event: the command reaches a state at a time, for a cause."""
    data = {"cmd": record.id, "state": state.value, "t": t}
    data |= {key: value for key, value in why.items() if value is not None}
    if state is CommandState.CREATED:
        keys = ("act", "args", "exp", "group", "target", "left_out", "flags")
        said = {"by": record.by, **{key: getattr(record, key) for key in keys}}
        data |= {key: value for key, value in said.items() if value}
    return Event(
        type=EventType.COMMAND,
        id=f"{record.id}/{state}",
        device=record.device,
        t=t,
        received=t,
        data=data,
    )


def told_overdue(record: CommandRecord, t: int) -> Event:
    """The gateway's own event: the command should have ended, and stays as it is."""
    event = told(record, record.state, t)
    return msgspec.structs.replace(
        event, id=f"{record.id}/overdue", data={**event.data, "overdue": t}
    )


def created(event: Event) -> CommandRecord:
    """The command as the event of its creation tells of it."""
    data = event.data
    return CommandRecord(
        id=data["cmd"],
        device=event.device,
        act=data["act"],
        args=data.get("args", {}),
        t=event.t,
        exp=data["exp"],
        steps=(CommandStep(state=CommandState.CREATED, t=event.t, by=data.get("by")),),
        by=data.get("by"),
        group=data.get("group"),
        target=data.get("target"),
        left_out=tuple(data.get("left_out", ())),
    )


def follow(record: CommandRecord, event: Event) -> tuple[CommandRecord, Flags]:
    """The command after an event, and what is to be said of that event.

    What leads nowhere changes nothing: too late, told already, or overtaken by a later state.
    """
    data = event.data
    if "overdue" in data and "seq" not in data:
        return msgspec.structs.replace(record, overdue=event.t), ()
    if "seq" not in data:
        state = CommandState(data["state"])
        if state not in NEXT[record.state]:
            return record, ()
        about = {key: data[key] for key in ("by", "cause") if data.get(key)}
        return _with(record, CommandStep(state=state, t=event.t, **about)), ()
    device_t = event.t if event.t > 0 else None
    detail = data.get("detail")
    if data["state"] == "step":
        tick = Tick(t=event.received, step=data.get("step"), device_t=device_t, detail=detail)
        return _ticked(record, tick)
    state = CommandState(data["state"])
    flags = _answer_flags(record, state)
    if state in NEXT[record.state]:
        step = CommandStep(state=state, t=event.received, device_t=device_t, detail=detail)
        record = _with(record, step)
    return record, flags


def _answer_flags(record: CommandRecord, state: CommandState) -> Flags:
    if state in NEXT[record.state]:
        return () if record.state in OPEN else ("late",)
    if any(step.state is state for step in record.steps):
        return ("repeated",)
    return ("overtaken",) if record.state in OPEN else ("late",)


def _ticked(record: CommandRecord, tick: Tick) -> tuple[CommandRecord, Flags]:
    flags = _tick_flags(record, tick)
    if flags not in ((), ("late",)):
        return record, flags
    ticks = (*record.ticks, tick)
    if CommandState.DELIVERED in NEXT[record.state]:  # who works on it has it
        step = CommandStep(
            state=CommandState.DELIVERED, t=tick.t, device_t=tick.device_t, cause="step"
        )
        record = _with(record, step)
    return msgspec.structs.replace(record, ticks=ticks), flags


def _tick_flags(record: CommandRecord, tick: Tick) -> Flags:
    if any((tick.step, tick.detail) == (t.step, t.detail) for t in record.ticks):
        return ("repeated",)
    if tick.step is not None and any(tick.step == t.step for t in record.ticks):
        return ("repeated",)
    beyond = tick.step is not None and tick.step >= _count_of_steps(record)
    if beyond or len(record.ticks) >= MAX_TICKS:
        return ("step_unknown",)
    return () if record.state in OPEN else ("late",)


def _count_of_steps(record: CommandRecord) -> int:
    checklist = record.args.get("checklist", record.args)
    steps = checklist.get("steps") if isinstance(checklist, dict) else None
    return len(steps) if isinstance(steps, (list, tuple)) else MAX_STEPS


def _with(record: CommandRecord, step: CommandStep) -> CommandRecord:
    return msgspec.structs.replace(record, steps=(*record.steps, step))
