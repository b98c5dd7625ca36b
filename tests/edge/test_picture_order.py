"""Which pictures give way when the spool is full?"""

from __future__ import annotations

from pathlib import Path

from edge.picture_order import ORDINARY, Place, Rank
from edge.spool import Spool
from edge.spool_file import FILE_NAME, open_spool
from protocols.native.topics import Up

PLACES = {
    "asked for": Place(Rank.COMMAND),
    "alarm": Place(Rank.ALARM, 1),
    "rest": Place(Rank.REST, 1),
    "periodic": ORDINARY,
    "live": Place(Rank.LIVE),
}


def put(spool: Spool, name: str, place: Place) -> None:
    keys = [{"id": name, "n": n, "data": bytes(8000)} for n in range(4)]
    spool.put_all(Up.MEDIA, 0, keys, place=place)


def left(spool: Spool, names: list[str]) -> list[str]:
    bodies = [spool.body(message.n) or b"" for message in spool.waiting_pictures()]
    counts = {name: sum(name.encode() in body for body in bodies) for name in names}
    assert set(counts.values()) <= {0, 4}, "a picture goes whole"
    return [name for name, count in counts.items() if count]


def test_what_is_worth_least_gives_way_first(tmp_path: Path) -> None:
    gone = []
    with Spool(tmp_path, 180_000) as spool:  # five pictures of 32 kB
        for name, place in PLACES.items():
            put(spool, name, place)
        for n in range(5):
            put(spool, f"newest {n}", Place(Rank.ALARM, 2, -n))
            gone += [name for name in PLACES if name not in left(spool, list(PLACES))]
        assert spool.dropped[Up.MEDIA] == 5 * 4
    assert list(dict.fromkeys(gone)) == ["live", "periodic", "rest", "asked for", "alarm"]


def test_of_one_alarm_what_would_be_sent_last_gives_way_first(tmp_path: Path) -> None:
    with Spool(tmp_path, 105_000) as spool:
        for n in (3, 2, 1):
            put(spool, f"picture {n}", Place(Rank.ALARM, 1, -n))
        put(spool, "picture 4", Place(Rank.ALARM, 1, -4))
        assert left(spool, [f"picture {n}" for n in range(1, 5)]) == [
            "picture 2", "picture 3", "picture 4",
        ]  # fmt: skip


def test_pictures_of_a_spool_without_an_order_are_periodic(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 20) as spool:
        put(spool, "alarm", Place(Rank.ALARM, 1))
    db = open_spool(tmp_path / FILE_NAME)
    db.execute("DELETE FROM picture")
    db.close()
    with Spool(tmp_path, 1 << 20) as spool:
        put(spool, "rest", Place(Rank.REST, 1))
        order = [message.seq for message in spool.waiting_pictures()]
        assert order == [1, 2, 3, 4] * 2
