"""Which feeds a webhook's receiver gets: one of what is urgent, one of telemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import aiohttp

from gateway.config import ConfigError, WebhookSettings
from gateway.feeds.webhook import WebhookFeed
from gateway.journal.base import BLOCK_TYPES, FED_TYPES, FEED_NAMES, Event, Reader


def webhook_lanes(
    hook: WebhookSettings,
    reader: Reader,
    session: aiohttp.ClientSession,
    on_delivered: Callable[[str, Sequence[Event]], None],
) -> Iterator[WebhookFeed]:
    """A receiver's feeds, one for what is urgent and one for telemetry; or ConfigError."""
    try:
        wanted = frozenset(FEED_NAMES[t] for t in hook.types) if hook.types else FED_TYPES
    except KeyError as error:
        raise ConfigError(f"webhooks: types: {error} is none of {', '.join(FEED_NAMES)}") from error
    for lane, types in (("p", wanted - BLOCK_TYPES), ("t", wanted & BLOCK_TYPES)):
        if types:
            name = f"webhook-{hook.cursor_name}-{lane}"
            try:
                yield WebhookFeed(
                    reader,
                    hook.url,
                    hook.secret,
                    types,
                    name=name,
                    session=session,
                    on_delivered=partial(on_delivered, name),
                )
            except ValueError as error:
                raise ConfigError(f"webhooks: secret: {error}") from error
