"""Pictures of now, over HTTP: one on demand, and live ones, as MJPEG or through a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import LiveViews, Snapshots, Twins, Viewer
from gateway.api.pictures import SHOWN_TYPES
from gateway.api.problems import Problem
from gateway.api.routes import Route, caller, json_answer
from gateway.api.tickets import Tickets
from gateway.asked import Frame, NoPicture, Snapshot, Why
from gateway.registry import Registry, Role

STATUS: dict[Why, int] = {
    "offline": 503,
    "busy": 503,
    "refused": 502,
    "failed": 502,
    "older": 502,
    "damaged": 502,
    "cancelled": 409,
    "timed_out": 504,
}
"""What is answered where there is no picture; the word stands in the problem as ``why``."""

SILENCE_S = 2.0
"""After so long without a picture a viewer at the WebSocket is told that there is none."""

BOUNDARY = "picture"

_TIMEOUT_MS = params.integer(
    "timeout_ms", "How long to wait for the picture.", default=10_000, low=100, high=30_000
)
_BY = params.text("by", "Who asks; it stands with the command.", longest=64)
_FPS = params.number("fps", "Pictures a second at most.", default=5.0, low=0.1, high=5.0)
_SECONDS = params.integer(
    "seconds", "How long to watch; then it ends by itself.", default=60, low=1, high=600
)
_TICKET = params.text("ticket", "A ticket in place of the bearer token: see `live/ticket`.")


class SnapshotView(Struct, frozen=True, kw_only=True):
    """A picture that was taken for the request. Times in ms by the gateway's clock.

    ``id``: the SHA-256 of the bytes, which are at ``url``. ``taken``: the device's own time
    ``taken_device`` set right by what is known of its clock; null: it shows no time, and that the
    picture answers the command is the proof that it is no older.
    """

    id: str
    url: str
    device: str
    command: str
    by: str | None
    requested: int
    taken: int | None
    taken_device: int | None
    received: int
    age_ms: int | None
    round_trip_ms: int
    mime: str
    size: int
    w: int | None
    h: int | None


class FrameView(Struct, frozen=True, kw_only=True):
    """What is told of a live picture. Times in ms by the gateway's clock.

    ``fps``: how many came a second of late. ``quality`` (of the JPEG, 1 to 100) and ``limited``
    (``start``, ``link``, ``camera``: why they are fewer or coarser than asked for) are the
    device's words. ``passed_over``: pictures that this viewer was too slow for.
    """

    id: str
    seq: int
    taken: int | None
    received: int
    age_ms: int | None
    fps: float | None
    w: int
    h: int
    quality: int | None
    limited: str | None
    passed_over: int


class Silence(Struct, frozen=True, kw_only=True):
    """No picture has come for a while. ``device``: online, stale or offline."""

    silent_ms: int
    device: str


class End(Struct, frozen=True, kw_only=True):
    """No more will come: ``over`` when the time is over, or why there is none."""

    end: str
    detail: str = ""


class Ticket(Struct, frozen=True):
    """Good for one request of this device's live pictures, until ``until`` (ms)."""

    ticket: str
    until: int


