"""How TCP is told that what we send is urgent, and that a dead path has to be noticed.

By default a sender whose packets are lost waits twice as long each time, up to two
minutes, and holds a silent peer for alive for a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import socket

UNANSWERED_S = 8.0
"""What was sent and is not acknowledged by then, for all the times it was sent again, ends the
connection."""

RESEND_WITHIN_S = 1.0
"""A lost packet is sent again no later than this after the last time."""

# Linux; Python 3.11 has no names for these two.
_THIN_LINEAR_TIMEOUTS = 16  # the first six times without waiting longer each time
_RTO_MAX_MS = 44  # since 6.15


def tune(sock: socket.socket) -> None:
    """Set what this system knows of it."""
    options = {
        socket.TCP_NODELAY: 1,
        getattr(socket, "TCP_USER_TIMEOUT", None): round(1000 * UNANSWERED_S),
        _THIN_LINEAR_TIMEOUTS: 1,
        _RTO_MAX_MS: round(1000 * RESEND_WITHIN_S),
    }
    for option, value in options.items():
        if option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
