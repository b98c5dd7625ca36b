"""How a child process of the bench is told what to do: a JSON line in, a JSON line out."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def obey(servant: Any, kind: type[msgspec.Struct]) -> None:
    """Have the method that ``do`` names carry out each order, until there are no more."""
    for line in sys.stdin.buffer:
        order: Any = msgspec.json.decode(line, type=kind)
        answer = getattr(servant, order.do)(order)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