class LiveRoutes:
    """Asking for pictures, and watching."""

    def __init__(
        self,
        *,
        registry: Registry,
        twins: Twins,
        snapshots: Snapshots,
        live: LiveViews,
        tickets: Tickets,
        now_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._twins = twins
        self._snapshots = snapshots
        self._live = live
        self._tickets = tickets
        self._now_ms = now_ms

    def routes(self) -> list[Route]:
        """The table."""
        live = "/api/v1/devices/{id}/live"
        watching: dict[str, Any] = {
            "method": "GET",
            "role": Role.DISPATCHER,
            "params": (_FPS, _SECONDS, _BY, _TICKET),
            "ticket": self._tickets.take,
            "problems": (409, 426, 502, 504),
            "act": "live.watch",
        }
        return [
            Route(
                method="POST",
                path="/api/v1/devices/{id}/snapshot",
                handler=self.snapshot,
                name="take_snapshot",
                summary="A picture taken after this request, or why there is none; never an older"
                " one. With `Accept: application/json` what is known of it, without its bytes.",
                role=Role.DISPATCHER,
                params=(_TIMEOUT_MS, _BY),
                answer=SnapshotView,
                act="picture.take",
                media=("application/octet-stream", *sorted(SHOWN_TYPES)),
                problems=(409, 502, 504),
            ),
            Route(
                path=f"{live}.mjpeg",
                handler=self.mjpeg,
                name="watch_mjpeg",
                summary="Live pictures, as a browser's <img> shows them.",
                media=("multipart/x-mixed-replace",),
                **watching,
            ),
            Route(
                path=live,
                handler=self.websocket,
                name="watch_live",
                summary="Live pictures through a WebSocket: what is known of each as text, then"
                " its bytes; and word when none come.",
                **watching,
            ),
            Route(
                method="POST",
                path=f"{live}/ticket",
                handler=self.ticket,
                name="create_live_ticket",
                summary="A ticket with which a page can show the device's live pictures, once.",
                role=Role.DISPATCHER,
                answer=Ticket,
                act="live.ticket",
                is_secret=True,
            ),
        ]

    async def snapshot(self, request: web.Request) -> web.Response:
        """The picture, or what is known of it."""
        device, by = self._device(request), _by(request)
        with _problems():
            taken = await self._snapshots.take(device, by=by, timeout_ms=_TIMEOUT_MS.read(request))
        view = self._view(taken, by)
        accepted = request.headers.get("Accept", "")
        if "application/json" in accepted and "image/" not in accepted:
            return json_answer(view)
        is_shown = taken.mime in SHOWN_TYPES
        headers = {
            "Cache-Control": "no-store",
            "Content-Location": view.url,
            "X-Content-Type-Options": "nosniff",
            **({} if is_shown else {"Content-Disposition": "attachment"}),
            **_headers(view, leave=frozenset({"url", "mime", "size"})),
        }
        content_type = taken.mime if is_shown else "application/octet-stream"
        return web.Response(body=taken.data, content_type=content_type, headers=headers)

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        """Part after part until it is over, each with its headers."""
        response = web.StreamResponse(
            headers={
                "Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}",
                "Cache-Control": "no-store",
            }
        )
        async with self._watched(request) as viewer:
            frame: Frame | None = await viewer.first()
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                async with asyncio.timeout(viewer.left_s):  # a viewer may take nothing any more
                    await response.prepare(request)
                    await response.write(f"--{BOUNDARY}\r\n".encode())
                    while not viewer.is_over and not _has_gone(request):
                        if frame is not None:
                            await response.write(self._part(frame, viewer))
                        frame = await viewer.next(SILENCE_S)
        return response

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """A text and a picture in turn, until it is over or the viewer has gone."""
        socket = web.WebSocketResponse(heartbeat=15.0, max_msg_size=1024)
        if not socket.can_prepare(request).ok:
            raise Problem(426, "a WebSocket is served here", headers={"Upgrade": "websocket"})
        async with self._watched(request) as viewer:
            frame: Frame | None = await viewer.first()
            await socket.prepare(request)
            listening = asyncio.create_task(_listen(socket, viewer), name="live listens")
            try:
                with contextlib.suppress(ConnectionResetError, TimeoutError):
                    async with asyncio.timeout(viewer.left_s):
                        await self._send(socket, viewer, frame)
                with contextlib.suppress(ConnectionResetError):
                    failure = viewer.failure
                    end = (
                        End(end=failure.why, detail=failure.detail) if failure else End(end="over")
                    )
                    await socket.send_str(msgspec.json.encode(end).decode())
                    await socket.close()
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
        return socket

    async def ticket(self, request: web.Request) -> web.Response:
        """A new one."""
        return json_answer(
            Ticket(*self._tickets.give(self._device(request), caller(request) or ""))
        )

    async def _send(
        self, socket: web.WebSocketResponse, viewer: Viewer, frame: Frame | None
    ) -> None:
        device = viewer.device
        came = self._now_ms()
        while frame is not None or not viewer.is_over:
            if frame is not None:
                came = frame.received
                await socket.send_str(msgspec.json.encode(self._frame_view(frame, viewer)).decode())
                await socket.send_bytes(frame.data)
            else:
                state = (self._twins.view(device) or {}).get("state", "offline")
                silence = Silence(silent_ms=self._now_ms() - came, device=state)
                await socket.send_str(msgspec.json.encode(silence).decode())
            frame = await viewer.next(SILENCE_S)

    @contextlib.asynccontextmanager
    async def _watched(self, request: web.Request) -> AsyncIterator[Viewer]:
        fps, seconds, by = _FPS.read(request), _SECONDS.read(request), _by(request)
        with _problems():
            async with self._live.watch(
                self._device(request), fps=fps, seconds=seconds, by=by
            ) as viewer:
                yield viewer

    def _device(self, request: web.Request) -> str:
        device = request.match_info["id"]
        known = self._registry.get(device)
        if known is None or known.revoked:
            raise Problem(404, f"there is no device {device}", device=device)
        return device

    def _view(self, taken: Snapshot, by: str | None) -> SnapshotView:
        now = self._now_ms()
        return SnapshotView(
            id=taken.id,
            url=f"/api/v1/media/{taken.id}",
            device=taken.device,
            command=taken.command,
            by=by,
            requested=taken.requested,
            taken=taken.taken,
            taken_device=taken.taken_device,
            received=taken.received,
            age_ms=None if taken.taken is None else now - taken.taken,
            round_trip_ms=now - taken.requested,
            mime=taken.mime,
            size=len(taken.data),
            w=taken.width_px,
            h=taken.height_px,
        )

    def _frame_view(self, frame: Frame, viewer: Viewer) -> FrameView:
        return FrameView(
            id=frame.id,
            seq=frame.seq,
            taken=frame.taken,
            received=frame.received,
            age_ms=None if frame.taken is None else self._now_ms() - frame.taken,
            fps=frame.fps,
            w=frame.width_px,
            h=frame.height_px,
            quality=frame.quality,
            limited=frame.limited,
            passed_over=viewer.passed_over,
        )

    def _part(self, frame: Frame, viewer: Viewer) -> bytes:
        """The part, and the boundary after it: browsers show a picture when they have read that."""
        headers = {
            "Content-Type": "image/jpeg",
            "Content-Length": str(len(frame.data)),
            **_headers(self._frame_view(frame, viewer)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{head}\r\n".encode() + frame.data + f"\r\n--{BOUNDARY}\r\n".encode()


def _by(request: web.Request) -> str | None:
    return _BY.read(request) or caller(request)


def _headers(view: Struct, *, leave: frozenset[str] = frozenset()) -> dict[str, str]:
    """What is known as headers: ``round_trip_ms`` is ``Fieldgate-Round-Trip-Ms``."""
    return {
        "Fieldgate-" + name.replace("_", "-").title(): quote(str(value))
        for name, value in msgspec.structs.asdict(view).items()
        if value is not None and name not in leave
    }


def _has_gone(request: web.Request) -> bool:
    """Whether the viewer has closed the connection: while no picture comes, nothing else tells."""
    return request.transport is None or request.transport.is_closing()


async def _listen(socket: web.WebSocketResponse, viewer: Viewer) -> None:
    """Until the viewer goes: what they say is of no interest."""
    async for _ in socket:
        pass
    viewer.leave()


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """Answer that there is no picture as a problem."""
    try:
        yield
    except NoPicture as error:
        raise Problem(STATUS[error.why], error.detail, why=error.why, **error.facts) from error
