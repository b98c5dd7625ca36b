"""What is the crew doing, by its own word? The last duty key, kept across restarts."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from protocols.model import DutyAct

log = logging.getLogger(__name__)


class Standing(Struct, frozen=True, kw_only=True):
    """The duty report in force: its message id, when it was made, and who is on duty."""

    act: DutyAct
    t: int
    id: str
    ref: str | None = None
    crew: list[str] = []


class StandingFile:
    """Keeps it in a file of its own. The report itself is in the spool: this is for the screen,
    and a file that is lost or damaged costs no more than what it shows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.standing: Standing | None = None

    def load(self) -> None:
        """Take up what the last start has left."""
        try:
            self.standing = msgspec.json.decode(self._path.read_bytes(), type=Standing)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            log.warning("standing_unreadable path=%s: %s", self._path, error)

    def take(
        self, act: DutyAct, t: int, identity: str, *, ref: str | None, crew: list[str] | None
    ) -> None:
        """A report was made. The crew stays until it signs off, or another signs on."""
        before = self.standing
        if crew is None and before is not None and act != "off_duty":
            crew = before.crew
        self.standing = Standing(act=act, t=t, id=identity, ref=ref, crew=crew or [])
        temporary = self._path.with_suffix(".new")
        try:
            with temporary.open("wb") as file:
                file.write(msgspec.json.encode(self.standing))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            log.warning("standing_not_kept path=%s: %s", self._path, error)
