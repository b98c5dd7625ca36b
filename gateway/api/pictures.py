"""Pictures over HTTP: which there are, what is true of each, their bytes, and legal holds."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, TypeVar, get_args

from aiohttp import web
from msgspec import Meta, Struct

from gateway.api import params
from gateway.api.body import body_of
from gateway.api.parts import Custody, Gallery
from gateway.api.problems import Problem
from gateway.api.routes import Route, json_answer, large_json_answer
from gateway.journal.base import AlarmRecord, Reader
from gateway.picture_view import PictureAbout, PictureEntry
from gateway.pictures import (
    WORTH,
    Hold,
    Original,
    PictureDamaged,
    PictureDeleted,
    PictureIncomplete,
    PictureUnknown,
    Query,
    Scope,
    Sending,
    ThumbnailMissing,
)
from gateway.registry import Role
from protocols.model import Text

SHOWN_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/heic", "video/mp4"})
"""What a browser may be told to show, if the bytes are that; anything else is to download."""

_DEVICE = params.text("device", "Pictures of this device alone.")
_ALARM = params.text("alarm", "Of this alarm: the id that they were sent with.")
_COMMAND = params.text("command", "For this command.")
_REASON = params.any_of("reason", "For this reason; any if not given.", tuple(WORTH))
_SINCE = params.moment("from", "That began to come then or later.", default=params.EARLIEST_MS)
_UNTIL = params.moment("to", "That began to come before.", default=params.LATEST_MS)
_BEFORE = params.before("what began to come")
_LIMIT = params.integer("limit", "How many at most.", default=100, low=1, high=1000)


def _place(hold: Hold) -> tuple[int, str]:
    """Where it stands in the list."""
    return hold.t, f"{hold.scope}:{hold.id}"


def _cursor(hold: Hold) -> str:
    time, name = _place(hold)
    return f"{time}:{name}"


def _place_of(cursor: str) -> tuple[int, str]:
    time, _, name = cursor.partition(":")
    if not (time.isascii() and time.isdigit() and len(time) < 20):
        raise ValueError("must be `next` of the page before")
    return int(time), name


_SCOPE = params.any_of("scope", "Of this kind; of either if not given.", get_args(Scope))
_HELD_BY = params.text("by", "By this one's order.")
_AFTER: params.Param[tuple[int, str] | None] = params.Param(
    name="after",
    about="A cursor: what was held after it. `next` of the page before.",
    schema={"type": "string", "pattern": "^[0-9]{1,19}(:.*)?$"},
    parse=_place_of,
    default=None,
)
_HOLDS = params.all_or("holds")

T = TypeVar("T")


class PicturePage(Struct, frozen=True):
    """Sendings of pictures, newest first; give ``next`` as ``before`` for older ones."""

    media: list[PictureEntry]
    next: int | None


class HoldOrder(Struct, frozen=True):
    """Who orders it, and why."""

    by: Annotated[str, Meta(min_length=1, max_length=64)]
    note: Text | None = None


class HoldList(Struct, frozen=True):
    """What is held, the oldest first; give ``next`` as ``after`` for newer ones."""

    holds: list[Hold]
    next: str | None


class HoldAnswer(Struct, frozen=True):
    """What is held, or not any more."""

    held: bool
    scope: Scope
    id: str


class PictureRoutes:
    """Reading pictures and holding them."""

    def __init__(self, reader: Reader, gallery: Gallery, custody: Custody) -> None:
        self._reader = reader
        self._gallery = gallery
        self._custody = custody

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/media",
                handler=self.page,
                name="list_media",
                summary="Pictures as they were sent, newest first.",
                params=(_DEVICE, _ALARM, _COMMAND, _REASON, _SINCE, _UNTIL, _BEFORE, _LIMIT),
                answer=PicturePage,
            ),
            Route(
                method="GET",
                path="/api/v1/media/{id}",
                handler=self.picture,
                name="get_media",
                summary="A picture's bytes, by the SHA-256 of the whole, which is checked.",
                media=("application/octet-stream", *sorted(SHOWN_TYPES)),
                problems=(410,),
            ),
            Route(
                method="GET",
                path="/api/v1/media/{id}/about",
                handler=self.about,
                name="get_media_about",
                summary="All that is known of a picture: who sent it, when, why, what it is.",
                answer=PictureAbout,
            ),
            Route(
                method="GET",
                path="/api/v1/media/{id}/thumbnail",
                handler=self.thumbnail,
                name="get_media_thumbnail",
                summary="A small picture of it, upright, without its metadata.",
                media=("image/jpeg",),
                problems=(410,),
            ),
            Route(
                method="GET",
                path="/api/v1/holds",
                handler=self.holds,
                name="list_holds",
                summary="Pictures and alarms of which nothing is deleted, by whose order and why.",
                params=(_SCOPE, _HELD_BY, _AFTER, _HOLDS),
                answer=HoldList,
            ),
            *(
                Route(
                    method=method,
                    path=f"/api/v1/{scope}/{{id}}/hold",
                    handler=handler,
                    name=f"{verb}_{noun}",
                    summary=summary,
                    role=Role.ADMIN,
                    body=HoldOrder,
                    act=f"{noun}.{verb}",
                    answer=HoldAnswer,
                    problems=(410,),
                    example={"by": "Li", "note": "case 110-7"},
                )
                for scope, noun, handlers in (
                    ("media", "media", (self.hold_picture, self.release_picture)),
                    ("alarms", "alarm", (self.hold_alarm, self.release_alarm)),
                )
                for method, verb, handler, summary in (
                    ("PUT", "hold", handlers[0], f"Delete nothing of it ({scope}) from now on."),
                    (
                        "DELETE",
                        "release",
                        handlers[1],
                        f"It ({scope}) may be deleted in its time again.",
                    ),
                )
            ),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """A page."""
        limit, alarm, command = _LIMIT.read(request), _ALARM.read(request), _COMMAND.read(request)
        since_ms, until_ms = _SINCE.read(request), _UNTIL.read(request)
        query = Query(
            device=_DEVICE.read(request),
            ref=alarm if command is None else command,
            reason=_REASON.read(request),
            since_ms=None if since_ms == params.EARLIEST_MS else since_ms,
            until_ms=None if until_ms == params.LATEST_MS else until_ms,
        )
        before = _BEFORE.read(request)
        if alarm is not None and command is not None and alarm != command:
            return await large_json_answer(PicturePage([], None))  # none was sent for both
        found = await self._gallery.page(query, before, limit)
        return await large_json_answer(
            PicturePage(found, found[-1].no if len(found) == limit else None)
        )

    async def about(self, request: web.Request) -> web.Response:
        """All that is known."""
        return json_answer(await _known(self._gallery.about(request.match_info["id"])))

    async def picture(self, request: web.Request) -> web.Response:
        """The bytes; they never change, since their hash is their name."""
        original = await _known(self._gallery.original(request.match_info["id"]))
        mime = "" if original.found is None else original.found.mime
        headers = _headers(original.id)
        if any(tag.value == original.id for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        is_shown = mime in SHOWN_TYPES
        if not is_shown:
            headers["Content-Disposition"] = "attachment"
        return web.Response(
            body=await _known(self._gallery.read(original)),
            content_type=mime if is_shown else "application/octet-stream",
            headers=headers,
        )

    async def thumbnail(self, request: web.Request) -> web.Response:
        """A small picture."""
        picture = request.match_info["id"]
        data = await _known(self._gallery.thumbnail(picture))
        return web.Response(
            body=data, content_type="image/jpeg", headers=_headers(f"{picture}-thumbnail")
        )

    async def holds(self, request: web.Request) -> web.Response:
        """All of them, or a page of those that were looked for."""
        scope, by, limit = _SCOPE.read(request), _HELD_BY.read(request), _HOLDS.read(request)
        after = _AFTER.read(request)
        found = [
            hold
            for hold in sorted(await self._custody.holds(), key=_place)
            if scope in (None, hold.scope)
            and by in (None, hold.by)
            and (after is None or _place(hold) > after)
        ]
        following = _cursor(found[limit - 1]) if len(found) > limit else None
        return await large_json_answer(HoldList(found[:limit], following))

    async def hold_picture(self, request: web.Request) -> web.Response:
        """Delete it no more."""
        original = await _known(self._gallery.original(request.match_info["id"]))
        order = await body_of(request, HoldOrder)
        await self._custody.hold("media", original.id, by=order.by, note=order.note)
        # It may have been deleted in between: then there is nothing to hold.
        await _known(self._gallery.original(original.id))
        return json_answer(HoldAnswer(True, "media", original.id))

    async def release_picture(self, request: web.Request) -> web.Response:
        """It may be deleted again."""
        return await self._release("media", request.match_info["id"], request)

    async def hold_alarm(self, request: web.Request) -> web.Response:
        """Delete none of its pictures, those to come neither."""
        alarm = await self._alarm(request)
        order = await body_of(request, HoldOrder)
        media = alarm.data.get("media")
        named = [each for each in media if isinstance(each, str)] if isinstance(media, list) else []
        await self._custody.hold("alarm", alarm.id, by=order.by, note=order.note, media=named)
        return json_answer(HoldAnswer(True, "alarm", alarm.id))

    async def release_alarm(self, request: web.Request) -> web.Response:
        """Its pictures may be deleted again."""
        return await self._release("alarm", request.match_info["id"], request)

    async def _release(self, scope: Scope, identity: str, request: web.Request) -> web.Response:
        order = await body_of(request, HoldOrder)
        if not await self._custody.release(scope, identity, by=order.by, note=order.note):
            raise Problem(404, f"{scope} {identity} is not held")
        return json_answer(HoldAnswer(False, scope, identity))

    async def _alarm(self, request: web.Request) -> AlarmRecord:
        alarm_id = request.match_info["id"]
        alarm = await self._reader.alarm(alarm_id)
        if alarm is None:
            raise Problem(404, f"there is no alarm {alarm_id}", alarm=alarm_id)
        return alarm


def _headers(tag: str) -> dict[str, str]:
    return {
        "ETag": f'"{tag}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


async def _known(asked: Awaitable[T]) -> T:
    """What was asked for, or the problem that says why it cannot be had."""
    try:
        return await asked
    except PictureUnknown as error:
        raise Problem(404, f"there is no picture {error}") from error
    except PictureIncomplete as error:
        sending = error.sending
        raise Problem(
            404,
            _why_not_whole(sending),
            state=sending.state,
            received_chunks=sending.received_chunks,
            of=sending.of,
        ) from error
    except PictureDeleted as error:
        raise Problem(
            410, _gone(error), deleted=error.deletion, was=_was(error.original)
        ) from error
    except PictureDamaged as error:
        raise Problem(
            500,
            f"the picture is damaged on the gateway's disk and not shown: {error.problem}",
            damaged=True,
            id=error.picture,
        ) from error
    except ThumbnailMissing as error:
        raise Problem(404, f"there is no thumbnail: {error}") from error


def _why_not_whole(sending: Sending) -> str:
    if sending.state == "partial":
        came = f"{sending.received_chunks} of {sending.of} chunks have come"
    else:
        came = f"its {sending.of} chunks have come, and do not make it"
    return f"the picture is {sending.state}: {came}"


def _gone(error: PictureDeleted) -> str:
    deletion = error.deletion
    return f"the picture was deleted by {deletion.by}: {deletion.why}"


def _was(original: Original) -> dict[str, object]:
    found = original.found
    return {
        "sha256": original.id,
        "size": original.size,
        "mime": None if found is None else found.mime,
    }
