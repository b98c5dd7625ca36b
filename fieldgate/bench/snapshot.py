"""How long does it take from asking for a picture to having it?"""

from __future__ import annotations

import http.client
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from fieldgate.bench.figures import Figure, figure_of, percentile
from fieldgate.bench.parts import Gateway, PartFailed, Process
from fieldgate.bench.scale import Scale
from fieldgate.bench.street_camera import HEIGHT_PX, WIDTH_PX
from fieldgate.bench.usage import Meter, Used

COUNT = 200
GAP_S = 0.05, 0.25
GOAL_MS = 500.0
DEVICE = "car"
AGAINST = "the next picture of the same camera, fetched from it by HTTP"
WARM_S = 30.0

Say = Callable[[str], None]


class Answered(NamedTuple):
    """One snapshot, in ms from the request: taken, held whole by the gateway, here."""

    taken_ms: float
    held_ms: float
    here_ms: float
    size_bytes: int


def snapshot(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Median, 99th percentile and longest, of an agent on this machine."""
    gateway = Gateway(folder)
    (account,) = gateway.register([DEVICE])
    camera = Process(
        [sys.executable, "-m", "fieldgate.bench.street_camera"], folder / "camera.log", talks=True
    )
    with gateway, camera:
        port = camera.line(30)["port"]
        config = _config(folder, gateway, account.password, port)
        command = [sys.executable, "-m", "fieldgate", "edge", "--config", str(config)]
        with Process(command, folder / "agent.log") as agent:
            asker = _Asker(gateway, port)
            asker.warm()
            meter = Meter(
                {
                    "gateway": gateway.own,
                    "broker": gateway.broker,
                    "agent": [agent.process],
                    "camera": [camera.process],
                }
            )
            answers, reference = asker.ask(scale.count(COUNT))
            used = meter.stop()
    figures = _judged(answers, reference, used)
    say(f"  {figures[0].figure} ms, {'; '.join(figures[1].notes)}")
    return scale.judged(figures)


class _Asker:
    """Asks the gateway, and the camera itself, in turn; each on a connection that is kept."""

    def __init__(self, gateway: Gateway, camera_port: int) -> None:
        self._gateway = http.client.HTTPConnection(gateway.api.address, timeout=60)
        self._camera = http.client.HTTPConnection(f"127.0.0.1:{camera_port}", timeout=60)
        self._headers = {"Authorization": gateway.api.authorization}

    def warm(self) -> None:
        """Until the device is online and its camera open."""
        deadline = time.monotonic() + WARM_S
        why = b""
        while time.monotonic() < deadline:
            status, why, _ = self._snapshot()
            if status == 200:
                return
            time.sleep(0.2)  # nothing tells when the device is there
        raise PartFailed(f"no picture comes: {why!r}")

    def ask(self, count: int) -> tuple[list[Answered], list[float]]:
        """So often, at random moments."""
        chance = random.Random(500)
        answers, reference = list[Answered](), list[float]()
        for _ in range(count):
            time.sleep(chance.uniform(*GAP_S))
            begun = time.monotonic()
            status, body, headers = self._snapshot()
            here_ms = 1000 * (time.monotonic() - begun)
            if status != 200:
                raise PartFailed(f"snapshot: {status} {body[:200]!r}")
            requested = int(headers["Fieldgate-Requested"])
            answers.append(
                Answered(
                    int(headers["Fieldgate-Taken"]) - requested,
                    int(headers["Fieldgate-Received"]) - requested,
                    here_ms,
                    len(body),
                )
            )
            begun = time.monotonic()
            self._camera.request("GET", "/next.jpg")
            self._camera.getresponse().read()
            reference.append(1000 * (time.monotonic() - begun))
        return answers, reference

    def _snapshot(self) -> tuple[int, bytes, http.client.HTTPMessage]:
        self._gateway.request("POST", f"/api/v1/devices/{DEVICE}/snapshot", headers=self._headers)
        answer = self._gateway.getresponse()
        return answer.status, answer.read(), answer.headers


def _config(folder: Path, gateway: Gateway, password: str, camera: int) -> Path:
    path = folder / "agent.toml"
    path.touch(mode=0o600)
    path.write_text(
        f'device = "{DEVICE}"\nkind = "vehicle_terminal"\n'
        f'broker = {{ host = "127.0.0.1", port = {gateway.port}, password = "{password}" }}\n'
        f'spool = {{ folder = "{folder}/spool" }}\n'
        f'camera = {{ source = "http://127.0.0.1:{camera}/video.mjpeg" }}\n'
    )
    return path


def _judged(answers: list[Answered], reference: list[float], used: Used) -> list[Figure]:
    here = [each.here_ms for each in answers]
    cores = used.cores()
    notes = [
        f"taken after {median(each.taken_ms for each in answers):.0f} ms, held by the gateway"
        f" after {median(each.held_ms for each in answers):.0f} ms, in the middle",
        f"{median(each.size_bytes for each in answers) / 1000:.0f} kB a picture",
    ]
    if used.disturbed:
        notes.append(f"other programs took {cores['others']:.2f} cores")
    return [
        figure_of(
            "snapshot",
            f"request to the picture, {WIDTH_PX}×{HEIGHT_PX}, {name}",
            [percentile(here, share)],
            "ms",
            reference=[percentile(reference, share)],
            against=AGAINST,
            notes=notes if share == 0.99 else [],
            cores=cores if share == 0.99 else {},
            **goal,  # type: ignore[arg-type]
        )
        for name, share, goal in (
            ("median", 0.5, {}),
            ("p99", 0.99, {"goal": f"under {GOAL_MS:g} ms", "at_most": GOAL_MS}),
            ("longest", 1.0, {}),
        )
    ]
