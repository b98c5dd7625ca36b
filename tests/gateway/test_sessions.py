"""Sessions of the page: what a cookie opens, for whom, how long; and the page's files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from gateway.api.web import STATIC
from gateway.registry import SESSION_MS, Registry, Role
from tests.gateway.outward import Outward, alarm_change, outward

PAGE = {"X-Fieldgate": "1"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


async def cookie_of(gateway: Outward, role: Role) -> dict[str, str]:
    """What a page sends that was signed in."""
    gateway.session.cookie_jar.clear()
    body = {"token": gateway.tokens[role]}
    async with gateway.request(
        "POST", "/api/v1/session", role=None, json=body, headers=PAGE
    ) as response:
        assert response.status == 200
        [(name, morsel)] = SimpleCookie(response.headers["Set-Cookie"]).items()
    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert int(morsel["max-age"]) == SESSION_MS // 1000
    gateway.session.cookie_jar.clear()
    return {"Cookie": f"{name}={morsel.value}"}


async def status(
    gateway: Outward, method: str, path: str, headers: dict[str, str], **options: object
) -> int:
    async with gateway.request(method, path, role=None, headers=headers, **options) as response:
        return response.status


async def test_a_session_may_what_its_token_may(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1))
    accept = "/api/v1/alarms/box-1:1:p:1/accept"
    for role, expected in ((Role.VIEWER, 403), (Role.DISPATCHER, 200)):
        cookie = await cookie_of(gateway, role)
        assert await status(gateway, "GET", "/api/v1/alarms", cookie) == 200
        assert await status(gateway, "POST", accept, cookie | PAGE) == expected


async def test_what_another_site_asks_with_the_cookie_is_refused(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1))
    cookie = await cookie_of(gateway, Role.DISPATCHER)
    assert await status(gateway, "POST", "/api/v1/alarms/box-1:1:p:1/accept", cookie) == 403
    assert await status(gateway, "DELETE", "/api/v1/session", cookie) == 403
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    live = "/api/v1/devices/box-1/live"
    for origin in ({"Origin": "http://elsewhere.example"}, {}):
        assert await status(gateway, "GET", live, cookie | upgrade | origin) == 403
    ours = {"Origin": gateway.url}
    assert await status(gateway, "GET", live, cookie | upgrade | ours) == 404, "no such device"
    assert gateway.alarms.asked == []


async def test_signing_in_from_another_site_is_refused(gateway: Outward) -> None:
    body = {"token": gateway.tokens[Role.ADMIN]}
    assert await status(gateway, "POST", "/api/v1/session", {}, json=body) == 403


@pytest.mark.parametrize("token", ["fgt_wrong", ""])
async def test_a_wrong_token_opens_no_session(gateway: Outward, token: str) -> None:
    expected = 401 if token else 400
    body = {"token": token}
    assert await status(gateway, "POST", "/api/v1/session", PAGE, json=body) == expected


async def test_a_session_ends_by_signing_out(gateway: Outward) -> None:
    cookie = await cookie_of(gateway, Role.VIEWER)
    assert await status(gateway, "DELETE", "/api/v1/session", cookie | PAGE) == 200
    assert await status(gateway, "GET", "/api/v1/session", cookie) == 401


async def test_a_session_ends_with_its_token(gateway: Outward) -> None:
    cookie = await cookie_of(gateway, Role.VIEWER)
    for token in gateway.registry.tokens():
        gateway.registry.revoke_token(token.no)
    assert await status(gateway, "GET", "/api/v1/session", cookie) == 401


def test_a_session_ends_with_its_shift(tmp_path: Path) -> None:
    now = 1_790_000_000_000
    with Registry(tmp_path, now_ms=lambda: now) as registry:
        bearer = registry.bearer(registry.add_token(Role.VIEWER, "night"))
        assert bearer is not None
        secret, until = registry.open_session(bearer)
        now = until - 1
        assert registry.session(secret) == bearer
        registry.renew_session(secret)
        now += SESSION_MS - 1
        assert registry.session(secret) == bearer
        now += 1
        assert registry.session(secret) is None


async def test_a_page_that_is_open_stays_signed_in(gateway: Outward) -> None:
    cookie = await cookie_of(gateway, Role.VIEWER)
    async with gateway.request("GET", "/api/v1/session", role=None, headers=cookie) as response:
        renewed = SimpleCookie(response.headers["Set-Cookie"])
    assert cookie["Cookie"] in renewed.output(attrs=[], header="Cookie:")
    async with gateway.request("GET", "/api/v1/session") as response:
        assert "Set-Cookie" not in response.headers, "a token is no session"


async def test_who_is_signed_in(gateway: Outward) -> None:
    answer = await gateway.get("/api/v1/session", role=Role.ADMIN)
    assert answer["role"] == "admin"


async def test_the_page_s_files_are_served_with_a_strict_policy(gateway: Outward) -> None:
    for path in ("/", "/app.js", "/css/tokens.css", "/icon.svg"):
        async with gateway.request("GET", path, role=None) as response:
            assert response.status == 200
            assert "unsafe" not in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            headers = {"If-None-Match": response.headers["ETag"]}
        assert await status(gateway, "GET", path, headers) == 304


@pytest.mark.parametrize("path", ["/../config.py", "/css/../../config.py", "/%2e%2e/%2e%2e/app.py"])
async def test_no_other_file_is_served(gateway: Outward, path: str) -> None:
    assert await status(gateway, "GET", path, {}) == 404


def test_the_page_holds_nothing_that_its_policy_forbids() -> None:
    text = (STATIC / "index.html").read_text()
    assert "style=" not in text
    assert "<script>" not in text
    for path in STATIC.rglob("*.js"):
        assert "innerHTML" not in path.read_text(), path
