"""Which figures are looked up when somebody reads the metrics. Each takes no more than a look."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gateway.broker import Broker
from gateway.feeds.webhook import WebhookFeed
from gateway.health import Counts, Health
from gateway.house import House
from gateway.metrics import Metrics
from gateway.reserve import DiskState, Room


def measure(
    metrics: Metrics,
    house: House,
    *,
    feeds: Sequence[WebhookFeed],
    room: Room,
    health: Health,
    devices: Counts,
    messages: Counts,
    broker: Broker | None,
) -> None:
    """Have all of them looked up."""
    gauge = metrics.gauge
    gauge("fieldgate_journal_cursor", "Newest committed event", lambda: house.journal.last_cursor)
    found = partial(getattr, house.journal.damage, "found")
    gauge("fieldgate_journal_damaged", "Places that cannot be read", found)
    put_aside = house.journal.put_aside
    gauge("fieldgate_journal_put_aside", "Damaged files beside it", lambda: len(put_aside))
    gauge("fieldgate_alarms_open", "Alarms not closed", lambda: house.alarms.open_count)
    waiting = partial(getattr, house.commands, "waiting_count")
    gauge("fieldgate_commands_waiting", "Commands not delivered yet", waiting)
    overdue = partial(getattr, house.overdue, "count")
    gauge("fieldgate_commands_overdue", "Commands that devices have and never ended", overdue)
    viewers = partial(getattr, house.live, "viewers")
    gauge("fieldgate_live_viewers", "Who watches live pictures", viewers)
    gauge("fieldgate_telemetry_waiting", "Messages to decode", lambda: house.telemetry.waiting)
    gauge("fieldgate_priority_under_way", "Not acknowledged yet", lambda: health.under_way)
    gauge("fieldgate_priority_oldest_seconds", "Age of the oldest", lambda: health.oldest_s)
    gauge("fieldgate_commit_age_seconds", "Since a commit went through", lambda: health.unproved_s)
    gauge("fieldgate_ready", "Whether alarms are taken", lambda: not health.condition().wrong)
    for state in ("online", "stale", "offline"):
        known = partial(_counted, devices, state)
        gauge("fieldgate_devices", "Devices by presence", known, state=state)
    for state in ("held", "missing", "given_up"):
        known = partial(_counted, messages, state)
        gauge("fieldgate_ledger_messages", "What became of messages", known, state=state)
    for feed in feeds:
        lag = partial(getattr, feed, "lag")
        gauge("fieldgate_feed_lag", "Events that a receiver is behind", lag, feed=feed.name)
        late = partial(health.behind_s, feed)
        gauge("fieldgate_feed_lag_seconds", "How long it has been behind", late, feed=feed.name)
        failed = partial(getattr, feed, "failures")
        gauge("fieldgate_feed_failures", "Deliveries not taken", failed, feed=feed.name)
    for lane in ("priority", "telemetry"):
        is_on = partial(health.is_connected, lane)
        gauge("fieldgate_broker_connected", "Whether a lane has its broker", is_on, lane=lane)
        again = partial(health.reconnects.__getitem__, lane)
        gauge("fieldgate_broker_reconnects", "Connections after the first", again, lane=lane)
    if broker is not None:
        gauge("fieldgate_broker_up", "Whether our broker runs", lambda: broker.is_up)
        gauge("fieldgate_broker_restarts", "Starts after the first", lambda: broker.restarts)
    gauge("fieldgate_disk_free_bytes", "Room beside the reserve", lambda: room.free_bytes)
    inodes = partial(getattr, room, "free_inodes")
    gauge("fieldgate_disk_free_inodes", "Files that fit", lambda: inodes() or float("nan"))
    gauge("fieldgate_disk_reserve", "Whether the reserve is there", lambda: room.is_reserved)
    for disk in DiskState:
        name = disk.name.lower()
        gauge("fieldgate_disk_state", "1 for the state", partial(_is_in, room, disk), state=name)
    deaths = partial(getattr, house.darkroom, "deaths")
    gauge("fieldgate_picture_process_deaths", "Times that it died or hung", deaths)
    for name, text in (
        ("pictures", "Pictures that are kept"),
        ("bytes", "Bytes of all that is kept of pictures"),
        ("held", "Pictures and alarms that are held"),
    ):
        figure = partial(house.darkroom.figure, name)
        gauge("fieldgate_pictures_kept", text, figure, what=name)
    gauge("fieldgate_open_files", "File descriptors in use", lambda: health.files_used)
    gauge("fieldgate_open_files_limit", "And how many may be", lambda: health.files_limit)


def _counted(counts: Counts, name: str) -> float:
    return counts.newest.get(name, 0)


def _is_in(room: Room, state: DiskState) -> bool:
    return room.state is state
