"""Where a command's log goes: lines with fields, on standard error."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast


class Unfailing:
    """A stream for logs: on a full disk the line is lost, not the alarm that it speaks of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if it can be written."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush if it can be flushed."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def to_stderr(level: int = logging.INFO) -> None:
    """Log from this level on to standard error, coloured where a person reads it."""
    import structlog

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=True)
            if sys.stderr.isatty()
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, Unfailing(sys.stderr))),
    )
