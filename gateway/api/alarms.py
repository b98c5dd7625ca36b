"""Alarms over HTTP: which there are, how far each has got, and the dispatch core's answers."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from aiohttp import web
from msgspec import Meta, Struct

from gateway.api import params
from gateway.api.body import body_of
from gateway.api.parts import Alarms
from gateway.api.problems import Problem
from gateway.api.routes import Route, caller, json_answer
from gateway.journal.base import AlarmRecord, Reader, StageChange
from gateway.registry import Role
from protocols.model import AlarmKind, Stage, Text

ACTS = {"accept": Stage.ACCEPTED, "acknowledge": Stage.ACKNOWLEDGED, "close": Stage.CLOSED}
"""The answers of the dispatch core, and the stage that each brings an alarm to."""

_STAGE = params.some_of(
    "stage",
    "Stages; all if not given.",
    {stage.value: stage for stage in Stage},
)
_DEVICE = params.text("device", "Alarms of this device alone.")
_BEFORE = params.before("alarms raised")
_KIND = params.some_of(
    "kind",
    "Kinds; all if not given.",
    {kind: kind for kind in get_args(AlarmKind)},
)
_FROM = params.moment("from", "That came then or later.", default=params.EARLIEST_MS)
_TO = params.moment("to", "That came before.", default=params.LATEST_MS)
_LIMIT = params.integer("limit", "How many alarms at most.", default=100, low=1, high=1000)


class AlarmView(Struct, frozen=True, kw_only=True):
    """One alarm: its ``data`` as the device sent them, its stages in order. Times in ms."""

    id: str
    device: str
    boot: int
    seq: int
    kind: AlarmKind
    t: int
    received: int
    stage: Stage
    stages: tuple[StageChange, ...]
    count: int
    flags: tuple[str, ...]
    clock_offset_ms: int | None
    data: dict[str, Any]

    @classmethod
    def of(cls, record: AlarmRecord) -> AlarmView:
        """The view of a record."""
        return cls(**{name: getattr(record, name) for name in cls.__struct_fields__})


class AlarmPage(Struct, frozen=True):
    """Alarms, newest first, and what to give as ``before`` for older ones; null at the end.

    A page may have fewer than asked for, or none, and be followed by more.
    """

    alarms: list[AlarmView]
    next: int | None


BATCH, MOST_READ = 1000, 20_000
"""A page reads so many alarms at most, so many at a time."""


class Answer(Struct, frozen=True):
    """Who answers, and what there is to say; both may be left out."""

    by: Annotated[str, Meta(max_length=64)] | None = None
    note: Text | None = None


class AlarmRoutes:
    """Reading alarms and answering them."""

    def __init__(self, reader: Reader, alarms: Alarms) -> None:
        self._reader = reader
        self._alarms = alarms

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/alarms",
                handler=self.page,
                name="list_alarms",
                summary="Alarms, newest first.",
                params=(_STAGE, _DEVICE, _KIND, _FROM, _TO, _BEFORE, _LIMIT),
                answer=AlarmPage,
            ),
            Route(
                method="GET",
                path="/api/v1/alarms/{id}",
                handler=self.show,
                name="get_alarm",
                summary="One alarm.",
                answer=AlarmView,
            ),
            *(
                Route(
                    method="POST",
                    path=f"/api/v1/alarms/{{id}}/{act}",
                    handler=self.advance,
                    name=f"{act}_alarm",
                    summary=f"The alarm is {stage}: the box shows it. Again changes nothing.",
                    role=Role.DISPATCHER,
                    body=Answer,
                    act=f"alarm.{act}",
                    example={"by": "desk 3", "note": "known to the core"},
                    answer=AlarmView,
                )
                for act, stage in ACTS.items()
            ),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """A page."""
        limit, before, read = _LIMIT.read(request), _BEFORE.read(request), 0
        stages, device, kinds = _STAGE.read(request), _DEVICE.read(request), _KIND.read(request)
        since, until = _FROM.read(request), _TO.read(request)
        is_sifted = kinds is not None or (since, until) != (params.EARLIEST_MS, params.LATEST_MS)
        batch = BATCH if is_sifted else limit
        found: list[AlarmView] = []
        older: int | None = before
        while older is not None and len(found) < limit and read < MOST_READ:
            records = await self._reader.alarms(
                stages=stages, device=device, before=older, limit=batch
            )
            read += len(records)
            older = records[-1][0] if len(records) == batch else None
            for cursor, record in records:
                if (kinds is None or record.kind in kinds) and since <= record.received < until:
                    found.append(AlarmView.of(record))
                    if len(found) == limit:
                        older = cursor if cursor != records[-1][0] else older
                        break
            if records and all(record.received < since for _, record in records):
                older = None  # they are in the order of their arrival
        return json_answer(AlarmPage(found, older))

    async def show(self, request: web.Request) -> web.Response:
        """One alarm."""
        return json_answer(AlarmView.of(await self._alarm(request)))

    async def advance(self, request: web.Request) -> web.Response:
        """Bring the alarm to the stage that the path names."""
        answer = await body_of(request, Answer)
        alarm = await self._alarm(request)
        stage = ACTS[request.path.rpartition("/")[2]]
        record = await self._alarms.advance(
            alarm.id, stage, by=answer.by or caller(request), note=answer.note
        )
        return json_answer(AlarmView.of(record))

    async def _alarm(self, request: web.Request) -> AlarmRecord:
        alarm_id = request.match_info["id"]
        alarm = await self._reader.alarm(alarm_id)
        if alarm is None:
            raise Problem(404, f"there is no alarm {alarm_id}", alarm=alarm_id)
        return alarm
