"""How a program asks a gateway: one connection, a bearer token, what is wrong as an exception."""

from __future__ import annotations

import gzip
import http.client
import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

TIMEOUT_S = 60.0
ATTEMPTS = 3
FIRST_PAUSE_S = 0.2
"""Before the second attempt, at most; twice that before the next."""

Query = Mapping[str, object]


class Refused(Exception):
    """The gateway answers that it cannot be done. ``facts``: the problem's further members."""

    def __init__(self, status: int, detail: str, facts: Mapping[str, Any]) -> None:
        super().__init__(f"the gateway answers {status}: {detail}")
        self.status, self.detail, self.facts = status, detail, facts


class Unreachable(Exception):
    """Nothing answers there, or not in time."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url} does not answer: {why}")
        self.url, self.why = url, why


class Answer(NamedTuple):
    """What came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A connection, kept open between requests; for one thread at a time.

    A request that is lost on the way is sent again, at most ``ATTEMPTS`` times: it is one that
    changes nothing when it comes twice, as each POST has an Idempotency-Key.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"expected http://HOST:PORT, got {url!r}")
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._token = token
        self._timeout_s, self._attempts, self._sleep = timeout_s, attempts, sleep
        self._kept: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """End the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: object = None,
        key: str | None = None,
        accept: str = "application/json",
    ) -> Answer:
        """The answer; raise Refused or Unreachable. ``key``: the Idempotency-Key of a POST."""
        headers = {**self._headers(accept), "Accept-Encoding": "gzip"}
        sent = None
        if body is not None:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if method == "POST":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        target = self._target(path, query)
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(method, target, sent, headers)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if attempt == self._attempts:
                    raise Unreachable(self.url, str(error) or type(error).__name__) from error
            self._sleep(random.random() * FIRST_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("at least one attempt")

    def lines(self, path: str, query: Query | None = None, *, last_id: str = "") -> Iterator[bytes]:
        """The lines of an answer that goes on, on a connection of their own."""
        headers = self._headers("text/event-stream")
        if last_id:
            headers["Last-Event-ID"] = last_id
        connection = self._connect()
        try:
            connection.request("GET", self._target(path, query), headers=headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise _refused(response.status, response.read())
            while line := response.readline():
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error
        finally:
            connection.close()

    def _once(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        if self._kept is None:
            self._kept = self._connect()
        self._kept.request(method, target, body, dict(headers))
        response = self._kept.getresponse()
        received = response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            received = gzip.decompress(received)
        if response.status >= http.client.BAD_REQUEST:
            raise _refused(response.status, received)
        return Answer(response.status, dict(response.headers), received)

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout_s)

    def _headers(self, accept: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Accept": accept}

    def _target(self, path: str, query: Query | None) -> str:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self._path + path + (f"?{urlencode(given)}" if given else "")


def _refused(status: int, body: bytes) -> Refused:
    try:
        problem = json.loads(body)
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return Refused(status, http.client.responses.get(status, "?"), {})
    usual = {"type", "title", "status", "detail"}
    return Refused(status, detail, {k: v for k, v in problem.items() if k not in usual})
