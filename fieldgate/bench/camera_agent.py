"""What does a camera cost the agent that keeps its last half minute? Does it hold up a press?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2

from edge import control_client
from fieldgate.bench.figures import Figure, figure_of, percentile
from fieldgate.bench.parts import Account, Gateway, PartFailed, Process
from fieldgate.bench.scale import Scale
from fieldgate.bench.usage import cpu_s, resident_bytes
from simulators.labelled import MEASURED
from simulators.labelled_films import films

WARM_S, SECONDS = 35.0, 30.0  # the ring is full then
RATES = (1, 5)
PRESSES, PAUSE_S = 20, 1.0
WITHOUT = "the same agent without a camera, at the same time"

Say = Callable[[str], None]


class _Agent(NamedTuple):
    process: Process
    socket: Path


def agent(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Agents with a film of 1280 by 720 as camera, at 1 and 5 pictures a second, and one without,
    at a real gateway: CPU and memory with a full ring, then presses."""
    warm_s, seconds = (3.0, 3.0) if scale.quick else (WARM_S, SECONDS)
    film = _film(folder / "film.avi")
    with ExitStack() as parts:
        gateway = Gateway(folder)
        accounts = gateway.register(["without", *(f"with-{rate}" for rate in RATES)])
        parts.enter_context(gateway)
        sockets = Path(parts.enter_context(TemporaryDirectory(prefix="fieldgate-")))
        cameras = [None, *(f'camera = {{ source = "{film}", per_s = {rate} }}\n' for rate in RATES)]
        agents = [
            parts.enter_context(_started(folder, sockets, gateway, account, camera))
            for account, camera in zip(accounts, cameras, strict=True)
        ]
        running = [
            _Agent(each, sockets / account.user)
            for each, account in zip(agents, accounts, strict=True)
        ]
        for each in running:
            _answers(each.socket)
        time.sleep(warm_s)
        begun, before = time.monotonic(), [cpu_s([each.process.process]) for each in running]
        time.sleep(seconds)
        took = time.monotonic() - begun
        used = [
            100 * (cpu_s([each.process.process]) - a) / took
            for a, each in zip(before, running, strict=True)
        ]
        memory = [resident_bytes(each.process.process) / 1e6 for each in running]
        presses_ms = [_presses(each.socket, 3 if scale.quick else PRESSES) for each in running]
        after = [resident_bytes(each.process.process) / 1e6 for each in running]
    rows = []
    for n, rate in enumerate(RATES, 1):
        what = f"at {rate} picture{'s' if rate > 1 else ''} a second of 1280 by 720"
        say(f"  {what}: {used[n]:.1f} % of a core, {memory[n]:.0f} MB")
        p95_ms = [percentile(each, 0.95) for each in (presses_ms[n], presses_ms[0])]
        rows += [
            figure_of(
                "camera", f"CPU of the agent {what}", [used[n]], "% of a core",
                reference=[used[0]], against=WITHOUT,
            ),
            figure_of(
                "camera", f"resident memory of the agent {what}, the ring full", [memory[n]],
                "MB", reference=[memory[0]], against=WITHOUT,
                notes=[f"{after[n]:.0f} MB after the presses"],
            ),
            figure_of(
                "camera", f"press until it is durably spooled {what}, median", presses_ms[n],
                "ms", reference=presses_ms[0], against=WITHOUT,
                notes=[f"p95 {p95_ms[0]:.1f} ms, without a camera {p95_ms[1]:.1f} ms"],
            ),
        ]  # fmt: skip
    return rows


def _started(
    folder: Path, sockets: Path, gateway: Gateway, account: Account, camera: str | None
) -> Process:
    path = folder / f"{account.user}.toml"
    path.touch(mode=0o600)
    path.write_text(
        f'device = "{account.user}"\nkind = "vehicle_terminal"\n'
        f'broker = {{ host = "127.0.0.1", port = {gateway.port},'
        f' password = "{account.password}" }}\n'
        f'spool = {{ folder = "{folder}/spool-{account.user}" }}\n'
        f'control = {{ socket = "{sockets}/{account.user}" }}\n' + (camera or "")
    )
    command = [sys.executable, "-m", "fieldgate", "edge", "--config", str(path)]
    return Process(command, folder / f"{account.user}.log")


def _answers(socket: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            next(control_client.call(socket, "GET", "/status"))
            return
        except OSError:
            if time.monotonic() > deadline:
                raise PartFailed(f"no agent answers at {socket}") from None
            time.sleep(0.1)  # nobody tells when it is there


def _presses(socket: Path, count: int) -> list[float]:
    """Each raises an alarm of its own, while the pictures of the ones before are being kept."""
    times_ms = []
    for n in range(count):
        begun = time.perf_counter()
        next(control_client.call(socket, "POST", "/press", {"kind": "panic", "zone": f"bench {n}"}))
        times_ms.append(1000 * (time.perf_counter() - begun))
        time.sleep(PAUSE_S)
    return times_ms


def _film(path: Path) -> Path:
    """A street with traffic and a sensor's noise: JPEG after JPEG, as a USB camera gives it."""
    film = next(film for film in films(MEASURED, 1) if film.story == "traffic")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (1280, 720))
    for _, image in film.looks:
        writer.write(image)
    writer.release()
    return path
