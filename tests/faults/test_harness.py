"""Does the campaign see what it must see, and say it? Its own verdicts, not the gateway's."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.faults import catalogue, report
from tests.faults.experiment import Experiment, Outcome, Trial, experiment
from tests.faults.parts import HOUSE, until
from tests.faults.town import raised_twice
from tests.faults.worker import Job, attempt


async def _ends_well(trial: Trial) -> None:
    trial.safety("lost", True, 0)
    trial.liveness("in time", True, "1 s")
    trial.figure("5 pressed")


async def _loses(trial: Trial) -> None:
    trial.safety("lost", False, "1 (box-1:1:p:1)")


async def _is_late(trial: Trial) -> None:
    trial.safety("lost", True, 0)
    trial.liveness("in time", False, "9 s")


async def _says_nothing(trial: Trial) -> None:
    pass


async def _hangs(trial: Trial) -> None:
    await asyncio.Event().wait()


async def _breaks(trial: Trial) -> None:
    trial.safety("lost", False, 1)
    raise OSError("no such port")


async def _cannot(trial: Trial) -> None:
    trial.need("no-such-command")


def _as_experiment(run: object, *, must_fail: bool = False) -> Experiment:
    make = experiment(
        number=99, name="x", breaks="all", holds="0", full_s=1, short_s=None, must_fail=must_fail
    )
    return make(run)  # type: ignore[arg-type]


async def _outcome(folder: Path, run: object, *, must_fail: bool = False) -> Outcome:
    trial = Trial("x", seed=7, short=False, folder=folder)
    return await attempt(trial, _as_experiment(run, must_fail=must_fail), limit_s=0.05)


@pytest.mark.parametrize(
    ("run", "result", "in_short"),
    [
        (_ends_well, "held", "held"),
        (_loses, "violated", "violated: lost (safety)"),
        (_is_late, "violated", "violated: in time (liveness)"),
        (_says_nothing, "violated", "violated: nothing failed"),
        (_breaks, "broken", "broken: OSError: no such port"),
        (_cannot, "skipped", "skipped: needs `no-such-command`"),
    ],
)
async def test_what_a_trial_comes_to(
    tmp_path: Path, run: object, result: str, in_short: str
) -> None:
    outcome = await _outcome(tmp_path, run)
    assert (outcome.result, report.said(outcome)) == (result, in_short)
    assert report.is_good([outcome]) == (result in {"held", "skipped"})


async def test_a_trial_that_hangs_is_ended(tmp_path: Path) -> None:
    outcome = await _outcome(tmp_path, _hangs)
    assert outcome.result == "broken"
    assert "not done in 0.05 s" in outcome.why
    assert not report.is_good([outcome])


@pytest.mark.parametrize(
    ("run", "result"),
    [
        (_loses, "fails, as it must"),
        (_ends_well, "violated"),  # the campaign is blind
        (_is_late, "violated"),  # slowness alone is no proof that a loss would be seen
        (_breaks, "broken"),  # a control that breaks proves nothing, whatever it saw before
    ],
)
async def test_a_negative_control_must_fail(tmp_path: Path, run: object, result: str) -> None:
    outcome = await _outcome(tmp_path, run, must_fail=True)
    assert outcome.result == result
    assert report.is_good([outcome]) == (run is _loses)


def _raised(sequence: str, seq: int, *, id_: str = "") -> dict[str, object]:
    data = {"boot": 1, "seq": seq}
    return {"id": id_ or f"box-1:1:p:{seq}", "sequence": sequence, "subject": "box-1", "data": data}


def test_a_press_raised_twice_is_seen_whatever_its_ids() -> None:
    assert raised_twice([_raised("1", 1), _raised("2", 2)]) == set()
    assert raised_twice([_raised("1", 1), _raised("1", 1)]) == set()  # the same event again
    assert raised_twice([_raised("1", 1), _raised("2", 1)]) == {"box-1:1:p:1"}
    assert raised_twice([_raised("1", 1), _raised("2", 1, id_="other")]) == {"box-1:1:p:1"}


async def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n{report.BEGIN}\nstale\n{report.END}\nafter\n")
    outcome = await _outcome(tmp_path, _ends_well)
    rows = [(_as_experiment(_ends_well), outcome)]
    for _ in range(2):
        report.write_into(page, report.markdown(rows, seconds=60, short=False))
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\nafter\n")
    assert "stale" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| 99 ")]
    figures = "safety: lost 0<br>liveness: in time 1 s<br>5 pressed"
    assert row.startswith(f"| 99 | all<br>`x` | 0 | held | {figures} | 7<br>")


def test_a_page_without_marks_is_not_overwritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n")
    with pytest.raises(ValueError, match="no <!-- campaign -->"):
        report.write_into(page, "| |")
    assert page.read_text() == "# Nothing\n"


@pytest.mark.slow
async def test_a_worker_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    job = Job(
        name="gateway-killed",
        seed=1,
        short=True,
        folder=str(tmp_path / "trial"),
        outcome=str(tmp_path / "outcome"),
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.worker", msgspec.json.encode(job).decode(),
        cwd=HOUSE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def parts() -> list[psutil.Process]:
        below = psutil.Process(worker.pid).children(recursive=True)
        return below if any(each.name() == "mosquitto" for each in below) else []

    below = await until(parts, 30)
    worker.kill()
    await worker.wait()
    assert below

    async def gone() -> bool:
        return not any(each.is_running() for each in below)

    assert await until(gone, 20), below


def test_the_same_seed_rolls_the_same_dice(tmp_path: Path) -> None:
    def dice(name: str, seed: int) -> float:
        return Trial(name, seed=seed, short=True, folder=tmp_path).rng.random()

    assert dice("a", 1) == dice("a", 1)
    assert len({dice("a", 1), dice("a", 2), dice("b", 1)}) == 3


def test_experiments_are_found_by_number_and_name() -> None:
    (first,) = catalogue.chosen(["1"], short=False)
    assert catalogue.chosen([first.name], short=True) == [first]
    assert all(each.short_s is not None for each in catalogue.chosen([], short=True))
    with pytest.raises(KeyError, match="nonsense"):
        catalogue.chosen(["1,nonsense"], short=False)
