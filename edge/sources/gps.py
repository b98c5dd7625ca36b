"""Where the device is: a streaming client of gpsd's JSON socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Literal, TypeAlias

from edge.clock import wall_ms
from edge.sources.gpsd_json import Report, Sky, decode, position, utc_ms
from protocols.model import Position

GnssState: TypeAlias = Literal["ok", "no_fix", "no_device"]
OnFix: TypeAlias = Callable[[Position], None]

WATCH = b'?WATCH={"enable":true,"json":true};\n'
MAX_LINE_BYTES = 64 * 1024  # gpsd's own limit is 10,240
CONNECT_TIMEOUT_S = 5.0
WATCHDOG_S = 10.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 10.0
QUIET_FIRST_S, QUIET_MAX_S = 0.2, 0.8
HELD_UP_S = 0.05  # a timer that is so late says that we were, not gpsd

log = logging.getLogger(__name__)


class Gps:
    """One Position for each epoch in which gpsd reports a fix.

    gpsd may report an epoch several times, as the receiver's sentences come in.
    The last report of an epoch knows most, and nothing marks it as the last. So
    an epoch is held open until a report of another one comes or none has come
    for a fifth of a second. Where that was too early the late report is dropped
    and counted, and the client waits longer from then on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self._host, self._port = host, port
        self._now_ms = now_ms
        self.state: GnssState = "no_device"
        self.skipped_lines = 0  # broken or too long
        self.late_reports = 0
        self._open: Report | None = None  # the latest report of the epoch that is still open
        self._sky = Sky()
        self._emitted_time: str | None = None
        self._quiet_s = QUIET_FIRST_S
        self._closing_s = self._watchdog_s = 0.0  # on the event loop's clock
        self._failures = 0  # connections in a row without a TPV

    async def run(self, on_fix: OnFix) -> None:
        """Report fixes until cancelled."""
        while True:
            try:
                await self._listen(on_fix)
            except OSError as error:  # and so TimeoutError and ConnectionError
                if self._failures == 0:
                    log.warning("gpsd_lost host=%s port=%d: %s", self._host, self._port, error)
            self._close_epoch(on_fix)
            self.state = "no_device"
            ceiling_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failures, 10))
            self._failures += 1
            await asyncio.sleep(random.uniform(0, ceiling_s))

    async def _listen(self, on_fix: OnFix) -> None:
        """One connection. Raise OSError when it is lost or brings no TPV for too long."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                self._host, self._port, limit=MAX_LINE_BYTES
            )
        try:
            writer.write(WATCH)
            self._quiet_s = QUIET_FIRST_S
            loop = asyncio.get_running_loop()
            self._watchdog_s = loop.time() + WATCHDOG_S
            while True:
                try:
                    async with asyncio.timeout_at(
                        self._closing_s if self._open else self._watchdog_s
                    ):
                        line = await reader.readline()
                except TimeoutError:
                    if self._open is None:
                        raise TimeoutError(f"no TPV for {WATCHDOG_S:.0f} s") from None
                    if loop.time() - self._closing_s > HELD_UP_S:  # first what came meanwhile
                        self._closing_s = loop.time() + self._quiet_s
                    else:
                        self._close_epoch(on_fix)
                except ValueError:  # longer than the limit: readline has thrown it away
                    self.skipped_lines += 1
                else:
                    if not line:
                        raise ConnectionError("gpsd closed the connection")
                    self._take_line(line, on_fix)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _take_line(self, line: bytes, on_fix: OnFix) -> None:
        report = decode(line)
        if report is None:
            self.skipped_lines += 1
            return
        if report.kind == "TPV":
            self._take_tpv(report, on_fix)
        elif report.kind == "SKY":
            self._take_sky(report, on_fix)
        elif report.kind == "DEVICE" and report.activated == 0:
            self._close_epoch(on_fix)
            self.state = "no_device"

    def _take_tpv(self, tpv: Report, on_fix: OnFix) -> None:
        now_s = asyncio.get_running_loop().time()
        self._watchdog_s = now_s + WATCHDOG_S
        if self._failures:
            log.info("gpsd_back host=%s port=%d", self._host, self._port)
            self._failures = 0
        self.state = "ok" if tpv.located else "no_fix"
        if self._open is not None and not self._open.same_epoch(tpv):
            self._close_epoch(on_fix)
        if not tpv.located:
            if self._open is None:
                self._sky = Sky()
        elif tpv.time is not None and tpv.time == self._emitted_time:
            self.late_reports += 1
            self._quiet_s = min(2 * self._quiet_s, QUIET_MAX_S)
        else:
            self._open = tpv
            self._closing_s = now_s + self._quiet_s

    def _take_sky(self, sky: Report, on_fix: OnFix) -> None:
        if self._open is not None and sky.time is not None and sky.time != self._open.time:
            self._close_epoch(on_fix)
        self._sky = self._sky.updated(sky)

    def _close_epoch(self, on_fix: OnFix) -> None:
        """Hand out the open epoch's fix, if there is one."""
        tpv, self._open = self._open, None
        sky, self._sky = self._sky, Sky()
        if tpv is None:
            return
        self._emitted_time = tpv.time
        t = utc_ms(tpv.time, now_ms=self._now_ms())
        on_fix(position(tpv, sky, t))
