"""Are topics of the contract taken apart, and all others refused by the part that is wrong?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import FieldInvalid, TopicInvalid
from protocols.model import Lane
from protocols.native import topics
from protocols.native.topics import LANES, Down, Topic, Up

device_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
prefixes = st.sampled_from(["field", "zhangzhou/110"])


@given(prefixes, device_ids, st.sampled_from(Up), st.sampled_from(Down))
def test_topics_are_read_as_they_are_written(prefix: str, device: str, up: Up, down: Down) -> None:
    assert topics.check_device_id(device) == device
    assert topics.parse(prefix, topics.up(prefix, device, up)) == Topic(device, "up", up)
    assert topics.parse(prefix, topics.down(prefix, device, down)) == Topic(device, "dn", down)


def test_topics_are_those_of_the_contract() -> None:
    assert topics.up("field", "car-7", Up.ALARM) == "field/v1/car-7/up/alarm"
    assert topics.down("field", "car-7", Down.RECEIPT) == "field/v1/car-7/dn/receipt"


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("", "does not start with 'field/v1/'"),
        ("field/v2/car-7/up/pos", "does not start with 'field/v1/'"),
        ("fields/v1/car-7/up/pos", "does not start with 'field/v1/'"),
        ("field/v1/car-7/up", "is not field/v1/DEVICE/up|dn/CHANNEL"),
        ("field/v1/car-7/up/pos/1", "is not field/v1/DEVICE/up|dn/CHANNEL"),
        ("field/v1//up/pos", "'' is no device id"),
        ("field/v1/-car/up/pos", "'-car' is no device id"),
        ("field/v1/车/up/pos", "'车' is no device id"),
        ("field/v1/+/up/pos", "'+' is no device id"),
        ("field/v1/car-7/up/position", "no channel up/position in the contract"),
        ("field/v1/car-7/dn/pos", "no channel dn/pos in the contract"),
        ("field/v1/car-7/up/receipt", "no channel up/receipt in the contract"),
        ("field/v1/car-7/sideways/pos", "no channel sideways/pos in the contract"),
    ],
)
def test_a_foreign_topic_is_refused(topic: str, problem: str) -> None:
    with pytest.raises(TopicInvalid) as caught:
        topics.parse("field", topic)
    assert str(caught.value).endswith(problem)
    assert repr(topic) in str(caught.value)


@given(st.text(max_size=60) | st.text(max_size=30).map(lambda rest: f"field/v1/{rest}"))
def test_any_text_is_a_topic_or_refused(text: str) -> None:
    try:
        device, direction, channel = topics.parse("field", text)
    except TopicInvalid:
        return
    assert text == f"field/v1/{device}/{direction}/{channel}"


@pytest.mark.parametrize(
    "device", ["", "-a", "_a", "a" * 65, "a b", "a\n", "a/b", "a+", "#", "é", "\u0661", "a\0"]
)
def test_what_is_no_device_id_is_refused(device: str) -> None:
    with pytest.raises(FieldInvalid, match=r"^device: must match") as caught:
        topics.check_device_id(device)
    assert caught.value.value == device


def test_every_channel_but_presence_has_a_lane() -> None:
    assert set(Up) - set(LANES) == {Up.PRESENCE}
    assert [channel for channel in Up if LANES.get(channel) is Lane.PRIORITY] == [
        Up.ALARM,
        Up.DUTY,
        Up.REPLY,
    ]
