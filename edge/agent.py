"""The agent on a device: what it is made of, and how its parts meet."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec

from edge import wire
from edge.alarms import AlarmTrack, AlarmTracks, Step
from edge.button import UPDATE_EVERY_S, Button, Buttons, Latched
from edge.clock import wall_ms
from edge.config import Config
from edge.control import ControlSocket
from edge.device_orders import DeviceOrders
from edge.duty import StandingFile
from edge.link import Link, Presence
from edge.news import News
from edge.ordered_pictures import OrderedPictures
from edge.orders import Orders
from edge.outbox import Outbox, Outgoing
from edge.photographer import Photographer, PictureSource
from edge.reports import ReportTrack, ReportTracks
from edge.requests import PressedKind
from edge.sources.camera import Camera
from edge.sources.gps import Gps
from edge.sources.power import ClockSource, Health, clock_source, read_health
from edge.spool import Spool, Spooled
from edge.still_waiting import follow_again
from edge.tuning import Tuning
from protocols.errors import ProtocolError
from protocols.model import DutyAct, Position, Receipt
from protocols.native.codec import decode, decode_map
from protocols.native.topics import Down, Up

RESTART_FIRST_S, RESTART_MAX_S = 1.0, 30.0

log = logging.getLogger(__name__)


class PositionSource(Protocol):
    """Reports where the device is until cancelled."""

    state: Any

    async def run(self, on_fix: Callable[[Position], None]) -> None:
        """Call ``on_fix`` for each epoch."""


class Agent:
    """One device. `async with` or `run` starts it; press and duty may be called then."""

    def __init__(
        self,
        config: Config,
        *,
        gps: PositionSource | None = None,
        camera: PictureSource | None = None,
        firmware: str = "0",
        now_ms: Callable[[], int] = wall_ms,
        clock: Callable[[], ClockSource] = clock_source,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config
        self._firmware, self._now_ms, self._clock = firmware, now_ms, clock
        self._gps = gps
        if gps is None and config.gps is not None:
            self._gps = Gps(config.gps.host, config.gps.port, now_ms=now_ms)
        if camera is None and config.camera is not None:
            chosen = config.camera
            camera = Camera(
                chosen.source,
                width_px=chosen.width_px,
                lag_ms=chosen.lag_ms,
                fixed=config.position is not None if chosen.fixed is None else chosen.fixed,
                now_ms=now_ms,
            )
        self._spool = Spool(Path(config.spool.folder), config.spool.max_bytes)
        self._outbox = Outbox(self._spool)
        self._link = Link(
            config.broker,
            config.device,
            config.prefix,
            self._outbox,
            presence=self._presence,
            on_message=self._take_message,
            on_out=self._note_sent,
            rng=rng,
        )
        self._buttons = Buttons()
        self.news = News()
        self._tracks = AlarmTracks(lambda: self.news.tell("alarms"))
        self._reports = ReportTracks(lambda: self.news.tell("reports"))
        self._standing = StandingFile(Path(config.spool.folder) / "duty.json")
        self._health: Health = {}
        self._position: Position | None = None
        self.orders = Orders(
            Path(config.spool.folder),
            self._put_reply,
            now_ms=now_ms,
            is_set=lambda: clock() != "free",
            changed=lambda: self.news.tell("orders"),
        )
        self._tuning = Tuning(config, self.orders.file)
        self._device_orders = DeviceOrders(
            self._tuning,
            is_locating=self._gps is not None,
            is_silent=lambda: self._tracks.any_silent,
            called=lambda: self.news.tell("calls"),
        )
        self._device_orders.register(self.orders)
        self._photographer = None if camera is None else self._with(camera)
        self._ordered_pictures: OrderedPictures | None = None
        if self._photographer is not None:
            self._ordered_pictures = OrderedPictures(
                self._photographer, is_connected=lambda: self._link.connected
            )
            self._ordered_pictures.register(self.orders)
        self._telling: asyncio.TimerHandle | None = None
        self._stopped = asyncio.Event()
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> Agent:
        async with AsyncExitStack() as parts:
            parts.enter_context(self._spool)
            self._outbox.load()
            follow_again(self._spool, self.config.device, self._tracks, self._reports)
            self._standing.load()
            await parts.enter_async_context(self.orders)
            self._tuning.load()
            tasks = await parts.enter_async_context(asyncio.TaskGroup())
            running = [
                tasks.create_task(self._supervise(name, part), name=name)
                for name, part in self._supervised().items()
            ]
            parts.callback(lambda: [task.cancel() for task in running])
            if self.config.control is not None:
                path = Path(self.config.control.socket)
                await parts.enter_async_context(ControlSocket(path, self))
            self._parts = parts.pop_all()
        log.info("agent_up device=%s boot=%d", self.config.device, self.boot)
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.reset()  # the last counts are told
        if self._telling is not None:
            self._telling.cancel()
        await self._parts.__aexit__(*error)  # what was entered last is left first
        if self._photographer is not None:
            await self._photographer.close()

    async def run(self) -> None:
        """Run until stopped."""
        async with self:
            await self._stopped.wait()

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopped.set()

    # -- what a user does -------------------------------------------------

    @property
    def boot(self) -> int:
        """The boot number in force."""
        return self._spool.boot

    def press(
        self,
        kind: PressedKind = "panic",
        *,
        zone: str | None = None,
        silent: bool | None = None,
        text: str | None = None,
    ) -> AlarmTrack:
        """A press; it is durably spooled when this returns. One more press of a button whose
        alarm is open adds to that."""
        now_s = time.monotonic()
        button = Button(kind, zone)
        latched = self._buttons.add(button, text, now_s)
        track = None if latched is None else self._tracks.get(self.boot, latched.seq)
        if latched is not None and track is not None:
            track.count = latched.count
            self.news.tell("alarms")
            self._tell_presses()
            return track
        for pressed, untold in self._buttons.release(button=button):
            self._tell(pressed, untold)
        t = self._now_ms()
        keys = {"kind": kind, "count": 1, "silent": silent, "zone": zone, "text": text}
        spooled = self._put(Up.ALARM, t, {**keys, "pos": self._position_keys()})
        self._buttons.latch(button, spooled.seq, now_s)
        identity = spooled.id(self.config.device)
        track = AlarmTrack(identity, self.boot, spooled.seq, kind, [Step("spooled", t)])
        track.is_silent = silent or kind in ("duress", "hold_up")
        self._tracks.add(track)
        self._link.wake(urgent=True)
        log.info("alarm_pressed id=%s kind=%s", identity, kind)
        if self._photographer is not None:
            self._photographer.note_alarm(identity, spooled.n)
        return track

    def duty(self, act: DutyAct, *, ref: str | None = None, crew: list[str] | None = None) -> str:
        """A one-key duty report, durably spooled; its message id."""
        t = self._now_ms()
        keys = {"act": act, "ref": ref, "crew": crew, "pos": self._position_keys()}
        spooled = self._put(Up.DUTY, t, keys)
        identity = spooled.id(self.config.device)
        self._standing.take(act, t, identity, ref=ref, crew=crew)
        steps = [Step("spooled", t)]
        self._reports.add(ReportTrack(identity, self.boot, spooled.seq, act, ref, steps))
        self._link.wake(urgent=True)
        return identity

    def reset(self) -> None:
        """Let go of the latched buttons, as by hand: the next press raises a new alarm."""
        for pressed, untold in self._buttons.release():
            self._tell(pressed, untold)

    def alarm(self, boot: int, seq: int) -> AlarmTrack | None:
        """An alarm and how far it has got, if it is one of the latest."""
        return self._tracks.get(boot, seq)

    def alarms(self) -> list[AlarmTrack]:
        """The latest alarms since the start, the oldest first."""
        return self._tracks.latest()

    def reports(self) -> list[ReportTrack]:
        """The latest duty reports since the start, the oldest first."""
        return self._reports.latest()

    def status(self) -> dict[str, object]:
        """How the device is, for a panel."""
        spool = self._spool
        standing = self._standing.standing
        return {
            "device": self.config.device,
            "kind": self.config.kind,
            "boot": self.boot,
            "connected": self._link.connected,
            "spool": {str(channel): count for channel, count in spool.count.items() if count},
            "spool_bytes": spool.bytes,
            "dropped": {str(channel): count for channel, count in spool.dropped.items()},
            "trouble": spool.trouble or self.orders.file.trouble,
            "gnss": self._gps.state if self._gps is not None else None,
            "cam": self._photographer.health if self._photographer is not None else "none",
            "pictures": self._photographer.kept if self._photographer is not None else None,
            "pos": self._position_keys(),
            "duty": None if standing is None else msgspec.to_builtins(standing),
            "health": self._health,
            "calls": self._device_orders.calls,
            "cfg": self._tuning.version,
            "settings": self._tuning.in_force,
        }

    # -- what the device reports of itself --------------------------------

    def _put(self, channel: Up, t: int, keys: dict[str, Any]) -> Spooled:
        """To the spool, and from there into the order of sending."""
        known = {name: value for name, value in keys.items() if value is not None}
        spooled = self._spool.put(channel, t, known)
        self._outbox.add(spooled)
        return spooled

    def _position_keys(self) -> dict[str, Any] | None:
        return None if self._position is None else wire.position_keys(self._position)

    def _take_fix(self, position: Position) -> None:
        self._position = position
        if self._tuning.report.due(position, time.monotonic()):
            keys = wire.position_keys(position)
            self._put(Up.POS, keys.pop("t", self._now_ms()), keys)
            self._link.wake()

    async def _report_place(self) -> None:
        """A fixed device reports its registered position once a start."""
        place = self.config.position
        assert place is not None
        self._take_fix(Position(lat=place.lat, lon=place.lon, fix=2, src="fixed"))

    async def _report_status(self) -> None:
        while True:
            self._health = await asyncio.to_thread(read_health)
            about = {
                "gnss": self._gps.state if self._gps is not None else None,
                "cam": self._photographer.health if self._photographer is not None else "none",
                "clock": self._clock(),
                "spool": self._spool.count.total(),
                "cfg": self._tuning.version,
                "fw": self._firmware,
            }
            self._put(Up.STATUS, self._now_ms(), {**self._health, **about})
            self._link.wake()
            await self._tuning.pause()

    def _with(self, camera: PictureSource) -> Photographer:
        return Photographer(
            camera,
            self.config.camera,
            self._spool,
            wake=self._link.wake,
            health_changed=self._tuning.hurry,
        )

    def _tell_presses(self) -> None:
        """Tell counts that have grown: at most once a second, and not before the last was
        receipted, so that a hammered button does not fill the spool."""
        now_s = time.monotonic()
        for button, latched in self._buttons.untold(now_s):
            if latched.update is None or not self._outbox.holds(latched.update):
                self._tell(button, latched)
        if self._telling is None and self._buttons.any_untold:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(UPDATE_EVERY_S, self._tell_presses_later)

    def _tell_presses_later(self) -> None:
        self._telling = None
        self._tell_presses()

    def _tell(self, button: Button, latched: Latched) -> None:
        keys = {"kind": button.kind, "zone": button.zone, "text": latched.text}
        update = self._put(
            Up.ALARM, self._now_ms(), {**keys, "count": latched.count, "of": latched.seq}
        )
        latched.tell(update, time.monotonic())
        self._link.wake(urgent=True)

    # -- what the gateway says --------------------------------------------

    def _presence(self) -> Presence:
        capabilities = ["button"]
        capabilities += ["gnss"] if self._gps is not None else []
        capabilities += ["camera"] if self._photographer is not None else []
        capabilities += self.orders.acts
        return Presence(
            online=lambda: wire.online(
                self.boot, self._now_ms(), self.config.kind, self._firmware, capabilities
            ),
            offline=wire.offline(self.boot),
        )

    def _note_sent(self, outgoing: Outgoing) -> None:
        followed = {Up.ALARM: self._tracks.sent, Up.DUTY: self._reports.sent}
        if (sent := followed.get(outgoing.channel)) is not None:
            for message in outgoing.messages:
                sent(message.boot, message.seq, self._now_ms())
        elif outgoing.channel is Up.MEDIA and self._ordered_pictures is not None:
            self._ordered_pictures.note_sent(outgoing.messages)

    def _take_message(self, channel: Down, payload: bytes) -> None:
        try:
            if channel is Down.RECEIPT:
                self._take_receipt(decode(payload, Receipt))
            elif channel is Down.CMD:
                self.orders.take_bytes(payload)
            elif channel is Down.CONFIG and payload:
                self._tuning.desire(decode_map(payload))
        except ProtocolError as error:
            log.warning("message_unreadable channel=%s: %s", channel, error)

    def _take_receipt(self, receipt: Receipt) -> None:
        if not self._outbox.receipted(receipt, time.monotonic()):
            return
        self._reports.receipted(receipt, self._now_ms())
        for track in self._tracks.receipted(receipt, self._now_ms()):
            if track.boot == self.boot:
                for pressed, untold in self._buttons.release(seq=track.seq):
                    self._tell(pressed, untold)
        self._tell_presses()

    def _put_reply(self, t: int, keys: dict[str, Any]) -> None:
        self._put(Up.REPLY, t, keys)
        self._link.wake(urgent=True)

    # -- tasks --------------------------------------------------------------

    def _supervised(self) -> dict[str, Callable[[], Awaitable[None]]]:
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "link": self._link.run,
            "status": self._report_status,
        }
        gps = self._gps
        if gps is not None:
            parts["gps"] = lambda: gps.run(self._take_fix)
        if self.config.position is not None:
            parts["place"] = self._report_place
        if self._photographer is not None:
            parts["camera"] = self._photographer.run
        if self.config.panel_settings is not None:
            from edge.panel.server import Panel  # noqa: PLC0415 - it takes memory

            parts["panel"] = Panel(self.config.panel_settings, self).run
        if self._ordered_pictures is not None:
            parts["live pictures"] = self._ordered_pictures.run
        return parts

    async def _supervise(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Start a part again whenever it fails: none of them stops the others."""
        wait_s = RESTART_FIRST_S
        while True:
            try:
                return await part()
            except Exception:  # once per supervised task
                log.exception("part_failed name=%s restart_in_s=%.0f", name, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RESTART_MAX_S)
