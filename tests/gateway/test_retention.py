"""What is deleted when, what never is, and that nothing goes before it is on record."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.config import RetentionSettings
from gateway.pictures import WORTH
from gateway.registry import Role
from gateway.retention import DAY_MS
from protocols.model import Stage
from tests.gateway.house import NOW
from tests.gateway.studio import RESERVE, Studio, studio

ALARM = "car-1:1:p:1"
REASONS = sorted(WORTH, key=WORTH.__getitem__)


def picture(number: int, size: int = 2000) -> bytes:
    """Bytes that stand for a picture: retention looks at none of them."""
    return number.to_bytes(4, "big") + bytes(size - 4)


async def sent(room: Studio, number: int, *, size: int = 2000, **how: Any) -> str:
    """A picture that is sent and fed."""
    count = len(await room.gw.events("media"))
    picture_id = await room.send(picture(number, size), "image/jpeg", **how)
    await room.fed(count + 1)
    return picture_id


async def kept(room: Studio) -> list[str]:
    """The reasons of the pictures that are there."""
    found = (await room.get("/api/v1/media"))["media"]
    return [each["reason"] for each in found if each["complete"]]


async def hold(room: Studio, what: str, method: str = "PUT", status: int = 200) -> Any:
    order = {"by": "Inspector Li", "note": "case 7"}
    async with room.request(method, f"/api/v1/{what}/hold", json=order) as response:
        assert response.status == status, await response.text()
        return await response.json()


def on_disk(folder: Path) -> int:
    return sum(1 for path in (folder / "pictures").glob("??/*") if path.is_file())


async def test_each_reason_has_its_time(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        for number, reason in enumerate(REASONS):
            await sent(room, number, reason=reason)
        days = [getattr(RetentionSettings(), reason) for reason in REASONS]
        assert days == sorted(days)
        for gone, (reason, limit) in enumerate(zip(REASONS, days, strict=True)):
            room.gw.now = NOW + limit * DAY_MS
            await room.darkroom.retention.once()
            assert reason in await kept(room), "not before its time"
            room.gw.now += 1
            await room.darkroom.retention.once()
            assert await kept(room) == REASONS[:gone:-1]
        assert on_disk(tmp_path) == 0


async def test_what_was_deleted_is_known_and_gone(tmp_path: Path) -> None:
    async with studio(tmp_path, retention={"live": 1}) as room:
        gone = await sent(room, 1, reason="live", ref="c1")
        room.gw.now += DAY_MS + 1
        await room.darkroom.retention.once()
        for path in (gone, f"{gone}/thumbnail"):
            problem = await room.get(f"/api/v1/media/{path}", 410)
            assert problem["deleted"] == {"t": room.gw.now, "by": "retention", "why": "live_days"}
            assert (problem["was"]["sha256"], problem["was"]["size"]) == (gone, 2000)
        about = await room.about(gone)
        assert (about["state"], about["sendings"][0]["state"]) == ("deleted", "deleted")
        assert about["sendings"][0]["ref"] == "c1"
        (event,) = await room.gw.events("media.custody")
        assert event.device == "car-1"
        record = event.data["record"]
        assert (event.data["act"], event.data["media"], record["size"]) == ("deleted", gone, 2000)
        assert record["sendings"][0]["device"] == "car-1"
        assert await hold(room, f"media/{gone}", status=410)


async def test_a_picture_for_several_reasons_is_kept_for_the_best(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await sent(room, 1, reason="live", ref="c1")
        await sent(room, 1, reason="alarm", ref=ALARM)
        room.gw.now += 8 * DAY_MS
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 1


async def test_pictures_of_an_open_alarm_outlast_everything(tmp_path: Path) -> None:
    async with studio(tmp_path, pictures_budget_mb=1) as room:
        named = await sent(room, 1, reason="periodic", size=600_000)
        await room.gw.alarm(seq=1, media=[named])
        await sent(room, 2, reason="alarm", ref=ALARM, size=600_000)
        room.gw.now += 10_000 * DAY_MS
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 2
        await room.gw.alarms.advance(ALARM, Stage.CLOSED)
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 0


async def test_over_the_budget_the_least_valuable_goes_first(tmp_path: Path) -> None:
    async with studio(tmp_path, pictures_budget_mb=1) as room:
        for number, reason in enumerate([*REASONS, "live"]):
            room.gw.now += 1
            await sent(room, number, reason=reason, size=250_000)
        await room.darkroom.retention.once()
        assert await kept(room) == ["alarm", "command", "pre_alarm", "periodic"]
        deleted = [each for each in await room.custody() if each["act"] == "deleted"]
        assert [each["by"] for each in deleted] == ["budget", "budget"]
        await sent(room, 7, reason="periodic", size=250_000)
        await room.darkroom.retention.once()
        assert await kept(room) == ["periodic", "alarm", "command", "pre_alarm"], "the older one"
        usage = room.darkroom.retention.newest
        assert usage is not None
        assert (usage.pictures, usage.bytes) == (4, 1_000_000)


async def test_a_disk_that_runs_out_takes_what_is_worth_least(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        for number, reason in enumerate(REASONS):
            await sent(room, number, reason=reason)
        room.free_bytes = 6 * RESERVE
        room.room.look()
        assert room.room.admits("media"), "before any has to be refused"

        looks = room.room.look

        def look() -> None:
            room.free_bytes += RESERVE  # what was deleted has made room
            looks()

        room.room.look = look  # type: ignore[method-assign]
        await room.darkroom.retention.once()
        assert await kept(room) == REASONS[:0:-1]
        room.free_bytes = 0
        room.room.look = looks  # type: ignore[method-assign]
        room.room.look()
        await room.darkroom.retention.once()
        assert await kept(room) == ["alarm", "pre_alarm"], "these keep their time"


async def test_a_held_picture_stays_until_it_is_released(tmp_path: Path) -> None:
    async with studio(tmp_path, pictures_budget_mb=1) as room:
        held = await sent(room, 1, reason="live", size=900_000)
        assert await hold(room, f"media/{held}") == {"held": True, "scope": "media", "id": held}
        await hold(room, f"media/{held}")  # again changes nothing
        room.gw.now += 10_000 * DAY_MS
        await sent(room, 2, reason="alarm", size=900_000)
        room.free_bytes = 0
        room.room.look()
        await room.darkroom.retention.once()
        assert await kept(room) == ["live"]
        (shown,) = (await room.about(held))["holds"]
        assert (shown["by"], shown["note"]) == ("Inspector Li", "case 7")
        assert (await room.get("/api/v1/media"))["media"][1]["held"]
        await hold(room, f"media/{held}", "DELETE")
        await hold(room, f"media/{held}", "DELETE", status=404)
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 0
        acts = [each["act"] for each in await room.custody()]
        assert acts == ["held", "deleted", "released", "deleted"]


async def test_a_hold_on_an_alarm_keeps_those_to_come_too(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await room.gw.alarm(seq=1, media=[])
        await room.gw.alarms.advance(ALARM, Stage.CLOSED)
        await sent(room, 1, reason="alarm", ref=ALARM)
        await hold(room, f"alarms/{ALARM}")
        await sent(room, 2, reason="pre_alarm", ref=ALARM)
        await sent(room, 3, reason="pre_alarm", ref="car-1:1:p:2")
        room.gw.now += 10_000 * DAY_MS
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 2
        (held,) = (await room.get("/api/v1/holds"))["holds"]
        assert (held["scope"], held["id"], held["by"]) == ("alarm", ALARM, "Inspector Li")
        assert (await room.get("/api/v1/holds?scope=media"))["holds"] == []
        assert (await room.get("/api/v1/holds?by=nobody"))["holds"] == []
        (event,) = [each for each in await room.custody() if each["act"] == "held"]
        assert event == {"act": "held", "alarm": ALARM, "by": "Inspector Li", "note": "case 7"}
        await hold(room, f"alarms/{ALARM}", "DELETE")
        assert (await room.get("/api/v1/holds"))["holds"] == []
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 0


async def test_holds_are_read_in_pages_the_oldest_first(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        pictures = [await sent(room, number) for number in (1, 2, 3)]
        for picture in reversed(pictures):
            room.gw.now += 1000
            await hold(room, f"media/{picture}")
        found, following = [], ""
        while following is not None:
            page = await room.get(f"/api/v1/holds?scope=media&limit=2&after={following or '0'}")
            found += [each["id"] for each in page["holds"]]
            following = page["next"]
        assert found == pictures[::-1]
        await room.get("/api/v1/holds?after=yesterday", 400)


async def test_only_an_administrator_holds_and_says_who_he_is(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        held = await sent(room, 1)
        path = f"/api/v1/media/{held}/hold"
        async with room.request("PUT", path, role=Role.DISPATCHER, json={"by": "x"}) as response:
            assert response.status == 403
        for body in (b"", b"{}", b'{"by": ""}', b"\xff"):
            said = {"Content-Type": "application/json"}
            async with room.request("PUT", path, data=body, headers=said) as response:
                assert response.status == 400
        await hold(room, f"media/{'d' * 64}", status=404)
        await hold(room, "alarms/none", status=404)
        assert await room.custody() == []


async def test_what_was_never_whole_goes_in_its_time_too(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        part = await room.send(picture(1, 20_000), "image/jpeg", only=[0], reason="periodic")
        room.gw.now += 31 * DAY_MS
        await room.darkroom.retention.once()
        (event,) = await room.custody()
        assert (event["act"], event["media"], event["why"]) == ("abandoned", part, "incomplete")
        assert (await room.about(part))["state"] == "deleted"
        usage = room.darkroom.retention.newest
        assert usage is not None
        assert usage.bytes == 0
        await sent(room, 1, size=20_000, reason="periodic")
        async with room.request("GET", f"/api/v1/media/{part}") as response:
            assert await response.read() == picture(1, 20_000), "sent again it is whole"


async def test_a_deleted_picture_that_is_sent_again_is_there_again(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        again = await sent(room, 1, reason="live")
        room.gw.now += 8 * DAY_MS
        await room.darkroom.retention.once()
        await sent(room, 1, reason="live")
        async with room.request("GET", f"/api/v1/media/{again}") as response:
            assert response.status == 200
        states = [each["state"] for each in (await room.about(again))["sendings"]]
        assert states == ["deleted", "complete"]


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize("before", ["commit", "unlink"])
async def test_a_deletion_that_a_crash_interrupted_is_recorded_once_and_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    async with studio(tmp_path) as room:
        gone = await sent(room, 1, reason="live")
        room.gw.now += 8 * DAY_MS

        def crash(*_: object) -> None:
            raise Crash

        with monkeypatch.context() as patch:
            where = room.gw.journal if before == "commit" else room.gw.journal.shelf
            patch.setattr(where, before, crash)
            with contextlib.suppress(Crash):
                await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 1, "nothing goes before it is on record"
        assert len(await room.custody()) == (before == "unlink")
        await room.get(f"/api/v1/media/{gone}", 410)
    async with studio(tmp_path) as room:
        await room.fed(1, "media.custody")
        async with asyncio.timeout(30):
            while on_disk(tmp_path):
                await asyncio.sleep(0.01)
        await room.darkroom.custody.finish()
        assert len(await room.custody()) == 1
        assert not room.gw.journal.shelf.doomed()


async def test_holds_that_a_crash_interrupted_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise Crash

    async with studio(tmp_path) as room:
        held = await sent(room, 1, reason="live")
        with monkeypatch.context() as patch:
            patch.setattr(room.gw.journal, "commit", crash)
            with contextlib.suppress(Crash):
                await room.darkroom.custody.hold("media", held, by="Li", note=None)
        room.gw.now += 8 * DAY_MS
        await room.darkroom.retention.once()
        assert on_disk(tmp_path) == 1
    async with studio(tmp_path) as room:
        assert (await room.fed(1, "media.custody"))[0].data["act"] == "held"
        with monkeypatch.context() as patch:
            patch.setattr(room.gw.journal.shelf, "unhold", crash)
            with contextlib.suppress(Crash):
                await room.darkroom.custody.release("media", held, by="Li", note=None)
    async with studio(tmp_path, works=False) as room:
        await room.darkroom.custody.finish()
        assert [each["act"] for each in await room.custody()] == ["held", "released"]
        assert not room.gw.journal.shelf.holds()


async def test_a_picture_that_is_held_or_sent_just_then_is_spared(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        shelf, retention = room.gw.journal.shelf, room.darkroom.retention
        held = await sent(room, 1, reason="live")
        again = await sent(room, 2, reason="live")
        candidates = await retention.candidates(None, NOW + 1)
        assert {each.id for each in candidates} == {held, again}
        await room.darkroom.custody.hold("media", held, by="Li", note=None)
        await sent(room, 2, reason="alarm", ref=ALARM)
        went = await room.darkroom.custody.delete(
            candidates, retention.guarded(), by="budget", why="pictures_budget_mb"
        )
        assert (went, shelf.doomed()) == ([], [])
        assert on_disk(tmp_path) == 2


async def test_a_clock_that_leaps_makes_nothing_old(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await sent(room, 1, reason="live")
        await room.darkroom.retention.once()
        room.gw.now += 10_000 * DAY_MS
        room.leapt_s = 10_000 * DAY_MS / 1000
        await room.darkroom.retention.once()
        assert await kept(room) == ["live"]
        assert any("leapt" in each for each in room.darkroom.warnings())
        room.gw.now += DAY_MS - 1000
        await room.darkroom.retention.once()
        assert await kept(room) == ["live"], "a person has a day"
        room.gw.now += 1000
        await room.darkroom.retention.once()
        assert await kept(room) == []
        assert room.darkroom.warnings() == []


async def test_a_page_that_cannot_be_read_ends_neither_retention_nor_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    async with studio(tmp_path, works=False) as room:
        shelf = room.gw.journal.shelf
        with monkeypatch.context() as patch:
            for name in ("usage", "doomed", "without_thumbnail"):
                patch.setattr(shelf, name, damaged)
            working = asyncio.create_task(room.darkroom.run())
            await sent(room, 1)
            assert not working.done()
        working.cancel()
        await asyncio.wait([working])


@pytest.mark.slow
async def test_a_damaged_pictures_db_is_made_anew_from_the_journal(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await room.gw.alarm(seq=1)
        gone = await sent(room, 1, reason="live", ref="c1")
        room.gw.now += 8 * DAY_MS
        await room.darkroom.retention.once()
        kept_one = await sent(room, 2, reason="alarm", ref=ALARM)
        await sent(room, 2, reason="command", ref="c2")
        await hold(room, f"media/{kept_one}")
        room.gw.now += 1
        await hold(room, f"alarms/{ALARM}")
        released = await sent(room, 3, reason="periodic")
        await hold(room, f"media/{released}")
        await hold(room, f"media/{released}", "DELETE")
        before = await room.about(kept_one)
    path = tmp_path / "pictures" / "pictures.db"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 8] = b"\xa5" * 4096 * 6
    path.write_bytes(content)
    async with studio(tmp_path) as room:
        room.gw.now += 8 * DAY_MS
        (aside,) = room.gw.journal.put_aside
        assert aside.startswith("pictures.db.damaged-")
        async with room.request("GET", f"/api/v1/media/{kept_one}") as response:
            assert await response.read() == picture(2)
        after = await room.about(kept_one)
        assert after["holds"] == before["holds"]
        told = ("device", "reason", "ref", "taken", "sent", "began", "received", "complete")
        assert [[each[key] for key in told] for each in after["sendings"]] == [
            [each[key] for key in told] for each in before["sendings"]
        ]
        assert (await room.get(f"/api/v1/media/{gone}", 410))["deleted"]["why"] == "live_days"
        held = (await room.get("/api/v1/holds"))["holds"]
        assert [each["id"] for each in held] == [kept_one, ALARM]
        room.seq = 100  # the device goes on in its numbering
        again = await sent(room, 4, reason="live")
        assert (await room.about(again))["complete"]
        assert len([each for each in await room.custody() if each["act"] == "deleted"]) == 1
