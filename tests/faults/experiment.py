"""What is an experiment, and what does it tell of one trial?"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

from msgspec import Struct

Namespace = Literal["mount", "net"]
Result = Literal["held", "violated", "skipped", "broken", "fails, as it must"]

_T = TypeVar("_T")


class Skipped(Exception):
    """The experiment cannot be made here: why."""


class Check(Struct, frozen=True):
    """One thing that must hold. ``figure``: what was seen.

    Safety: nothing wrong ever happened. Liveness: the right thing happened in time.
    """

    kind: Literal["safety", "liveness"]
    what: str
    held: bool
    figure: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What a trial told. ``why``: of a trial that was skipped or broke."""

    name: str
    result: Result
    seed: int
    seconds: float
    checks: list[Check] = []
    figures: list[str] = []
    why: str = ""


class Trial:
    """One run of an experiment: its dice, its folder, and what it finds.

    ``seed`` decides the moments and targets of every fault, by way of ``rng``.
    """

    def __init__(self, name: str, *, seed: int, short: bool, folder: Path) -> None:
        self.name, self.seed, self.short, self.folder = name, seed, short, folder
        self.rng = random.Random(f"{seed}:{name}")
        self.checks: list[Check] = []
        self.figures: list[str] = []
        self._began_s = time.monotonic()

    def pick(self, full: _T, short: _T) -> _T:
        """A number of the full campaign, or that of the short one."""
        return short if self.short else full

    def safety(self, what: str, held: bool, figure: object) -> None:
        """Note whether nothing wrong happened."""
        self._note(Check("safety", what, held, str(figure)))

    def liveness(self, what: str, held: bool, figure: object = None) -> None:
        """Note whether the right thing happened in time; without a figure "yes" or "no"."""
        seen = ("no", "yes")[held] if figure is None else str(figure)
        self._note(Check("liveness", what, held, seen))

    def require(self, what: str, held: bool) -> None:
        """Note a liveness only where it is violated: it is asked again and again."""
        if not held:
            self.liveness(what, held)

    def figure(self, text: str) -> None:
        """Note a figure that is shown and not judged."""
        self.figures.append(text)
        self.say(text)

    def say(self, text: str) -> None:
        """Tell whoever watches how far it is."""
        elapsed_s = time.monotonic() - self._began_s
        sys.stderr.write(f"{elapsed_s:7.1f} s  {self.name}: {text}\n")

    def skip(self, why: str) -> NoReturn:
        """End the trial: it cannot be made here."""
        raise Skipped(why)

    def need_root(self) -> None:
        """Skip the trial for anyone else."""
        if os.geteuid() != 0:
            self.skip("needs root")

    def need(self, *commands: str) -> None:
        """Skip the trial where one of the commands is missing."""
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        for command in commands:
            if shutil.which(command, path=path) is None:
                self.skip(f"needs `{command}`")

    def outcome(self, *, must_fail: bool) -> Outcome:
        """What a trial that came to its end told."""
        violated = [check for check in self.checks if not check.held]
        result: Result = "violated" if violated or not self.checks else "held"
        if must_fail:
            unsafe = any(check.kind == "safety" for check in violated)
            result = "fails, as it must" if unsafe else "violated"
        return self._outcome(result)

    def ended(self, result: Literal["skipped", "broken"], why: str) -> Outcome:
        """What a trial told that did not come to its end."""
        return self._outcome(result, why)

    def _note(self, check: Check) -> None:
        self.checks.append(check)
        self.say(f"{check.what}: {check.figure}{'' if check.held else '  VIOLATED'}")

    def _outcome(self, result: Result, why: str = "") -> Outcome:
        return Outcome(
            name=self.name,
            result=result,
            seed=self.seed,
            seconds=round(time.monotonic() - self._began_s, 1),
            checks=self.checks,
            figures=self.figures,
            why=why,
        )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One row of the campaign.

    ``short_s`` is None where the five-minute selection leaves it out. ``alone``: it
    judges time, so nothing runs beside it. ``must_fail``: a negative control, which
    proves that the campaign sees the fault. ``namespaces``: what of the kernel it
    has for itself (needs root): mounts and interfaces end with it.
    """

    number: int
    name: str
    breaks: str
    holds: str
    full_s: float
    short_s: float | None
    run: Callable[[Trial], Awaitable[None]]
    alone: bool = False
    must_fail: bool = False
    namespaces: tuple[Namespace, ...] = ()

    def limit_s(self, *, short: bool) -> float:
        """After how long it is ended."""
        return self.short_s if short and self.short_s is not None else self.full_s


def experiment(
    *,
    number: int,
    name: str,
    breaks: str,
    holds: str,
    full_s: float,
    short_s: float | None,
    alone: bool = False,
    must_fail: bool = False,
    namespaces: tuple[Namespace, ...] = (),
) -> Callable[[Callable[[Trial], Awaitable[None]]], Experiment]:
    """Make an experiment of a function; its keys are those of ``Experiment``."""

    def make(run: Callable[[Trial], Awaitable[None]]) -> Experiment:
        return Experiment(
            number=number,
            name=name,
            breaks=breaks,
            holds=holds,
            full_s=full_s,
            short_s=short_s,
            run=run,
            alone=alone,
            must_fail=must_fail,
            namespaces=namespaces,
        )

    return make
