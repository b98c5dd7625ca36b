"""The agent's own process, `python -m edge AGENT.TOML`: what `fieldgate edge` turns into."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from importlib.metadata import version
from pathlib import Path

from edge.agent import Agent
from edge.config import load
from protocols.errors import FieldInvalid


async def run_until_stopped(agent: Agent) -> None:
    """Run the agent until SIGTERM or Ctrl-C."""
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, agent.stop)
    await agent.run()


def main(path: Path) -> int:
    """The exit status: 2 if the configuration is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        config = load(path)
    except (OSError, FieldInvalid) as error:
        sys.stderr.write(f"{path}: {error}\n")
        return 2
    asyncio.run(run_until_stopped(Agent(config, firmware=f"fieldgate {version('fieldgate')}")))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
