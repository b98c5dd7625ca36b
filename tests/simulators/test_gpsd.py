"""The stand-in for gpsd: what the agent's own client makes of it is what was put in."""

from __future__ import annotations

import asyncio
import contextlib
import json

from msgspec import structs

from edge.sources.gps import Gps
from protocols.model import Position
from simulators.gpsd import Gpsd

HERE = Position(
    lat=24.5123456, lon=117.6543210, fix=3, alt=12.5, spd=8.25, hdg=271.5, acc=2.1, hdop=0.8,
    sats=14, src="gnss",
)  # fmt: skip


async def test_the_agents_client_gets_the_fix_that_was_observed() -> None:
    fixes: asyncio.Queue[Position] = asyncio.Queue()
    async with Gpsd(lambda _: HERE, period_s=0.05) as gpsd:
        gps = Gps(*gpsd.address)
        listening = asyncio.create_task(gps.run(fixes.put_nowait))
        fix = await asyncio.wait_for(fixes.get(), 30)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    assert structs.replace(fix, t=None) == HERE
    assert gps.state == "ok"


async def test_without_a_fix_it_says_so_and_invents_nothing() -> None:
    async with Gpsd(lambda _: None, period_s=0.05) as gpsd:
        reader, writer = await asyncio.open_connection(*gpsd.address)
        assert json.loads(await reader.readline())["class"] == "VERSION"
        writer.write(b'?WATCH={"enable":true,"json":true};\n')
        said = [json.loads(await asyncio.wait_for(reader.readline(), 30)) for _ in range(4)]
        writer.write(b"?NONSENSE;\n")
        while (reply := json.loads(await asyncio.wait_for(reader.readline(), 30)))[
            "class"
        ] != "ERROR":
            pass
        writer.close()
        await writer.wait_closed()
    assert [report["class"] for report in said] == ["DEVICES", "WATCH", "SKY", "TPV"]
    assert said[3]["mode"] == 1
    assert "lat" not in said[3]
    assert reply["message"] == "Unrecognized request"
