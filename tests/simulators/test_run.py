"""A whole scenario on a real broker: what was made is what arrived."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from protocols.model import Fix, Lane
from simulators import ledger, run, scenario
from simulators.ledger import Ledger, Pressed, Receipted, Telemetry
from simulators.link import Address
from tests.simulators.gateway import Gateway
from tests.simulators.test_city import helsinki

DAY = """
seed = 3
duration_s = 60
[devices]
cars = 6
officers = 3
boxes = 3
phones = 1
[reports]
position_period_s = 0.1
status_period_s = 0.5
duty_per_minute = 60
pictures_per_minute = 30
[alarms]
per_minute = 600
hammered_share = 0.3
kinds = { panic = 3, test = 1 }
[troubles]
duplicates = 0.1
reordering = 0.1
offline = { share = 0.5, every_s = 2, length_s = 0.5 }
reboots = { share = 0.3, every_s = 2, length_s = 0.2 }
clocks = { skewed_share = 0.3, skew_s = 3600, jumping_share = 0.5, jump_s = 600, every_s = 1 }
slow = { share = 0.3, latency_s = 0.02, bytes_per_s = 50000 }
"""


@pytest.mark.slow
async def test_a_rough_day_loses_nothing_and_invents_nothing(
    broker_port: int, tmp_path: Path
) -> None:
    day = scenario.parse(DAY, "rough")
    city = run.city_of(day)
    units = scenario.roster(day, city)
    broker = Address("127.0.0.1", broker_port)
    states: list[run.State] = []
    async with Gateway(broker) as gateway, Ledger(tmp_path / "ledger.jsonl") as book:
        total = await run.Run(
            day,
            city,
            broker=broker,
            passwords={unit.device: "secret" for unit in units},
            book=book,
            folder=tmp_path,
            seconds=4,
            drain_s=30,
            on_state=states.append,
        ).play()
    lines = list(ledger.read(tmp_path / "ledger.jsonl"))
    pressed = {line.id for line in lines if isinstance(line, Pressed)}
    held = {id_ for id_, message in gateway.messages.items() if message in gateway.alarms()}
    assert total.waiting == total.dropped == total.refused == 0
    assert total.alarms_pressed == total.alarms_stored == len(pressed) > 20
    assert pressed == held == {line.id for line in lines if isinstance(line, Receipted)}
    fixes = sum(isinstance(message, Fix) for message in gateway.messages.values())
    assert total.positions == total.positions_sent == fixes > 100
    accounts = {(line.device, line.boot): line for line in lines if isinstance(line, Telemetry)}
    for (device, boot), account in accounts.items():
        window = gateway.windows[device, boot, Lane.TELEMETRY]
        assert (window.held_to, window.has_gap) == (account.seq, False)
    assert sum(account.fixes for account in accounts.values()) == fixes
    assert [state.phase for state in states][:1] == ["running"]
    assert states[-1].devices == len(units)


REAL = """
seed = 7
duration_s = 60
city = "{map}"
[devices]
cars = 4
officers = 2
boxes = 2
phones = 1
[reports]
position_period_s = 0.1
[alarms]
per_minute = 300
"""


@pytest.mark.slow
async def test_on_a_real_map_the_same_seed_drives_the_same_way_twice(
    broker_port: int, tmp_path: Path
) -> None:
    file = tmp_path / "helsinki.toml"
    file.write_text(REAL.format(map=helsinki()))
    day = scenario.load(str(file))
    city = run.city_of(day)
    units = scenario.roster(day, city)
    broker = Address("127.0.0.1", broker_port)
    tracks: list[dict[str, list[tuple[float, float]]]] = []
    for number in range(2):
        async with Gateway(broker) as gateway, Ledger(tmp_path / f"{number}.jsonl") as book:
            total = await run.Run(
                day,
                city,
                broker=broker,
                passwords={unit.device: "secret" for unit in units},
                book=book,
                folder=tmp_path,
                seconds=2,
                drain_s=20,
                on_state=lambda _: None,
            ).play()
        assert total.waiting == 0
        assert total.alarms_pressed == total.alarms_stored == len(gateway.alarms()) > 3
        track: dict[str, list[tuple[float, float]]] = {unit.device: [] for unit in units}
        for id_, fix in sorted(gateway.messages.items(), key=lambda item: item[1].seq):
            if isinstance(fix, Fix):
                assert 60.1 < fix.lat < 60.2  # Helsinki
                track[id_.partition(":")[0]].append((fix.lat, fix.lon))
        tracks.append(track)
    for device, one in tracks[0].items():
        both = min(len(one), len(tracks[1][device]))  # a busy machine gets less far
        assert both >= (1 if device.startswith("box") else 5)
        assert one[:both] == tracks[1][device][:both]


def test_devices_that_nobody_registered_are_named(tmp_path: Path) -> None:
    day = scenario.load("calm")
    with pytest.raises(run.PasswordsMissing, match=r"40 devices: car-0001, .*…"):
        run.Run(
            day,
            run.city_of(day),
            broker=Address("127.0.0.1", 1),
            passwords={},
            book=Ledger(tmp_path / "ledger.jsonl"),
            folder=tmp_path,
            seconds=1,
            drain_s=1,
            on_state=lambda _: None,
        )


@pytest.mark.slow
async def test_the_command_ends_cleanly_when_told_to(broker_port: int, tmp_path: Path) -> None:
    day = scenario.load("calm")
    units = scenario.roster(day, run.city_of(day))
    credentials = tmp_path / "credentials.jsonl"
    credentials.write_bytes(
        b"".join(
            msgspec.json.encode({"user": unit.device, "password": "", "kind": unit.kind}) + b"\n"
            for unit in units
        )
    )
    async with Gateway(Address("127.0.0.1", broker_port)) as gateway:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from fieldgate.cli import main; main()",
            "sim", "run", "calm", "--mqtt", f"127.0.0.1:{broker_port}",
            "--credentials", str(credentials), "--ledger", str(tmp_path / "ledger.jsonl"), "--json",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        await gateway.until(lambda: len(gateway.messages) > 20)
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    *_, last = map(json.loads, out.splitlines())
    assert (last["phase"], last["waiting"], last["devices"]) == ("done", 0, len(units))
