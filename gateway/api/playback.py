"""The past over HTTP: all that stood on the map, step by step."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from gateway.api import params
from gateway.api.parts import Playback
from gateway.api.problems import Problem
from gateway.api.routes import Route
from gateway.seen import MAX_STEP_MS, MAX_STEPS, MIN_STEP_MS, TooMuch

MEDIA = "application/vnd.fieldgate.playback"

_FROM = params.moment("from", "From when.", default=0, needed=True)
_TO = params.moment("to", "To before when.", default=0, needed=True)
_STEP = params.integer(
    "step_s",
    "How long a step is: of each unit the newest position in it.",
    default=10,
    low=MIN_STEP_MS // 1000,
    high=MAX_STEP_MS // 1000,
)


class PlaybackRoutes:
    """Looking back."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/playback",
                handler=self.play,
                name="get_playback",
                summary="All that stood on the map in a time that has passed; see map.md.",
                params=(_FROM, _TO, _STEP),
                media=(MEDIA,),
            ),
        ]

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Step by step, sent as it is found."""
        since, until, step_ms = _FROM.read(request), _TO.read(request), 1000 * _STEP.read(request)
        if not 0 <= since < until <= params.LATEST_MS // 2:
            raise Problem(400, "from must lie before to", since=since, until=until)
        if until - since > MAX_STEPS * step_ms:
            raise Problem(400, f"must have at most {MAX_STEPS} steps", parameter="step_s")
        async with aclosing(self._playback.parts(since, until, step_ms)) as parts:
            try:
                part = await anext(parts)  # what fails up to here has an answer that says so
            except TooMuch as error:
                raise Problem(503, str(error)) from error
            response = web.StreamResponse(headers={"Cache-Control": "private, no-store"})
            response.content_type = MEDIA
            await response.prepare(request)
            await response.write(part)
            async for part in parts:
                await response.write(part)
            await response.write_eof()
        return response
