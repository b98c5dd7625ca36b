"""How is fsync made to fail, or to take long, in one process and for one folder, on command?"""

from __future__ import annotations

import mmap
import struct
import subprocess
from pathlib import Path

from tests.faults.experiment import Trial

SOURCE = Path(__file__).with_name("fsync_shim.c")
_CONTROL = struct.Struct("<iiqqq")


class Fsync:
    """A library that is preloaded into a part (``env``), and the page that commands it."""

    def __init__(self, trial: Trial, concerned: Path) -> None:
        trial.need("gcc")
        trial.folder.mkdir(parents=True, exist_ok=True)
        library, control = trial.folder / "fsync_shim.so", trial.folder / "fsync_control"
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True
        )
        control.write_bytes(bytes(4096))
        with control.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 4096)
        self.env = {
            "LD_PRELOAD": str(library),
            "FAULTS_CONTROL": str(control),
            "FAULTS_PREFIX": str(concerned.resolve()),
        }

    def fail(self) -> None:
        """Each call ends in EIO from now on."""
        self._command(fails=1)

    def delay(self, delay_ms: int) -> None:
        """Each call takes so much longer from now on."""
        self._command(delay_ms=delay_ms)

    def heal(self) -> None:
        """As the disk does it."""
        self._command()

    @property
    def failed(self) -> int:
        """How many calls have failed."""
        return int(_CONTROL.unpack_from(self._page)[2])

    @property
    def delayed(self) -> int:
        """How many calls were delayed."""
        return int(_CONTROL.unpack_from(self._page)[3])

    @property
    def since_ms(self) -> int:
        """When the first call failed after ``fail``: ms since 1970, 0 if none has."""
        return int(_CONTROL.unpack_from(self._page)[4])

    def _command(self, *, fails: int = 0, delay_ms: int = 0) -> None:
        # The time first: whoever sees the command sees it without the one of before.
        struct.pack_into("<q", self._page, 24, 0)
        struct.pack_into("<ii", self._page, 0, fails, delay_ms)
