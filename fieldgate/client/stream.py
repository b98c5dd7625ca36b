"""Server-sent events from lines, as their standard has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class ServerEvent(NamedTuple):
    """One server-sent event: ``id`` resumes after it."""

    id: str
    data: str


def server_events(lines: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events of a stream; comments and other fields left out."""
    fields: dict[str, list[str]] = {}
    for raw in lines:
        text = raw.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            yield ServerEvent(fields.get("id", [""])[-1], "\n".join(fields["data"]))
        fields = {}
