"""What may be asked of the agent, whoever carries the question: its routes and their bodies.

POST /press   {"kind", "zone", "silent", "text"}
POST /duty    {"act", "ref", "crew"}
POST /reset   lets go of the latched buttons
POST /orders/ID       {"state", "detail"}: the crew's answer to an order
POST /orders/ID/step  {"step"}: a step of its checklist is done
GET  /status, /alarms, /alarms/SEQ[?boot=…], /reports, /orders, /orders/ID
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Protocol, TypeAlias
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Struct

from edge.alarms import AlarmTrack, Step
from edge.news import News
from edge.orders import Orders, UnknownOrder
from edge.reports import ReportTrack
from protocols.commands import CommandState
from protocols.errors import FieldInvalid
from protocols.fields import convert
from protocols.model import DutyAct, Name, Text

MAX_BODY_BYTES = 16 * 1024

PressedKind: TypeAlias = Literal[
    "panic", "duress", "hold_up", "fire", "medical", "tamper", "man_down", "test"
]


class Press(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /press."""

    kind: PressedKind = "panic"
    zone: Text | None = None
    silent: bool | None = None
    text: Text | None = None


class Duty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /duty."""

    act: DutyAct
    ref: Text | None = None
    crew: Annotated[list[Name], Meta(max_length=32)] | None = None


class AnswerToOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /orders/ID."""

    state: Literal["shown", "accepted", "refused", "done", "failed"]
    detail: Text | None = None


class Tick(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /orders/ID/step; steps count from 0."""

    step: int


class Device(Protocol):
    """What the requests drive."""

    orders: Orders
    news: News

    @property
    def boot(self) -> int:
        """The boot number in force."""

    def press(
        self, kind: PressedKind, *, zone: str | None, silent: bool | None, text: str | None
    ) -> AlarmTrack:
        """A press; returns when it is durably spooled."""

    def duty(self, act: DutyAct, *, ref: str | None, crew: list[str] | None) -> str:
        """A duty report; its message id."""

    def reset(self) -> None:
        """Let go of the latched buttons."""

    def status(self) -> dict[str, object]:
        """How the device is."""

    def alarm(self, boot: int, seq: int) -> AlarmTrack | None:
        """An alarm and how far it has got."""

    def alarms(self) -> list[AlarmTrack]:
        """The latest alarms."""

    def reports(self) -> list[ReportTrack]:
        """The latest duty reports."""


class Refusal(Exception):
    """A request that is not answered with 200."""

    def __init__(self, status: int, title: str, **facts: object) -> None:
        super().__init__(title)
        self.status = status
        self.problem = {"title": title, "status": status, **facts}


Answer: TypeAlias = dict[str, object] | AlarmTrack


def answer(device: Device, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    """Do what is asked; raise Refusal. What is reported is durably spooled then."""
    try:
        return _route(device, method, path, query, body)
    except FieldInvalid as error:
        raise Refusal(400, str(error), field=error.field, value=error.value) from None
    except UnknownOrder as error:
        raise Refusal(404, f"no order {error} is held here") from None


def _route(device: Device, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    if method == "GET" and path.startswith("/alarms/"):
        return _alarm(device, path.removeprefix("/alarms/"), query.get("boot"))
    if path.startswith("/orders/"):
        return _order(device.orders, method, path, body)
    routes: dict[tuple[str, str], Callable[[], Answer]] = {
        ("POST", "/press"): lambda: _press(device, body),
        ("POST", "/duty"): lambda: _duty(device, body),
        ("POST", "/reset"): lambda: _reset(device),
        ("GET", "/status"): device.status,
        ("GET", "/alarms"): lambda: {"alarms": [alarm_shown(a) for a in device.alarms()]},
        ("GET", "/reports"): lambda: {"reports": [report_shown(r) for r in device.reports()]},
        ("GET", "/orders"): lambda: {"orders": [order.shown() for order in device.orders.held()]},
    }
    if (method, path) in routes:
        return routes[method, path]()
    allowed = [known for known, route in routes if route == path]
    if allowed:
        raise Refusal(405, f"{method} {path}", allow=allowed)
    raise Refusal(404, f"nothing at {path}")


def shown(found: Answer) -> dict[str, object]:
    """An answer as it goes out."""
    return alarm_shown(found) if isinstance(found, AlarmTrack) else found


def alarm_shown(track: AlarmTrack) -> dict[str, object]:
    """An alarm and how far it has got."""
    return {
        "id": track.id,
        "boot": track.boot,
        "seq": track.seq,
        "kind": track.kind,
        "count": track.count,
        "stage": track.stage,
        "steps": [step_shown(step) for step in track.steps],
    }


def report_shown(track: ReportTrack) -> dict[str, object]:
    """A duty report and how far it has got."""
    return {
        "id": track.id,
        "act": track.act,
        "ref": track.ref,
        "stage": track.stage,
        "steps": [step_shown(step) for step in track.steps],
    }


def step_shown(step: Step) -> dict[str, object]:
    """A stage of an alarm."""
    about: dict[str, object] = {"stage": step.stage, "t": step.t}
    return about if step.by is None else {**about, "by": step.by}


def _press(device: Device, body: bytes) -> AlarmTrack:
    press = _parse(body, Press)
    return device.press(press.kind, zone=press.zone, silent=press.silent, text=press.text)


def _duty(device: Device, body: bytes) -> dict[str, object]:
    duty = _parse(body, Duty)
    return {"id": device.duty(duty.act, ref=duty.ref, crew=duty.crew)}


def _reset(device: Device) -> dict[str, object]:
    device.reset()
    return {}


def _alarm(device: Device, seq: str, boot: str | None) -> AlarmTrack:
    track = device.alarm(
        device.boot if boot is None else _number("boot", boot), _number("seq", seq)
    )
    if track is None:
        raise Refusal(404, f"no alarm {seq} is followed here")
    return track


def _order(orders: Orders, method: str, path: str, body: bytes) -> dict[str, object]:
    _, _, quoted, *rest = path.split("/")
    identity = unquote(quoted)
    if (method, rest) == ("GET", []):
        return orders.find(identity).shown()
    if (method, rest) == ("POST", []):
        answered = _parse(body, AnswerToOrder)
        return orders.answer(identity, CommandState(answered.state), answered.detail).shown()
    if (method, rest) == ("POST", ["step"]):
        return orders.tick(identity, _parse(body, Tick).step).shown()
    if rest in ([], ["step"]):
        raise Refusal(405, f"{method} {path}", allow=["POST"] if rest else ["GET", "POST"])
    raise Refusal(404, f"nothing at {path}")


def _number(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise FieldInvalid(field, "must be a number", text)
    return int(text)


def _parse(body: bytes, kind: type[Any]) -> Any:
    try:
        value = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FieldInvalid("body", f"not JSON: {error}") from None
    return convert(value, kind)
