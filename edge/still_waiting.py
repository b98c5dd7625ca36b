"""What earlier starts have left in the spool, followed again for the crew that reported it."""

from __future__ import annotations

from typing import TypeVar

from edge.alarms import MAX_ALARMS, AlarmTrack, AlarmTracks, Step
from edge.reports import MAX_REPORTS, ReportTrack, ReportTracks
from edge.spool import Spool, Spooled
from protocols.errors import ProtocolError
from protocols.model import Alarm, DutyReport
from protocols.native.codec import decode
from protocols.native.topics import Up

_Message = TypeVar("_Message", Alarm, DutyReport)


def follow_again(spool: Spool, device: str, alarms: AlarmTracks, reports: ReportTracks) -> None:
    """Add those that wait, the newest of them where they are too many."""
    for message in list(spool.waiting(Up.ALARM))[-MAX_ALARMS:]:
        alarm = _read(spool, message, Alarm)
        if alarm is None or alarm.of is not None:  # more on one adds no other
            continue
        track = AlarmTrack(
            message.id(device),
            message.boot,
            message.seq,
            alarm.kind,
            [Step("spooled", alarm.t)],
            count=alarm.count or 1,
            is_silent=bool(alarm.silent),
        )
        alarms.add(track)
    for message in list(spool.waiting(Up.DUTY))[-MAX_REPORTS:]:
        duty = _read(spool, message, DutyReport)
        if duty is not None:
            steps = [Step("spooled", duty.t)]
            identity = message.id(device)
            reports.add(ReportTrack(identity, message.boot, message.seq, duty.act, duty.ref, steps))


def _read(spool: Spool, message: Spooled, kind: type[_Message]) -> _Message | None:
    body = spool.body(message.n)
    try:
        return None if body is None else decode(body, kind)
    except ProtocolError:
        return None  # it goes out all the same
