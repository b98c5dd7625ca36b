"""What a role may not do it does not see: every page, every act, as each role."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Response

from gateway.registry import Role
from tests.edge.panel_parts import needs_chromium
from tests.gateway.photographs import encoded
from tests.web.console_parts import BOX, console, field, tokens
from tests.web.test_console import CAR, alarm, fix, now_ms, send_picture

pytestmark = [needs_chromium, pytest.mark.slow]

ALARM = "box-1%3A1%3Ap%3A1"


def acts(picture: str) -> dict[str, tuple[str, dict[str, Role]]]:
    """Each page with what shows that it is there, and its acts with who may do them."""
    sends = {"#accept": Role.DISPATCHER}
    return {
        "alarms": ("#alarms td", sends),
        f"alarms/{ALARM}": ("dialog .steps li", {"#advance": Role.DISPATCHER}),
        "devices": ("#devices td", {"#add-device": Role.ADMIN}),
        "devices/car-1": ("dialog table", {"#revoke": Role.ADMIN}),
        "orders/c-1": ("dialog .steps li", {"#call-back": Role.DISPATCHER}),
        f"pictures/{picture}": ("dialog .pairs", {"#hold": Role.ADMIN}),
        "arrivals": ("#arrivals .tiles", sends),
        "ledger": ("#ledger td", sends),
        "quarantine/1": ("dialog pre.hex", {}),
        "feed": ("#feed td", sends),
        "health": ("#readiness .huge", sends),
        "audit": ("#audit td, #not-for-role", {"#audit td": Role.ADMIN}),
        f"map/alarm/{ALARM}": (".near li, .near div", {".near [data-send]": Role.DISPATCHER}),
        "map/unit/car-1": (
            ".card .facts dd",
            {"#message": Role.DISPATCHER, "[data-focus=picture-car-1]": Role.DISPATCHER},
        ),
    }  # fmt: skip


async def test_each_role_sees_what_it_may_do_and_is_refused_nothing(
    tmp_path: Path, chromium: Browser
) -> None:
    async with field(tmp_path, BOX, CAR) as (gateway, [box, car]):
        car.send("presence", {"online": True, "boot": 1, "t": 0, "caps": ["camera"]}, retain=True)
        car.send("pos", fix(1))
        car.send("status", {"boot": 1, "seq": 2, "t": now_ms(), "cam": "ok"})
        car.send("duty", {"boot": 1, "seq": 1, "t": now_ms(), "act": "on_duty"})
        car.send("pos", b"\xc1\x00")
        box.send("alarm", alarm())
        picture = send_picture(box, encoded(".jpg"), "box-1:1:p:1")
        await gateway.wait_for(1, "media")
        await gateway.wait_for(1, "status")
        order = {"id": "c-1", "act": "text", "args": {"text": "call back"}}
        await gateway.post("/api/v1/devices/car-1/commands", **order)
        known = tokens(gateway.folder)
        for role in Role:
            refused: list[str] = []

            def heard(response: Response, refused: list[str] = refused) -> None:
                if response.status in (401, 403):
                    refused.append(f"{response.request.method} {response.url}")

            async with console(chromium, gateway.url) as page:
                await page.sign_in(known[role])
                page.page.on("response", heard)
                for at, (there, offered) in acts(picture).items():
                    await page.open(at)
                    await page.at(there).first.wait_for()
                    for selector, needed in offered.items():
                        if role.includes(needed):
                            await page.at(selector).first.wait_for()
                        else:
                            assert await page.at(selector).count() == 0, (role, at, selector)
            assert refused == [], role
