"""Does the streaming client give each fix once, whatever gpsd and its receiver do?"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sources import gps as gps_module
from edge.sources.gps import MAX_LINE_BYTES, QUIET_FIRST_S, Gps
from protocols.model import Position
from tests import parts
from tests.edge.gpsd_parts import UNPLUGGED, FakeGpsd, poll, running, take, until

NOW_MS = 1_793_600_000_000  # 2026-11-02
SESSION = Path(__file__).parent / "sessions" / "patrol-gpsd-3.22.jsonl"


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gps_module, "BACKOFF_MAX_S", 0.02)


def client(server: FakeGpsd) -> Gps:
    return Gps("127.0.0.1", server.port, now_ms=lambda: NOW_MS)


def tpv(second: int | None, lat: float = 24.5, mode: int = 3, **attributes: object) -> str:
    report: dict[str, object] = {"class": "TPV", "device": "/dev/ttyS0", "mode": mode}
    if second is not None:
        report["time"] = f"2026-11-01T08:00:{second:02d}.000Z"
    if mode >= 2:
        report |= {"lat": lat, "lon": 117.65}
    return json.dumps(report | attributes)


def second_of(fix: Position) -> int:
    assert fix.t is not None
    return fix.t // 1000 % 60


async def test_a_recorded_session_gives_the_track_that_gpsd_reported() -> None:
    lines = SESSION.read_text().splitlines()
    reported = [r for r in map(json.loads, lines) if r["class"] == "TPV" and r["mode"] >= 2]
    assert len(reported) == 16
    async with FakeGpsd() as server, running(gps := client(server)) as fixes:
        await server.connections.get()
        server.say(*lines)
        track = await take(fixes, 16)
        await until(lambda: gps.state == "no_device")  # the session ends with the receiver gone
        assert fixes.empty()
    for fix, report in zip(track, reported, strict=True):
        assert (fix.lat, fix.lon, fix.fix) == (report["lat"], report["lon"], report["mode"])
        assert fix.t == datetime.fromisoformat(report["time"]).timestamp() * 1000
        assert (fix.spd, fix.hdg) == (report["speed"], report["track"])
        assert (fix.alt, fix.hdop, fix.sats) == (report["altHAE"], 1.2, 6)
    assert gps.skipped_lines == gps.late_reports == 0


async def test_several_reports_of_an_epoch_give_its_last_one_once() -> None:
    async with FakeGpsd() as server, running(client(server)) as fixes:
        await server.connections.get()
        for second in (1, 2):
            server.say(tpv(second, mode=2), tpv(second, alt=5.0), tpv(second, alt=5.0, speed=3.0))
        first, last = await take(fixes, 2)
        assert (first.fix, first.spd) == (last.fix, last.spd) == (3, 3.0)
        assert [second_of(first), second_of(last)] == [1, 2]
        assert fixes.empty()


async def test_a_fix_is_given_before_the_next_epoch() -> None:
    async with FakeGpsd() as server, running(client(server)) as fixes:
        await server.connections.get()
        said_s = asyncio.get_running_loop().time()
        server.say(tpv(1))
        await take(fixes)
        assert asyncio.get_running_loop().time() - said_s < 0.8


async def test_a_late_report_is_dropped_and_counted_and_teaches_to_wait() -> None:
    async with FakeGpsd() as server, running(gps := client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(1))
        await take(fixes)
        server.say(tpv(1, speed=3.0), tpv(2))
        assert second_of((await take(fixes))[0]) == 2
        assert gps.late_reports == 1


async def test_a_device_that_was_held_up_reads_what_came_meanwhile() -> None:
    async with FakeGpsd() as server, running(gps := client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(1))
        await until(lambda: gps.state == "ok")
        server.say(tpv(1, speed=3.0))
        time.sleep(2 * QUIET_FIRST_S)  # noqa: ASYNC251 - as a slow disk would
        (fix,) = await take(fixes)
        assert (fix.spd, gps.late_reports) == (3.0, 0)


async def test_the_first_epoch_may_get_its_time_late() -> None:
    async with FakeGpsd() as server, running(client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(None), tpv(1), tpv(2, lat=24.6))
        assert [second_of(fix) for fix in await take(fixes, 2)] == [1, 2]


async def test_reports_without_time_give_each_place_at_the_devices_time() -> None:
    async with FakeGpsd() as server, running(client(server)) as fixes:
        await server.connections.get()
        server.say(*(tpv(None, lat=lat) for lat in (24.5, 24.5, 24.6, 24.6, 24.7)))
        track = await take(fixes, 3)
        assert [fix.lat for fix in track] == [24.5, 24.6, 24.7]
        assert {fix.t for fix in track} == {NOW_MS}


async def test_a_receiver_after_its_week_rollover_has_its_time_put_right() -> None:
    async with FakeGpsd() as server, running(client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(None, time="2007-03-18T08:00:09.000Z"))
        (fix,) = await take(fixes)
        assert fix.t == datetime.fromisoformat("2026-11-01T08:00:09Z").timestamp() * 1000


async def test_satellites_are_those_of_the_epoch_before_or_after_its_report() -> None:
    def sky(second: int, **attributes: object) -> str:
        return json.dumps(
            {"class": "SKY", "time": f"2026-11-01T08:00:{second:02d}.000Z"} | attributes
        )

    async with FakeGpsd() as server, running(client(server)) as fixes:
        await server.connections.get()
        server.say(sky(1, hdop=0.9), tpv(1), sky(1, uSat=7), sky(2, hdop=1.4, uSat=5), tpv(2))
        server.say(tpv(3))
        track = [(fix.hdop, fix.sats) for fix in await take(fixes, 3)]
        assert track == [(0.9, 7), (1.4, 5), (None, None)]


async def test_state_follows_the_receiver() -> None:
    async with FakeGpsd() as server, running(gps := client(server)):
        seen = [gps.state]
        await server.connections.get()
        for line, state in (
            (tpv(1, mode=1), "no_fix"),
            (tpv(2), "ok"),
            (tpv(3, mode=0), "no_fix"),
            (tpv(4), "ok"),
            (UNPLUGGED, "no_device"),
            (tpv(5), "ok"),
        ):
            server.say(line)
            await until(lambda state=state: gps.state == state)  # type: ignore[misc]
            seen.append(gps.state)
        server.hang_up()
        await until(lambda: gps.state == "no_device")


async def test_a_receiver_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gps_module, "WATCHDOG_S", 0.3)
    async with FakeGpsd() as server, running(gps := client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(1))
        await take(fixes)
        await server.connections.get()  # it has asked again
        assert gps.state == "no_device"
        server.say(tpv(2))
        assert second_of((await take(fixes))[0]) == 2


async def test_a_sky_without_fixes_does_not_calm_the_watchdog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gps_module, "WATCHDOG_S", 0.2)
    async with FakeGpsd() as server, running(client(server)):
        await server.connections.get()
        async with asyncio.timeout(30):
            while server.connections.empty():
                server.say('{"class":"SKY","nSat":0}')
                await asyncio.sleep(0.02)  # a receiver goes on at its own pace


async def test_gpsd_may_be_absent_come_go_and_come_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edge.sources.gps")
    port = parts.free_port()
    gps = Gps("127.0.0.1", port, now_ms=lambda: NOW_MS)
    async with running(gps) as fixes:
        await until(lambda: "gpsd_lost" in caplog.text)
        for second in (1, 2):
            async with FakeGpsd(port) as server:
                await server.connections.get()
                server.say(tpv(second))
                server.hang_up()  # what it said last still counts
                assert second_of((await take(fixes))[0]) == second
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events[:4] == ["gpsd_lost", "gpsd_back", "gpsd_lost", "gpsd_back"]


async def test_a_report_repeated_by_a_restarted_gpsd_is_not_given_twice() -> None:
    async with FakeGpsd() as server, running(gps := client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(1))
        server.hang_up()
        await server.connections.get()
        server.say(tpv(1), tpv(2))
        assert [second_of(fix) for fix in await take(fixes, 2)] == [1, 2]
        assert gps.late_reports == 1


async def test_broken_and_oversized_lines_are_skipped_and_counted() -> None:
    async with FakeGpsd() as server, running(gps := client(server)) as fixes:
        await server.connections.get()
        server.say(
            '{"class":"TPV","mode":3,"lat":24.5,"lo', b"\xff\x00\x80", "[" * 5_000,
            '{"class":"GST","rms":1.5}', '{"class":"NEWS","of":{"a":[1]}}', tpv(1),
            b"[" + b"7," * MAX_LINE_BYTES, tpv(2),
        )  # fmt: skip
        assert [second_of(fix) for fix in await take(fixes, 2)] == [1, 2]
        assert gps.skipped_lines >= 4


NOISE = st.binary(max_size=200) | st.sampled_from(
    [tpv(None), tpv(7, mode=1), tpv(8), UNPLUGGED, '{"class":"SKY","hdop":1}', "{" * 70_000]
).map(str.encode)


@settings(max_examples=25, deadline=None)
@given(st.lists(NOISE, max_size=30))
def test_no_lines_whatever_keep_the_next_fix_away(noise: list[bytes]) -> None:
    async def session() -> None:
        async with FakeGpsd() as server, running(client(server)) as fixes:
            await server.connections.get()
            server.say(*noise, tpv(9, lat=-33.0), tpv(10, lat=-34.0))
            while (await take(fixes))[0].lat != -33.0:
                pass

    asyncio.run(session())


def poll_answer(tpv: str | None, active: int = 1) -> str:
    answer = {"class": "POLL", "active": active, "tpv": [], "sky": []}
    if tpv is not None:
        answer |= {"tpv": [json.loads(tpv)], "sky": [{"class": "SKY", "satellites": []}]}
    return json.dumps(answer)


async def test_gpsd_py3_invents_an_altitude_speed_and_track_where_this_client_does_not() -> None:
    async with FakeGpsd(poll=poll_answer(tpv(1))) as server, running(client(server)) as fixes:
        await server.connections.get()
        server.say(tpv(1))
        (ours,) = await take(fixes)
        theirs = await asyncio.to_thread(poll, server.port)
    assert (theirs.lat, theirs.lon, theirs.mode) == (ours.lat, ours.lon, ours.fix)
    assert (theirs.alt, theirs.hspeed, theirs.track) == (0.0, 0, 0)
    assert (ours.alt, ours.spd, ours.hdg) == (None, None, None)


@pytest.mark.parametrize(("active", "error"), [(1, IndexError), (0, UserWarning)])
async def test_gpsd_py3_fails_on_an_empty_poll(active: int, error: type[Exception]) -> None:
    async with FakeGpsd(poll=poll_answer(None, active)) as server:
        with pytest.raises(error):
            await asyncio.to_thread(poll, server.port)
