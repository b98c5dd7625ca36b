"""Who may talk to us: kept, refused by name, secrets only as hashes."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.registry import (
    SCHEMA,
    Device,
    DeviceExists,
    Registry,
    Role,
    UnknownDevice,
    UnknownToken,
    hash_password,
)
from protocols.errors import FieldInvalid


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path, now_ms=lambda: 1_000) as opened:
        yield opened


BANK = Device(
    id="box-1", kind="alarm_box", name="农业银行", lat=24.51, lon=117.65, site="南昌路 12 号"
)


def test_a_device_is_kept_as_it_was_added(registry: Registry, tmp_path: Path) -> None:
    registry.add(BANK)
    kept = Device(
        id="box-1",
        kind="alarm_box",
        name="农业银行",
        lat=24.51,
        lon=117.65,
        site="南昌路 12 号",
        added_ms=1_000,
    )
    assert registry.get("box-1") == kept
    assert registry.devices() == [kept]
    with Registry(tmp_path) as again:
        assert again.get("box-1") == kept


def test_an_unknown_device_is_none(registry: Registry) -> None:
    assert registry.get("box-1") is None


def test_a_device_is_added_once(registry: Registry) -> None:
    registry.add(BANK)
    before = registry.password_hashes()
    with pytest.raises(DeviceExists, match="box-1"):
        registry.add(BANK)
    assert registry.password_hashes() == before


@pytest.mark.parametrize(
    ("device", "field"),
    [
        (Device(id="box 1", kind="alarm_box"), "device"),
        (Device(id="", kind="alarm_box"), "device"),
        (Device(id="a" * 65, kind="alarm_box"), "device"),
        (Device(id="gateway-priority", kind="alarm_box"), "device"),
        (Device(id="box-1", kind="toaster"), "kind"),
        (Device(id="box-1", kind="alarm_box", lat=91, lon=0), "lat"),
        (Device(id="box-1", kind="alarm_box", lat=0, lon=-181), "lon"),
        (Device(id="box-1", kind="alarm_box", lat=float("nan"), lon=0), "lat"),
        (Device(id="box-1", kind="alarm_box", lat=1), "lat, lon"),
    ],
)
def test_what_is_wrong_is_named(registry: Registry, device: Device, field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        registry.add(device)
    assert refused.value.field == field
    assert registry.devices() == []


def test_many_are_added_all_or_none(registry: Registry) -> None:
    with pytest.raises(FieldInvalid):
        registry.add_many([BANK, Device(id="car-1", kind="toaster")])
    assert registry.devices() == []


def test_two_thousand_devices_are_added_in_well_under_a_second(registry: Registry) -> None:
    started = time.process_time()
    added = registry.add_many(Device(id=f"car-{n}", kind="vehicle_terminal") for n in range(2_000))
    assert time.process_time() - started < 1
    assert len(set(added.values())) == 2_000


def test_a_revoked_device_may_not_connect_and_is_remembered(registry: Registry) -> None:
    registry.add(BANK)
    registry.revoke("box-1")
    device = registry.get("box-1")
    assert device is not None
    assert device.revoked
    assert registry.password_hashes() == {}


def test_a_revoked_device_is_added_again_with_a_new_password(registry: Registry) -> None:
    first = registry.add(BANK)
    registry.revoke("box-1")
    assert registry.add(BANK) != first
    device = registry.get("box-1")
    assert device is not None
    assert not device.revoked


def test_revoking_an_unknown_device_says_so(registry: Registry) -> None:
    with pytest.raises(UnknownDevice, match="box-9"):
        registry.revoke("box-9")


def test_a_hash_has_the_form_of_mosquitto() -> None:
    # Whether mosquitto takes it is asked in test_broker.py.
    assert hash_password("secret", b"\0" * 12).startswith("$7$1$AAAAAAAAAAAAAAAA$")


def test_secrets_are_not_on_disk(registry: Registry, tmp_path: Path) -> None:
    password, token = registry.add(BANK), registry.add_token(Role.ADMIN)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert password.encode() not in path.read_bytes()
        assert token.encode() not in path.read_bytes()


def test_a_token_has_its_role_until_it_is_revoked(registry: Registry) -> None:
    token = registry.add_token(Role.DISPATCHER, "desk 3")
    assert registry.role_of(token) is Role.DISPATCHER
    [kept] = registry.tokens()
    assert (kept.name, kept.role, kept.revoked) == ("desk 3", Role.DISPATCHER, False)
    registry.revoke_token(kept.no)
    assert registry.role_of(token) is None
    assert registry.tokens()[0].revoked


def test_unknown_tokens_open_nothing(registry: Registry) -> None:
    assert registry.role_of("") is None
    assert registry.role_of("guess") is None
    with pytest.raises(UnknownToken):
        registry.revoke_token(7)


def test_each_role_includes_those_before_it() -> None:
    assert Role.ADMIN.includes(Role.VIEWER)
    assert Role.DISPATCHER.includes(Role.DISPATCHER)
    assert not Role.VIEWER.includes(Role.DISPATCHER)


def test_a_change_by_another_process_is_noticed(registry: Registry, tmp_path: Path) -> None:
    before = registry.generation()
    assert registry.generation() == before
    with Registry(tmp_path) as other:
        other.add(BANK)
    assert registry.generation() != before


def test_a_registry_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Registry(tmp_path):
        pass
    newer = sqlite3.connect(tmp_path / "registry.db")
    newer.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
    newer.close()
    with pytest.raises(RuntimeError, match="newer"), Registry(tmp_path):
        pass
