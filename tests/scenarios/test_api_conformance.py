"""Does a running gateway answer as its description says, whatever it is asked? By schemathesis.

What is left out, and why, stands in schemathesis.toml beside this file.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, two thousand requests

HERE = Path(__file__).parent
EXAMPLES = 5
"""So many are made up for each operation, beside the edges of every parameter."""

PICTURE = b"foo"  # the id of which is the description's example


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway that has something of everything, under the ids of the examples."""
    async with Gateway(tmp_path / "data") as gateway:
        made = await gateway.command("device", "add", "car-007", "--kind", "vehicle_terminal")
        async with Terminal(gateway.mqtt_port, "car-007", made["password"]) as car:
            now = int(time.time() * 1000)
            lane = {"boot": 1, "t": now}
            told = {"online": True, "boot": 1, "kind": "vehicle_terminal", "caps": ["camera"]}
            car.send("presence", told, retain=True)
            car.send("alarm", {**lane, "seq": 1, "kind": "panic"})
            car.send("duty", {**lane, "seq": 2, "act": "on_duty", "crew": ["035001"]})
            car.send(
                "pos", [{**lane, "seq": n, "lat": 24.5, "lon": 117.6, "fix": 3} for n in (1, 2)]
            )
            car.send("pos", b"\xc1")
            chunk = {"mime": "image/jpeg", "size": 3, "n": 0, "of": 1, "data": PICTURE}
            name = hashlib.sha256(PICTURE).hexdigest()
            car.send("media", {**lane, "seq": 3, "id": name, **chunk, "reason": "periodic"})
            await gateway.wait_for(1, "media")
            await gateway.post("/api/v1/devices/car-007/commands", act="identify", id="c-1")
            yield gateway


async def test_nothing_that_is_asked_finds_another_answer_than_is_described(
    gateway: Gateway, tmp_path: Path
) -> None:
    schemathesis = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        schemathesis, "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{gateway.url}/openapi.json",
        "--header", f"Authorization: Bearer {gateway.token}",
        "--max-examples", str(EXAMPLES), "--request-timeout", "5", "--warnings", "off",
        "--no-color", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    log = (gateway.folder / "logs" / "gateway.log").read_text()
    assert "request_failed" not in log
    assert "journal_damaged" not in log
