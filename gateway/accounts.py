"""The gateway's accounts at its broker: a private one that runs meanwhile, or an outside one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from gateway.broker import PRIORITY_ACCOUNT, TELEMETRY_ACCOUNT, Broker
from gateway.config import ConfigError, Settings, host_port
from gateway.ingress.mqtt import Account
from gateway.registry import Registry


class Brokers(NamedTuple):
    """The gateway's two accounts at its broker, and the broker if it is our own."""

    priority: Account
    telemetry: Account
    private: Broker | None = None


@contextlib.asynccontextmanager
async def brokers_of(settings: Settings, registry: Registry) -> AsyncIterator[Brokers]:
    """The accounts at an outside broker, or at a private one that runs meanwhile."""
    if settings.broker is not None:
        yield _outside(settings.broker)
        return
    host, port = host_port("mqtt", settings.mqtt)
    async with Broker(
        settings.folder, registry, host=host, port=port, prefix=settings.prefix
    ) as broker:
        priority, telemetry = (
            Account(broker.host, broker.port, user, broker.passwords[user])
            for user in (PRIORITY_ACCOUNT, TELEMETRY_ACCOUNT)
        )
        yield Brokers(priority, telemetry, broker)


def _outside(url: str) -> Brokers:
    """``mqtt://USER:PASSWORD@HOST:PORT``: one account may serve both clients there."""
    parts = urlsplit(url)
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ConfigError(f"broker: expected mqtt://USER:PASSWORD@HOST:PORT, got {url!r}")
    port = parts.port or 1883
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    priority, telemetry = (
        Account(parts.hostname, port, user, password, client_id)
        for client_id in (PRIORITY_ACCOUNT, TELEMETRY_ACCOUNT)
    )
    return Brokers(priority, telemetry)
