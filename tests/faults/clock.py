"""How is the wall clock of one part set, while it runs and without its timers?"""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.experiment import Trial

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
SEEN_WITHIN_S = 1.5  # the library looks at the file every second

HOUR_S = 3600
YEARS = {"1970": 10, "2038": 2_147_483_640, "2106": 4_294_967_290}


class WallClock:
    """libfaketime for a part (``env``); ``set`` moves its clock, also while it runs."""

    def __init__(self, trial: Trial, name: str) -> None:
        library = next(iter(sorted(Path("/").glob(LIBRARIES[1:]))), None)
        if library is None:
            trial.skip("needs libfaketime")
        trial.folder.mkdir(parents=True, exist_ok=True)
        self._file = trial.folder / f"{name}.clock"
        self.set(0)
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead_s: int) -> None:
        """So far ahead of the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.rename(self._file)

    @property
    def jumps(self) -> dict[str, int]:
        """What the clock is set to, one after the other: its name, and how far ahead."""
        now_s = int(time.time())
        years = {name: at_s - now_s for name, at_s in YEARS.items()}
        return {"+1 h": HOUR_S, "-1 h": -HOUR_S, **years}
