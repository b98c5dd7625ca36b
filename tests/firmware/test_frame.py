"""Do the firmware's codec and the gateway's understand each other, and does it survive noise?"""

from __future__ import annotations

import contextlib
import json
from typing import Any, cast

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.alarm_box import frame
from firmware_stubs.alarm_box.clock import Clock
from protocols.model import Alarm, AlarmKind, Command, Presence, Receipt, Reply, Status
from protocols.native import codec
from tests.protocols import payloads
from tests.protocols.test_hostile_bytes import HOSTILE

pytestmark = pytest.mark.slow  # many examples


def written(keys: dict[str, Any]) -> bytes:
    """A message as the firmware writes it."""
    writer = frame.Writer(20_000)
    frame.message(writer, keys)
    return bytes(writer.buf[: writer.at])


def clock_at(unix_ms: int) -> Any:
    clock = Clock()
    clock.set(unix_ms, 1000)
    return clock


@pytest.mark.parametrize("kind", [Receipt, Command])
@pytest.mark.parametrize("to_bytes", [payloads.to_msgpack, payloads.to_json])
@given(data=st.data())
def test_what_the_gateway_says_is_read_key_by_key(
    kind: type[Any], to_bytes: Any, data: st.DataObject
) -> None:
    keys = data.draw(payloads.keys_of(kind))
    assert frame.unpack(to_bytes(keys)) == json.loads(json.dumps(keys))


@pytest.mark.parametrize("kind", [Receipt, Command])
@given(data=st.data())
def test_what_the_gateways_codec_writes_is_read(kind: type[Any], data: st.DataObject) -> None:
    message = codec.decode(payloads.to_msgpack(data.draw(payloads.keys_of(kind))), kind)
    for as_json in (False, True):
        payload = codec.encode(message, as_json=as_json)
        again = codec.decode(payloads.to_msgpack(frame.unpack(payload)), kind)
        assert again == message


@pytest.mark.parametrize("kind", [Status, Reply, Presence])
@given(data=st.data())
def test_the_gateway_reads_what_the_firmware_writes(kind: type[Any], data: st.DataObject) -> None:
    keys = data.draw(payloads.keys_of(kind))
    assert codec.decode(written(keys), kind) == codec.decode(payloads.to_msgpack(keys), kind)
    assert msgpack.unpackb(written(keys)) == keys


@given(
    boot=st.integers(0, 2**32 - 1),
    seq=st.integers(1, 2**30 - 1),
    unix_ms=st.integers(1_735_689_600_000, 2**60 - 1),
    later_ms=st.integers(0, 600_000),
    kind=st.sampled_from(range(4)),
    count=st.integers(1, 2**30 - 1),
    of=st.integers(0, 2**30 - 1),
    extra=st.sampled_from([("zone", "counter 3"), ("text", "按钮卡住"), None]),
)
def test_an_alarm_written_without_allocation_is_one(  # noqa: PLR0917  hypothesis gives names
    boot: int, seq: int, unix_ms: int, later_ms: int, kind: int, count: int, of: int, extra: Any
) -> None:
    writer = frame.Writer(160)
    pair = frame.pair(*extra) if extra else b""
    clock, now = clock_at(unix_ms), 1000 + later_ms
    frame.alarm(writer, frame.boot_bytes(boot), seq, clock, now, kind, count, of, pair)
    alarm = codec.decode(bytes(writer.buf[: writer.at]), Alarm)
    assert alarm == Alarm(
        boot=boot,
        seq=seq,
        t=unix_ms + later_ms,
        kind=cast(AlarmKind, frame.KINDS[kind]),
        count=count,
        silent=True if kind == frame.DURESS else None,
        of=of or None,
        **({extra[0]: extra[1]} if extra else {}),
    )
    assert clock.unix_ms(now) == alarm.t


def test_an_alarm_without_a_clock_says_that_nobody_knows() -> None:
    writer = frame.Writer(160)
    frame.alarm(writer, frame.boot_bytes(3), 1, Clock(), 5, frame.PANIC, 1, 0, b"")
    assert codec.decode(bytes(writer.buf[: writer.at]), Alarm).t == 0


@given(st.integers(-(2**40), 1_735_689_599_999) | st.integers(2**60, 2**70))
def test_a_clock_believes_no_time_that_is_none(unix_ms: int) -> None:
    assert not clock_at(unix_ms).is_set


def test_a_clock_counts_on() -> None:
    clock = clock_at(1_800_000_000_000)
    for ticks in range(1000, 10_000_000, 777_777):
        clock.turn(ticks)
        assert clock.unix_ms(ticks) == 1_800_000_000_000 + ticks - 1000


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_map_or_a_value_error(noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(frame.unpack(noise), dict)


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_a_map_or_a_value_error(payload: bytes) -> None:
    # Deep JSON: MicroPython's parser does not recurse.
    with contextlib.suppress(ValueError, RecursionError):
        assert isinstance(frame.unpack(payload), dict)


@given(st.data())
def test_damaged_receipts_are_a_map_or_a_value_error(data: st.DataObject) -> None:
    payload = bytearray(payloads.to_msgpack(data.draw(payloads.keys_of(Receipt))))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        frame.unpack(bytes(payload))


def test_a_writer_that_is_full_says_so() -> None:
    writer = frame.Writer(20)
    with pytest.raises(IndexError):
        frame.alarm(writer, frame.boot_bytes(1), 1, Clock(), 0, frame.PANIC, 1, 0, b"")


@given(st.lists(st.tuples(st.integers(), st.integers()) | st.none() | st.text(), max_size=5))
def test_ranges_that_make_no_sense_are_left_out(found: list[Any]) -> None:
    for first, last in frame.ranges(found):
        assert first >= 0
        assert last >= 0
