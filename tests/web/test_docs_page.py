"""The API's page in a real browser: every route is there, can be found, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.edge.panel_parts import needs_chromium
from tests.scenarios.whole import Gateway

pytestmark = [needs_chromium, pytest.mark.slow]


async def test_every_route_is_shown_and_found(tmp_path: Path, chromium: Browser) -> None:
    async with Gateway(tmp_path / "data") as gateway:
        description = await gateway.get("/openapi.json")
        operations = {
            act["operationId"] for path in description["paths"].values() for act in path.values()
        }
        for language, heading in (("zh-CN", "接口文档"), ("en-US", "The API")):
            context = await chromium.new_context(locale=language)
            page = await context.new_page()
            wrong, asked = heard(page)
            await page.goto(f"{gateway.url}/docs")
            await page.wait_for_selector("details.act")
            assert heading in await page.inner_text("h1")
            shown = await page.eval_on_selector_all("details.act", "all => all.map(e => e.id)")
            assert set(shown) == operations
            await page.click("#accept_alarm summary")
            await page.get_by_text("Idempotency-Key").first.wait_for()  # drawn once it is open
            text = await page.inner_text("#accept_alarm")
            for word in ("Idempotency-Key", "car-007%3A1%3Ap%3A1", "desk 3", "409", "dispatcher"):
                assert word in text
            assert await grave(page) == []
            await page.fill("input", "quarantine")
            assert await page.locator("details.act").count() == 2
            assert wrong == []
            assert all(url.startswith(gateway.url) for url in asked)
            await context.close()


def heard(page: Page) -> tuple[list[str], list[str]]:
    """What the page says is wrong, and what it asks for, as it happens."""
    wrong, asked = list[str](), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    return wrong, asked


async def grave(page: Page) -> list[str]:
    results = await Axe().run(page)
    return [
        f"{wrong['id']} {node['target']}"
        for wrong in results.response["violations"]
        if wrong["impact"] in {"serious", "critical"}
        for node in wrong["nodes"]
    ]
