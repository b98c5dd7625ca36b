"""How much CPU does a position cost the gateway, and how many a second does it take?"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import median

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.parts import ALL_UP
from fieldgate.bench.scale import Scale
from fieldgate.bench.trial import Devices, Load, Outcome, through_gateway, thrown_away

DEVICES = 1000
REFERENCE = f"mosquitto_sub -q QOS -t '{ALL_UP}' -R -C COUNT > /dev/null"

PAST = "what the same generator and broker bring to mosquitto_sub, by steps of a fifth"

MAX_TRIALS, MAX_AGAIN = 7, 3
STEP_UP, STEP_DOWN, CLOSE = 1.2, 0.6, 1.1

CPU_GOAL = {0: 1.5, 1: 1.3}
RATE_GOAL = {0: 50_000, 1: 35_000}
BATCH_GOAL = 200_000

Say = Callable[[str], None]


def ingest(
    folder: Path, scale: Scale, say: Say, *, qos: int, batch: int = 1, rate: int | None = None
) -> list[Figure]:
    """The figures of one QoS, or of a backlog in arrays of ``batch`` at QoS 1."""
    with Devices(folder, scale.devices(DEVICES)) as at:
        goal = BATCH_GOAL if batch > 1 else RATE_GOAL[qos]
        first = Load(rate=rate or scale.rate(goal), seconds=scale.seconds(10), qos=qos, batch=batch)
        found = _highest(at, first, 1 if rate else scale.trials(MAX_TRIALS), say)
        best = found[-1]
        pairs, again = _pairs(at, best.load, scale.runs(3), say)
        half = Load(rate=best.load.rate // 2, seconds=scale.seconds(5), qos=qos, batch=batch)
        low, _ = _pairs(at, half, scale.runs(2), say)
        again_from = Load(rate=best.load.rate, seconds=half.seconds, qos=qos, batch=batch)
        past = _past_gateway(at, again_from, scale.trials(MAX_TRIALS), say)
    bench = f"ingest --batch {batch}" if batch > 1 else f"ingest --qos {qos}"
    return _judged(bench, scale, found=found, pairs=pairs, low=low, again=again, past=past)


def _highest(at: Devices, load: Load, most: int, say: Say) -> list[Outcome]:
    """Trials at one rate after the other; the last one is the highest that was sustained.

    First up or down from the goal until both sides are known, then between them.
    """
    trials: list[Outcome] = []
    best, worst = None, math.inf
    for _ in range(most):
        outcome = _through(at, load, say)
        trials.append(outcome)
        if outcome.sustained:
            best = outcome
        else:
            at.renew()
            if outcome.used.disturbed:
                continue  # something else took the machine: the same again
            worst = load.rate
        if best is None:
            load = _at(load, load.rate * STEP_DOWN)
        elif worst == math.inf:
            load = _at(load, best.load.rate * STEP_UP)
        elif worst < best.load.rate * CLOSE:
            break
        else:
            load = _at(load, math.sqrt(best.load.rate * worst))
    return [*trials, best or trials[-1]]


def _at(load: Load, rate: float) -> Load:
    return Load(rate=int(rate), seconds=load.seconds, qos=load.qos, batch=load.batch)


def _past_gateway(at: Devices, load: Load, most: int, say: Say) -> list[Outcome]:
    """Trials of mosquitto_sub in the gateway's place, from the gateway's own rate up.

    What is sent now the gateway never gets: nothing can be measured on it any more.
    """
    trials: list[Outcome] = []
    for _ in range(most):
        _loaded(at, load, "reference")
        trials.append(thrown_away(at, load))
        sustained = trials[-1].sustained
        verdict = "sustained" if sustained else "; ".join(trials[-1].faults) or "falls behind"
        say(f"  mosquitto_sub, {load.rate:,} a second: {verdict}")
        if not sustained:
            break
        load = _at(load, load.rate * STEP_UP)
    return trials


def _loaded(at: Devices, load: Load, to: str) -> None:
    at.generator.order(
        "load", to=to, count=load.count, rate=load.rate, qos=load.qos, batch=load.batch
    )


def _through(at: Devices, load: Load, say: Say) -> Outcome:
    _loaded(at, load, "gateway")
    outcome = through_gateway(at, load)
    verdict = "sustained" if outcome.sustained else "; ".join(outcome.faults) or "falls behind"
    cores = ", ".join(f"{role} {share:.2f}" for role, share in outcome.used.cores().items())
    if outcome.used.disturbed:
        verdict += " (disturbed)"
    say(
        f"  {load.rate:,} a second: {outcome.us:.2f} us, drained after {outcome.drain_s:.2f} s,"
        f" cores: {cores}: {verdict}"
    )
    return outcome


def _pairs(
    at: Devices, load: Load, count: int, say: Say
) -> tuple[list[tuple[Outcome, Outcome]], int]:
    """So many pairs, and how many were run again since other programs had spoilt them."""
    pairs: list[tuple[Outcome, Outcome]] = []
    again = 0
    while len(pairs) < count:
        ours, theirs = _pair(at, load, say)
        if not ours.complete:
            at.renew()  # what was lost would be asked for, and cost the next runs
        if not ours.sustained and ours.used.disturbed and again < MAX_AGAIN:
            again += 1
        else:
            pairs.append((ours, theirs))
    return pairs, again


def _pair(at: Devices, load: Load, say: Say) -> tuple[Outcome, Outcome]:
    """The gateway, then mosquitto_sub with the very same bytes."""
    ours = _through(at, load, say)
    theirs = thrown_away(at, load)
    say(f"  mosquitto_sub: {theirs.us:.2f} us {'; '.join(theirs.faults)}")
    return ours, theirs


def _judged(
    bench: str,
    scale: Scale,
    *,
    found: list[Outcome],
    pairs: list[tuple[Outcome, Outcome]],
    low: list[tuple[Outcome, Outcome]],
    again: int,
    past: list[Outcome],
) -> list[Figure]:
    best = found[-1]
    load = best.load
    per = "fix" if load.batch > 1 else "message"
    runs = [ours for ours, _ in pairs]
    disturbed = sum(run.used.disturbed for pair in pairs for run in pair)
    broken = [fault for ours, theirs in pairs for fault in (*ours.faults, *theirs.faults)]
    kept_up = best.sustained and all(run.sustained for run in runs)
    rate_goal = BATCH_GOAL if load.batch > 1 else RATE_GOAL[load.qos]
    cpu_goal = CPU_GOAL[load.qos] if load.batch == 1 else None
    command = REFERENCE.replace("QOS", str(load.qos))
    cpu = figure_of(
        bench,
        f"CPU of the gateway per {per}, at the sustained {load.rate:,} a second",
        [ours.us for ours, _ in pairs],
        "us",
        reference=[theirs.us for _, theirs in pairs],
        against=command,
        goal=f"at most {cpu_goal} times" if cpu_goal else None,
        ratio_at_most=cpu_goal,
        cores=_cores(runs),
        notes=[*broken, *_disturbance(disturbed, 2 * len(pairs), again)],
    )
    half = figure_of(
        bench,
        f"the same at half of it, {low[0][0].load.rate:,} a second",
        [ours.us for ours, _ in low],
        "us",
        reference=[theirs.us for _, theirs in low],
        against=command,
        cores=_cores([ours for ours, _ in low]),
        notes=[fault for ours, theirs in low for fault in (*ours.faults, *theirs.faults)],
    )
    rate = figure_of(
        bench,
        "fixes a second, sustained" if load.batch > 1 else "positions a second, sustained",
        [best.load.rate],
        "/s",
        reference=[trial.load.rate for trial in past if trial.sustained][-1:],
        against=PAST,
        goal=f"at least {rate_goal:,} a second",
        at_least=rate_goal,
        cores=_cores([best]),
        notes=[
            *([] if kept_up else ["not every run at this rate kept up", *best.faults]),
            *([] if past[0].sustained else ["mosquitto_sub did not keep up either"]),
            *(["mosquitto_sub may keep up with more"] if past[-1].sustained else []),
        ],
        series={
            "trials": [
                [run.load.rate, run.drain_s, run.sustained, run.backlog] for run in found[:-1]
            ]
        },
    )
    if broken or not kept_up:
        cpu.met = cpu.met and not broken
        rate.met = False
    return scale.judged([cpu, half, rate])


def _disturbance(disturbed: int, runs: int, again: int) -> list[str]:
    return [
        note
        for note, count in (
            (f"other programs disturbed {disturbed} of {runs} runs", disturbed),
            (f"they spoilt {again} further pairs, which were disturbed and run again", again),
        )
        if count
    ]


def _cores(runs: list[Outcome]) -> dict[str, float]:
    """Medians over the runs of how much of a core each process took while they were sent."""
    shares = [run.used.cores() for run in runs]
    return {role: round(median(share[role] for share in shares), 2) for role in shares[0]}
