"""`fieldgate bench` through the front door: figures of the right shape, honest when small."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

COLUMNS = {"bench", "work", "figure", "unit", "reference", "ratio", "goal", "met"}


INFORMING = (
    "quick pass",
    "disturbed",
    "other programs",
    "had its receipt",
    "journalled meanwhile",
    "PSS",
    "presses",
    "64-bit",
    "held by the gateway",
    "kB a picture",
    "kept up",  # how fast a busy machine is, a quick pass does not judge:
    "keep up",
    "generator was",
)
ROWS = {
    "devices": 4,
    "restart": 2,
    "disk": 2,
    "track": 4,
    "edge": 2,
    "feed": 1,
    "firmware": 4,
    "reach": 3,
    "snapshot": 3,
}


def bench(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The figures of a quick pass; its status says that none was judged."""
    run = subprocess.run(
        [sys.executable, "-m", "fieldgate", "bench", *arguments, "--quick", "--json",
         "--data-dir", str(folder)],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    figures: list[dict[str, Any]] = json.loads(run.stdout)
    assert not list(folder.iterdir()), "the bench leaves nothing"
    for figure in figures:
        assert figure.keys() >= COLUMNS
        assert figure["met"] is None
        assert any("quick" in note for note in figure["notes"])
        if figure["reference"] is not None:
            assert figure["against"]
            assert figure["ratio"] == pytest.approx(
                figure["figure"] / figure["reference"], rel=0.01
            )
    return figures


def troubles(figures: list[dict[str, Any]]) -> list[str]:
    """What the bench says went wrong."""
    return [
        note
        for figure in figures
        for note in figure["notes"]
        if not any(word in note for word in INFORMING)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--qos=0", "--qos=1", "--batch=50"])
def test_ingest_accounts_for_every_message(tmp_path: Path, how: str) -> None:
    figures = bench(tmp_path, "ingest", how, "--rate=1000")
    cpu, half, rate = figures
    assert not troubles(figures)
    assert cpu["reference"] > 0
    assert "mosquitto_sub" in cpu["against"]
    assert half["unit"] == cpu["unit"] == "us"
    assert rate["figure"] == 1000
    assert half["reference"] > 0
    assert rate["reference"] in (1000, None)  # None: too busy a machine for mosquitto_sub as well
    assert {"gateway", "broker", "generator", "others"} == cpu["cores"].keys()


@pytest.mark.slow
def test_every_alarm_arrives_at_the_feed(tmp_path: Path) -> None:
    figures = bench(tmp_path, "alarm")
    assert not troubles(figures)
    assert len(figures) == 9
    for figure in figures:
        assert figure["runs"] == 10
        assert figure["figure"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_the_other_benches_measure_what_they_say(tmp_path: Path, name: str) -> None:
    figures = bench(tmp_path, name)
    assert not troubles(figures)
    assert [figure["bench"] for figure in figures] == [name] * ROWS[name]
    assert all(figure["figure"] > 0 for figure in figures)
    assert all(figure["reference"] > 0 for figure in figures)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_bench_that_is_interrupted_leaves_nothing(tmp_path: Path, number: int) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "fieldgate", "bench", "ingest", "--quick", "--data-dir", tmp_path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("gateway.json")):  # what another process writes gives no event
        assert bench.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert of_folder(tmp_path, bench.pid)
    bench.send_signal(number)
    bench.send_signal(signal.SIGTERM)  # an impatient one changes nothing
    assert bench.wait(60) != 0
    assert not of_folder(tmp_path, bench.pid)
    assert not list(tmp_path.iterdir())


def of_folder(folder: Path, bench: int) -> list[str]:
    """The processes that work on this folder, without the bench itself."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(folder) in command and process.pid != bench:
            found.append(command)
    return found
