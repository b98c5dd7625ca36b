"""What is true of a picture, and that none is shown whose bytes have changed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest

from gateway import darkroom
from gateway.gallery import by_commands
from gateway.picture_view import Asked
from gateway.registry import Role
from protocols.native import media
from tests.gateway.house import NOW, fix, house
from tests.gateway.photographs import decoded, encoded, png_bomb, turned_jpeg
from tests.gateway.studio import Studio, studio

ALARM = "car-1:1:p:1"
HOUSE = Path(__file__).parents[2]


def jpeg(shade: int = 0) -> bytes:
    return encoded(".jpg", 640, 480, shade)


async def sent(room: Studio, picture: bytes, count: int = 1, **told: Any) -> str:
    """A picture that is sent and fed."""
    how: dict[str, Any] = {"mime": "image/jpeg", "w": 640, "h": 480, **told}
    picture_id = await room.send(picture, **how)
    await room.fed(count)
    return picture_id


async def test_a_picture_says_when_it_was_taken_sent_and_received(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        late = 7_200_000  # the device's clock is two hours behind
        await room.gw.telemetry_of("pos", fix(900, t=NOW - late))
        chunks = list(
            media.cut(
                encoded(".png", 640, 480) + bytes(9000), "image/png",
                taken=NOW - late - 3000, width_px=640, height_px=480, reason="alarm", ref=ALARM,
            )
        )  # fmt: skip
        for chunk in chunks:
            await room.send_chunk(chunk | {"t": room.gw.now - late - 1000})
            room.gw.now += 500
        await room.fed(1)
        about = await room.about(chunks[0]["id"])
        assert about["sha256"] == about["id"] == chunks[0]["id"]
        (sending,) = about["sendings"]
        told = {k: v for k, v in sending.items() if k not in {"no", "announced", "asked"}}
        assert told == {
            "device": "car-1",
            "reason": "alarm",
            "ref": ALARM,
            "requested": False,
            "taken": NOW - late - 3000,
            "taken_corrected": NOW - 3000,
            "clock_offset_ms": late,
            "sent": NOW - late - 1000,
            "began": NOW,
            "received": NOW + 500 * (len(chunks) - 1),
            "age_ms": 3000 + 500 * len(chunks),
            "age_received_ms": 3000 + 500 * (len(chunks) - 1),
            "state": "complete",
            "complete": True,
            "received_chunks": len(chunks),
            "of": len(chunks),
        }


async def test_a_device_that_knows_no_time_gives_its_picture_no_age(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        (sending,) = (await room.about(await sent(room, jpeg(), taken=0)))["sendings"]
        assert (sending["taken"], sending["taken_corrected"], sending["age_ms"]) == (0, None, None)
        (event,) = await room.gw.events("media")
        assert event.flags == ("clock_unset",)


async def test_who_asked_is_said_if_that_device_was_asked(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        room.asked["c1"] = Asked(cmd="c1", act="snapshot", by="desk 3", t=NOW - 400, device="car-1")
        mine = await sent(room, jpeg(1), reason="command", ref="c1")
        other = await sent(room, jpeg(2), 2, reason="command", ref="c1", device="box-1")
        nobody = await sent(room, jpeg(3), 3, reason="command", ref="c2")
        alarm = await sent(room, jpeg(4), 4, reason="alarm", ref="c1")
        shown = [(await room.about(each))["sendings"][0] for each in (mine, other, nobody, alarm)]
        assert [each["requested"] for each in shown] == [True, False, False, False]
        assert shown[0]["asked"]["by"] == "desk 3"
        assert shown[1]["asked"] is None
        events = await room.gw.events("media")
        assert [event.data["requested"] for event in events] == [True, False, False, False]
        assert events[0].data["asked"]["by"] == "desk 3"


async def test_what_was_announced_stands_beside_what_the_bytes_are(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        lie = await sent(room, jpeg(), mime="image/png", w=1, h=2)
        about = await room.about(lie)
        assert about["sendings"][0]["announced"] == {
            "mime": "image/png", "size": len(jpeg()), "w": 1, "h": 2,
        }  # fmt: skip
        assert about["found"] == {"mime": "image/jpeg", "w": 640, "h": 480}
        async with room.request("GET", f"/api/v1/media/{lie}") as response:
            assert response.content_type == "image/jpeg"
        cut = await sent(room, jpeg(9)[:-2], 2)
        assert (await room.about(cut))["found"]["problems"] == ["truncated"]


async def test_an_incomplete_picture_says_how_much_of_it_is_here(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        picture = jpeg() + bytes(8192 * 4)
        part = await room.send(picture, "image/jpeg", only=[2, 1])
        problem = await room.get(f"/api/v1/media/{part}", 404)
        assert (problem["state"], problem["received_chunks"], problem["of"]) == ("partial", 2, 5)
        (sending,) = (await room.about(part))["sendings"]
        assert (sending["complete"], sending["received"], sending["reason"]) == (False, None, None)
        assert sending["began"] == NOW
        assert (await room.get("/api/v1/media"))["media"][0]["received_chunks"] == 2
        await room.get(f"/api/v1/media/{'d' * 64}", 404)
        await room.get(f"/api/v1/media/{'d' * 64}/about", 404)


async def test_the_same_bytes_from_two_devices_are_kept_once_and_both_are_told(
    tmp_path: Path,
) -> None:
    async with studio(tmp_path) as room:
        picture = await sent(room, jpeg(), taken=NOW)
        assert await sent(room, jpeg(), 2, device="box-1", taken=NOW - 50) == picture
        about = await room.about(picture)
        assert [(s["device"], s["taken"]) for s in about["sendings"]] == [
            ("car-1", NOW), ("box-1", NOW - 50),
        ]  # fmt: skip
        assert [e.device for e in await room.gw.events("media")] == ["car-1", "box-1"]


async def test_the_same_bytes_for_two_reasons_are_told_twice(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        picture = await sent(room, jpeg(), reason="pre_alarm", ref=ALARM)
        await sent(room, jpeg(), 2, reason="command", ref="c1")
        events = await room.gw.events("media")
        assert [(e.data["reason"], e.data["ref"], e.data["complete"]) for e in events] == [
            ("pre_alarm", ALARM, True), ("command", "c1", True),
        ]  # fmt: skip
        assert len({event.id for event in events}) == 2
        await room.send(jpeg(), "image/jpeg", reason="command", ref="c1", w=640, h=480)
        await sent(room, jpeg(5), 3)
        assert len(await room.gw.events("media")) == 3, "sent again it is no news"
        sendings = (await room.about(picture))["sendings"]
        assert [each["reason"] for each in sendings] == ["pre_alarm", "command"]
        assert all(each["complete"] for each in sendings)


async def test_pictures_are_found_by_who_what_and_when(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        first = await sent(room, jpeg(1), ref=ALARM)
        room.gw.now += 1000
        second = await sent(room, jpeg(2), 2, reason="command", ref="c1", device="box-1")
        third = await sent(room, jpeg(3), 3, reason="periodic")

        async def found(query: str) -> list[str]:
            return [each["id"] for each in (await room.get(f"/api/v1/media?{query}"))["media"]]

        assert await found("") == [third, second, first]
        assert await found("device=box-1") == [second]
        assert await found(f"alarm={ALARM}") == [first]
        assert await found("command=c1") == [second]
        assert await found("reason=periodic") == [third]
        assert await found(f"to={NOW + 1}") == [first]
        assert await found(f"from={NOW + 1}&device=car-1") == [third]
        page = await room.get("/api/v1/media?limit=2")
        assert await found(f"limit=2&before={page['next']}") == [first]
        assert (await room.get("/api/v1/media?limit=3"))["next"] is not None
        for query in ("reason=fun", "from=noon"):
            await room.get(f"/api/v1/media?{query}", 400)


async def test_the_original_is_served_unchanged_and_a_thumbnail_beside_it(tmp_path: Path) -> None:
    original = turned_jpeg(6)
    async with studio(tmp_path) as room:
        picture = await sent(room, original)
        about = await room.thumbnail_tried(picture)
        async with room.request("GET", about["thumbnail"], role=Role.VIEWER) as response:
            assert response.content_type == "image/jpeg"
            small = await response.read()
        assert decoded(small).shape == (320, 240, 3)
        assert b"Exif" not in small
        async with room.request("GET", f"/api/v1/media/{picture}", role=Role.VIEWER) as response:
            assert await response.read() == original
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            tag = response.headers["ETag"]
        headers = {"If-None-Match": tag}
        async with room.request("GET", f"/api/v1/media/{picture}", headers=headers) as response:
            assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize(
    ("picture", "mime", "why", "served"),
    [
        (png_bomb(), "image/png", "too_many_pixels", "image/png"),
        (b"<script>", "text/html", "format", "application/octet-stream"),
        (b"\xff\xd8\xff\xe0 not more", "image/jpeg", "no_dimensions", "image/jpeg"),
    ],
)
async def test_what_cannot_be_decoded_is_kept_without_a_thumbnail(
    tmp_path: Path, picture: bytes, mime: str, why: str, served: str
) -> None:
    async with studio(tmp_path) as room:
        picture_id = await sent(room, picture, mime=mime)
        assert (await room.thumbnail_tried(picture_id))["thumbnail"] is None
        problem = await room.get(f"/api/v1/media/{picture_id}/thumbnail", 404)
        assert why in problem["detail"]
        assert room.darkroom.thumbnailer.process.pid is None
        async with room.request("GET", f"/api/v1/media/{picture_id}") as response:
            assert (await response.read(), response.content_type) == (picture, served)
            assert ("Content-Disposition" in response.headers) == (why == "format")


async def test_live_pictures_get_no_thumbnail(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        live = await sent(room, jpeg(1), reason="live", ref="c1")
        still = await sent(room, jpeg(2), 2)
        await room.thumbnail_tried(still)
        problem = await room.get(f"/api/v1/media/{live}/thumbnail", 404)
        assert "live" in problem["detail"]


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
async def test_a_picture_that_changed_on_the_disk_is_never_shown(tmp_path: Path, harm: str) -> None:
    async with studio(tmp_path) as room:
        picture = await sent(room, jpeg())
        await room.thumbnail_tried(picture)
        path = room.gw.journal.shelf.path(picture)
        was = bytearray(path.read_bytes())
        if harm == "gone":
            path.unlink()
        else:
            was[1000] ^= 1
            path.write_bytes(was if harm == "flipped" else was[:-1])
        for _ in range(2):
            problem = await room.get(f"/api/v1/media/{picture}", 500)
            assert problem["damaged"]
            assert "damaged" in problem["detail"]
        assert [each["act"] for each in await room.custody()] == ["damaged"], "told once"
        assert (await room.about(picture))["damaged"] == NOW
        path.write_bytes(jpeg())  # from a backup
        async with room.request("GET", f"/api/v1/media/{picture}") as response:
            assert await response.read() == jpeg()
        assert [each["act"] for each in await room.custody()] == ["damaged", "mended"]
        assert (await room.about(picture))["damaged"] is None


async def test_a_thumbnail_that_changed_is_not_shown_either(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        picture = await sent(room, jpeg())
        await room.thumbnail_tried(picture)
        small = next(tmp_path.rglob("*.thumb.jpg"))
        small.write_bytes(small.read_bytes() + b"!")
        assert "thumbnail" in (await room.get(f"/api/v1/media/{picture}/thumbnail", 500))["detail"]


async def test_a_decoder_that_dies_costs_the_thumbnail_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path) as room:
        process = room.darkroom.thumbnailer.process
        with monkeypatch.context() as patch:
            patch.setattr(process, "_module", "gateway.no_such_module")
            bad = await sent(room, jpeg(1))
            await room.thumbnail_tried(bad)
        good = await sent(room, jpeg(2), 2)
        assert (await room.thumbnail_tried(good))["thumbnail"]
        assert (await room.about(bad))["thumbnail"] is None
        assert process.deaths == 2
        async with room.request("GET", f"/api/v1/media/{bad}") as response:
            assert await response.read() == jpeg(1)


async def test_pictures_of_an_older_folder_are_shown_as_far_as_they_are_known(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = jpeg()
    picture_id = media.picture_id(picture)
    (folder / picture_id[:2]).mkdir()
    (folder / picture_id[:2] / picture_id).write_bytes(picture)
    schema = (HOUSE / "gateway/journal/schema/pictures-0001.sql").read_text()
    connection = sqlite3.connect(folder / "pictures.db")
    connection.executescript(schema)
    about = msgpack.packb({"taken": NOW, "reason": "alarm", "ref": ALARM, "w": 640, "h": 480})
    row = ("car-1", picture_id, "image/jpeg", len(picture), 2, "complete", about)
    connection.execute("INSERT INTO picture VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    async with studio(tmp_path) as room:
        shown = await room.thumbnail_tried(picture_id)
        (sending,) = shown["sendings"]
        assert (sending["taken"], sending["reason"], sending["began"]) == (NOW, "alarm", None)
        assert (shown["complete"], shown["found"]["mime"]) == (True, "image/jpeg")
        assert shown["thumbnail"]
        async with room.request("GET", f"/api/v1/media/{picture_id}") as response:
            assert await response.read() == picture


async def test_a_command_asks_for_pictures_if_it_is_one_that_does(tmp_path: Path) -> None:
    async with house(tmp_path) as gw:
        who_asked = by_commands(gw.commands.find)
        for act in ("snapshot", "identify"):
            await gw.commands.send("car-1", act, {}, by="desk 3", command_id=act)
        assert await who_asked("snapshot") == Asked(
            cmd="snapshot", act="snapshot", by="desk 3", t=gw.now, device="car-1"
        )
        assert await who_asked("identify") is None
        assert await who_asked("none") is None


async def test_without_opencv_pictures_are_kept_and_the_lack_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(darkroom, "is_possible", lambda: False)
    async with studio(tmp_path, works=False) as room:
        (warning,) = room.darkroom.warnings()
        assert "OpenCV is not installed" in warning
        working = asyncio.create_task(room.darkroom.run())
        picture = await sent(room, jpeg())
        assert (await room.about(picture))["complete"]
        problem = await room.get(f"/api/v1/media/{picture}/thumbnail", 404)
        assert "yet" in problem["detail"]
        working.cancel()
        await asyncio.wait([working])
        assert room.darkroom.thumbnailer.process.pid is None


@pytest.mark.slow
async def test_a_decoder_that_hangs_delays_no_picture(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        process = room.darkroom.thumbnailer.process
        await room.thumbnail_tried(await sent(room, jpeg(1)))
        assert process.pid is not None
        process.time_s = 30
        hung = psutil.Process(process.pid)
        hung.suspend()
        for number in range(2, 6):
            await sent(room, jpeg(number), number)
        waiting = (await room.get("/api/v1/media?limit=4"))["media"]
        assert [each["thumbnail"] for each in waiting] == [None] * 4
        assert all(each["complete"] for each in waiting)
        hung.resume()
        for each in waiting:
            assert (await room.thumbnail_tried(each["id"]))["thumbnail"]
