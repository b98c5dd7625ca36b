"""A consumer of the feed by pull, and for comparison a server of the same bytes from memory.

`python -m fieldgate.bench.puller` takes orders as JSON lines. The consumer asks for page after
page on one connection and counts the events; how it counts costs it next to nothing, so
that the gateway is what is measured. One pass, which is not timed, reads every event.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from fieldgate.bench.orders import obey

LIMIT = 10_000
KEPT_PAGES = 16
_NEXT = re.compile(rb'"next":(\d+)')
_MARK = b'"specversion"'


class Orders(Struct, kw_only=True):
    """``pull`` from an address, ``check`` every event on the way and keep pages; ``serve`` them."""

    do: str
    address: str = ""
    authorization: str = ""
    folder: str = ""
    until: int = 0


class Puller:
    """Carries out orders."""

    def pull(self, orders: Orders) -> dict[str, Any]:
        """All events from cursor 0 up to ``until``: how many, how long it took."""
        cursor, events, size = 0, 0, 0
        connection = http.client.HTTPConnection(orders.address, timeout=120)
        begun, cpu_s = time.monotonic(), time.process_time()
        while cursor < orders.until:
            body = _page(connection, orders, cursor)
            count = body.count(_MARK)
            if not count:
                break
            events, size = events + count, size + len(body)
            cursor = _next(body) if orders.authorization else cursor + count
        return {
            "events": events,
            "bytes": size,
            "seconds": time.monotonic() - begun,
            "cpu_s": time.process_time() - cpu_s,
        }

    def check(self, orders: Orders) -> dict[str, Any]:
        """Read every event; keep some of the pages. ``faults``: cursors that do not rise."""
        cursor, events, faults, pages = 0, 0, 0, 0
        ids: set[str] = set()
        connection = http.client.HTTPConnection(orders.address, timeout=120)
        while True:
            body = _page(connection, orders, cursor)
            page = msgspec.json.decode(body)
            if not page["events"]:
                return {"events": events, "faults": faults, "twice": events - len(ids)}
            if pages < KEPT_PAGES:
                (Path(orders.folder) / f"page-{pages}.json").write_bytes(body)
            pages += 1
            for event in page["events"]:
                sequence = int(event["sequence"])
                faults += sequence <= cursor
                cursor = sequence
                ids.add(event["id"])
            events += len(page["events"])
            cursor = page["next"]

    def serve(self, orders: Orders) -> dict[str, Any]:
        """Serve the pages that were kept, in turn and without end."""
        bodies = [
            path.read_bytes()
            for path in sorted(Path(orders.folder).glob("page-*.json"))
        ]  # fmt: skip
        address: list[str] = []
        started = threading.Event()

        async def answer(request: web.Request) -> web.Response:
            page = int(request.query["after"]) // LIMIT
            body = bodies[page % len(bodies)]
            return web.Response(body=body, content_type="application/json")

        async def run() -> None:
            app = web.Application()
            app.router.add_get("/api/v1/events", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            address.append(f"{host}:{port}")
            started.set()
            await asyncio.Event().wait()

        threading.Thread(target=lambda: asyncio.run(run()), daemon=True, name="pages").start()
        started.wait()
        return {"address": address[0]}


def _page(connection: http.client.HTTPConnection, orders: Orders, after: int) -> bytes:
    headers = {"Authorization": orders.authorization}
    connection.request("GET", f"/api/v1/events?after={after}&limit={LIMIT}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ConnectionError(f"{answer.status}: {body[:200]!r}")
    return body


def _next(body: bytes) -> int:
    found = _NEXT.findall(body[-60:])
    return int(found[-1])


if __name__ == "__main__":
    obey(Puller(), Orders)
