"""The other end of the control socket: what a panel or a button program calls."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any


class NotTaken(Exception):
    """The agent refuses a request; ``problem`` says why."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["title"])
        self.problem = problem


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout_s: float | None) -> None:
        super().__init__("localhost")
        self._path, self._timeout_s = path, timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(str(self._path))


def call(
    path: Path, method: str, target: str, body: object = None, timeout_s: float | None = 10.0
) -> Iterator[dict[str, Any]]:
    """The JSON lines of the answer as they come. Raise NotTaken, or OSError if no agent
    listens there or a line takes too long."""
    connection = _UnixConnection(path, timeout_s)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, target, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise NotTaken(json.loads(response.read()))
        while line := response.readline():
            yield json.loads(line)
    finally:
        connection.close()
