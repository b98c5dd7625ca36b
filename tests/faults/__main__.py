"""`make faults`: the fault campaign. What is chosen, its seed, its table, its exit status."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from rich.console import Console

from tests.faults import catalogue, report
from tests.faults.campaign import LANES, Campaign
from tests.faults.experiment import Experiment, Outcome


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make faults ARGS=…", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a selection of five minutes")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NR|NAME", help="just these, by comma"
    )
    parser.add_argument("--seed", type=int, help="of an earlier run, to make the same again")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--report", type=Path, metavar="PAGE", help="write the table into a page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes as JSON")
    parser.add_argument("--keep", action="store_true", help="keep ledgers, logs and journals")
    parser.add_argument("--lanes", type=int, default=LANES, help="how many at once")
    return parser.parse_args()


def main() -> int:
    """Run the campaign; 0 only if nothing was violated."""
    asked = options()
    console = Console(stderr=True)
    try:
        chosen = catalogue.chosen(asked.only, short=asked.short)
    except KeyError as error:
        console.print(f"no such experiment: {error.args[0]}")
        return 2
    if asked.list:
        for each in chosen:
            sys.stdout.write(f"{each.number:3}  {each.name:28} {each.breaks}\n")
        return 0
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    console.print(f"seed {seed}: {len(chosen)} experiments")
    folder = Path(tempfile.mkdtemp(prefix="fieldgate-faults-"))
    began_s = time.monotonic()

    def show(experiment: Experiment, outcome: Outcome) -> None:
        style = report.STYLE.get(outcome.result, "bold red")
        console.print(
            f"[{style}]{experiment.number} {experiment.name}: {report.said(outcome)}[/]"
            f" ({outcome.seconds:g} s, seed {outcome.seed})"
        )

    campaign = Campaign(
        chosen, seed=seed, short=asked.short, folder=folder, on_outcome=show, lanes=asked.lanes
    )
    try:
        outcomes = asyncio.run(campaign.run())
    finally:
        if asked.keep:
            console.print(f"kept: {folder}")
        else:
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
    rows = list(zip(chosen, outcomes, strict=True))
    Console().print(report.on_screen(rows))
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes)))
    if asked.report is not None:
        seconds = time.monotonic() - began_s
        report.write_into(asked.report, report.markdown(rows, seconds=seconds, short=asked.short))
    return 0 if report.is_good(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
