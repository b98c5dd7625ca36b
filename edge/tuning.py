"""Which settings the gateway may change while the agent runs, and which are in force."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from edge.config import Config
from edge.orders_file import OrdersFile
from edge.sources.report import ReportPolicy
from protocols.errors import FieldInvalid
from protocols.fields import convert
from protocols.model import Name

_KEPT = "config"

log = logging.getLogger(__name__)


class Tuned(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `dn/config` and the command `config` may change; the rest is agent.toml's."""

    status_every_s: Annotated[float, Meta(ge=5, le=86_400)] | None = None
    report_every_s: Annotated[float, Meta(ge=0, le=3600)] | None = None
    report_distance_m: Annotated[float, Meta(ge=1, le=10_000)] | None = None
    report_turn_deg: Annotated[float, Meta(ge=1, le=180)] | None = None
    version: Annotated[int, Meta(ge=0)] | Name | None = None


class Tuning:
    """The settings in force: those of agent.toml until the gateway has changed them."""

    def __init__(self, config: Config, file: OrdersFile) -> None:
        self._config, self._file = config, file
        self._tuned = Tuned()
        self._changed = asyncio.Event()
        self.report = ReportPolicy()
        self._apply()

    @property
    def version(self) -> int | str | None:
        """The version of the gateway's configuration in force, if it gave one."""
        return self._tuned.version

    @property
    def in_force(self) -> dict[str, float]:
        """The settings by name."""
        tuned, report = self._tuned, self._config.report
        own = {
            "status_every_s": self._config.status.period_s,
            "report_every_s": report.interval_s,
            "report_distance_m": report.distance_m,
            "report_turn_deg": report.turn_deg,
        }
        return {
            name: value if (told := getattr(tuned, name)) is None else told
            for name, value in own.items()
        }

    def load(self) -> None:
        """Take up what was kept; the file is open."""
        kept = self._file.said(_KEPT)
        if kept is None:
            return
        try:
            self._tuned = convert(kept, Tuned)
        except FieldInvalid as error:
            log.error("config_unreadable: %s", error)
        self._apply()

    def order(self, args: Mapping[str, Any]) -> None:
        """The command: change these, keep the others. Raise FieldInvalid, and change nothing."""
        for name in args:
            if name not in Tuned.__struct_fields__:
                known = ", ".join(Tuned.__struct_fields__)
                raise FieldInvalid(f"args.{name}", f"is none of {known}", args[name])
        told = convert(dict(args), Tuned, within="args")
        self._keep(msgspec.structs.replace(self._tuned, **_told(told)))

    def desire(self, payload: Mapping[str, Any]) -> None:
        """`dn/config`: these, and for the others what agent.toml says. Raise FieldInvalid, and
        change nothing. The version in force changes nothing either: it comes at each connection.
        Keys that are none of ours are ignored, as in every message."""
        told = convert(dict(payload), Tuned)
        if told.version is None or told.version != self._tuned.version:
            self._keep(told)

    async def pause(self) -> None:
        """Until the next status is due; a changed period counts at once."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.in_force["status_every_s"]):
                await self._changed.wait()

    def hurry(self) -> None:
        """The next status is due now."""
        self._changed.set()

    def _keep(self, tuned: Tuned) -> None:
        if tuned == self._tuned:
            return
        self._file.say({_KEPT: _told(tuned)})
        self._tuned = tuned
        self._apply()
        log.info("config_changed version=%s", tuned.version)

    def _apply(self) -> None:
        in_force = self.in_force
        self.report.tune(
            distance_m=in_force["report_distance_m"],
            turn_deg=in_force["report_turn_deg"],
            interval_s=in_force["report_every_s"],
        )
        self._changed.set()


def _told(tuned: Tuned) -> dict[str, Any]:
    return {
        name: value
        for name in tuned.__struct_fields__
        if (value := getattr(tuned, name)) is not None
    }
