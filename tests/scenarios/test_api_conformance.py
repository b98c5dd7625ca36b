"""Does a running gateway answer as its description says, whatever it is asked? By schemathesis.

What is left out, and why, stands in schemathesis.toml beside this file.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.peopled import peopled
from tests.scenarios.whole import Gateway

pytestmark = [
    pytest.mark.slow,  # whole processes, four thousand requests
    pytest.mark.timeout(400),  # which a busy machine takes its time for
]

HERE = Path(__file__).parent
EXAMPLES = 3
"""So many are made up for each operation, beside the edges of every parameter."""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with peopled(tmp_path / "data") as gateway:
        yield gateway


@pytest.mark.timeout(600)
async def test_nothing_that_is_asked_finds_another_answer_than_is_described(
    gateway: Gateway, tmp_path: Path
) -> None:
    schemathesis = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        schemathesis, "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{gateway.url}/openapi.json",
        "--header", f"Authorization: Bearer {gateway.token}",
        "--max-examples", str(EXAMPLES), "--request-timeout", "30", "--warnings", "off",
        "--no-color", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    log = (gateway.folder / "logs" / "gateway.log").read_text()
    assert "request_failed" not in log
    assert "journal_damaged" not in log
