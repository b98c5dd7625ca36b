"""What the service manager is told: that we are ready, how we are, that the priority lane works."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

import sdnotify


class Service:
    """systemd's notification socket, if we are a service of its. ``with`` tells it when we stop."""

    def __init__(self) -> None:
        self._status = ""
        self._notifier: sdnotify.SystemdNotifier | None = None

    def __enter__(self) -> Self:
        if "NOTIFY_SOCKET" in os.environ:
            self._notifier = sdnotify.SystemdNotifier()
            del os.environ["NOTIFY_SOCKET"]  # else Mosquitto says that we are ready when it is
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._tell("STOPPING=1")
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.close()

    def ready(self) -> None:
        """The first alarm may come."""
        self._tell("READY=1")

    def alive(self) -> None:
        """A commit has gone the way of an alarm's: to be said before WatchdogSec is over."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """How we are, in a line, where it has changed."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def _tell(self, line: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(line)
