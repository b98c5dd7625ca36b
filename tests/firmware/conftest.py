"""What the firmware's tests need: its modules under CPython, and compiled for MicroPython."""

from __future__ import annotations

import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulators import firmware
from tests.scenarios.whole import Gateway


def _stand_in() -> Any:
    module: Any = types.ModuleType("micropython")
    module.const = lambda value: value
    return module


sys.modules.setdefault("micropython", _stand_in())


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware, compiled once."""
    return firmware.build(tmp_path_factory.mktemp("firmware"))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """The real gateway with its broker, as processes."""
    async with Gateway(tmp_path / "gateway") as gateway:
        yield gateway
