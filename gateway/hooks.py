"""Which feeds a webhook's receiver gets: alarms, telemetry, and all others, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import aiohttp

from gateway.config import ConfigError, WebhookSettings
from gateway.feeds.webhook import WebhookFeed
from gateway.journal.base import (
    ALARM_TYPES,
    BLOCK_TYPES,
    FED_TYPES,
    FEED_NAMES,
    Event,
    Reader,
)


def webhook_lanes(
    hook: WebhookSettings,
    reader: Reader,
    session: aiohttp.ClientSession,
    on_delivered: Callable[[str, Sequence[Event]], None],
) -> Iterator[WebhookFeed]:
    """A receiver's feeds; or ConfigError. They must ``begin`` before any of them runs."""
    try:
        wanted = frozenset(FEED_NAMES[t] for t in hook.types) if hook.types else FED_TYPES
    except KeyError as error:
        raise ConfigError(f"webhooks: types: {error} is none of {', '.join(FEED_NAMES)}") from error
    lanes = {
        "p": wanted & ALARM_TYPES,
        "o": wanted - ALARM_TYPES - BLOCK_TYPES,
        "t": wanted & BLOCK_TYPES,
    }
    for lane, types in lanes.items():
        if types:
            name = f"webhook-{hook.cursor_name}-{lane}"
            try:
                yield WebhookFeed(
                    reader,
                    hook.url,
                    hook.secret,
                    types,
                    name=name,
                    # What is "o" now was once in one lane with the alarms (decision 7).
                    was=f"webhook-{hook.cursor_name}-p" if lane == "o" else None,
                    session=session,
                    on_delivered=partial(on_delivered, name),
                )
            except ValueError as error:
                raise ConfigError(f"webhooks: secret: {error}") from error
