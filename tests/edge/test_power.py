"""Does the device know how it is doing, from a /sys and /proc of the test's own?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.sources.power import clock_source, read_health
from protocols.model import Status

ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
{other}\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
{best}\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
{best}\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
WIRELESS = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
wlan0: 0000   54.  {level}  -256        0      0      0      0     45        0
"""


def lay(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


def battery(name: str, capacity: str, **more: str) -> dict[str, str]:
    files = {"type": "Battery", "capacity": capacity, **more}
    return {f"sys/class/power_supply/{name}/{file}": text for file, text in files.items()}


def charger(name: str, kind: str, online: str) -> dict[str, str]:
    folder = f"sys/class/power_supply/{name}"
    return {f"{folder}/type": kind, f"{folder}/online": online}


def over(best: str, other: str = "eth9") -> dict[str, str]:
    return {"proc/net/route": ROUTES.format(best=best, other=other)}


def test_a_machine_that_tells_nothing_claims_nothing(tmp_path: Path) -> None:
    assert set(read_health(tmp_path)) == {"disk"}
    assert read_health(tmp_path / "not-there") == {}


def test_the_emptiest_battery_counts_and_that_of_a_mouse_does_not(tmp_path: Path) -> None:
    lay(tmp_path, battery("BAT0", "83") | battery("BAT1", "41"))
    lay(tmp_path, battery("hidpp_battery_0", "3", scope="Device"))
    assert read_health(tmp_path)["batt"] == 41


@pytest.mark.parametrize("capacity", ["", "unknown", "-1", "255"])
def test_a_battery_gauge_that_fails_gives_no_charge(tmp_path: Path, capacity: str) -> None:
    lay(tmp_path, battery("BAT0", capacity))
    assert "batt" not in read_health(tmp_path)


def test_mains_is_there_while_one_charger_is_on_line(tmp_path: Path) -> None:
    lay(tmp_path, charger("AC", "Mains", "0") | charger("ucsi", "USB", "1"))
    assert read_health(tmp_path)["mains"] is True
    lay(tmp_path, charger("ucsi", "USB", "0"))
    assert read_health(tmp_path)["mains"] is False


@pytest.mark.parametrize(
    ("interface", "files", "net"),
    [
        ("eth0", {"type": "1", "uevent": "INTERFACE=eth0"}, "eth"),
        ("enp3s0", {"type": "1", "uevent": ""}, "eth"),
        ("wlan0", {"type": "1", "uevent": "DEVTYPE=wlan", "phy80211/name": "phy0"}, "wifi"),
        ("wwan0", {"type": "1", "uevent": "DEVTYPE=wwan"}, None),  # 4G or 5G: the modem knows
        ("ppp0", {"type": "512", "uevent": ""}, None),
        ("tun0", {"type": "65534", "uevent": ""}, None),
        ("gone0", {}, None),
    ],
)
def test_the_network_is_that_of_the_default_route(
    tmp_path: Path, interface: str, files: dict[str, str], net: str | None
) -> None:
    lay(tmp_path, over(interface))
    lay(tmp_path, {f"sys/class/net/{interface}/{name}": text for name, text in files.items()})
    assert read_health(tmp_path).get("net") == net


def test_signal_strength_is_that_of_the_wifi_in_use(tmp_path: Path) -> None:
    lay(tmp_path, over("wlan0") | {"proc/net/wireless": WIRELESS.format(level="-56.")})
    assert read_health(tmp_path)["rssi"] == -56
    lay(tmp_path, over("eth0", other="wlan0"))
    assert "rssi" not in read_health(tmp_path)


def test_a_driver_that_gives_no_dbm_gives_no_signal_strength(tmp_path: Path) -> None:
    lay(tmp_path, over("wlan0") | {"proc/net/wireless": WIRELESS.format(level="200.")})
    assert "rssi" not in read_health(tmp_path)


def test_temperature_is_that_of_the_hottest_plausible_zone(tmp_path: Path) -> None:
    zones = {"thermal_zone0": "48500", "thermal_zone1": "61250", "thermal_zone2": "-274000"}
    lay(tmp_path, {f"sys/class/thermal/{zone}/temp": text for zone, text in zones.items()})
    assert read_health(tmp_path)["temp"] == 61.25


def test_what_this_machine_tells_is_a_status_of_the_contract() -> None:
    health = read_health()
    status = msgspec.convert({"boot": 1, "seq": 1, "t": 0, **health}, Status)
    assert status.disk is not None
    assert 0 <= status.disk <= 100


def test_the_kernel_tells_whether_its_clock_is_steered() -> None:
    assert clock_source() in ("ntp", "free")
