"""Experiment 21: the process that makes pictures whole has no memory left, or hangs."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from functools import partial

import msgpack
import psutil

from tests.faults.experiment import Trial, experiment
from tests.faults.metrics import metrics
from tests.faults.mqtt import Connection
from tests.faults.town import Town, judge_latency
from tests.faults.waits import Span, seconds_until, shown

ALARM_P99_S = 2.0
DIES_WITHIN_S = 20.0
AFTER_S = 3.0  # alarms are judged that long after it, too: it may die at once
DEVICE = "camera-21"
TINY_BYTES = 1 << 20
CHUNK_BYTES = 8192
LARGE = 1000  # chunks: more than fits into what the process has left by chance


class Camera:
    """A device that sends pictures."""

    def __init__(self, town: Town, password: str) -> None:
        self._up, self._boot, self._seq = f"field/v1/{DEVICE}/up/", int(time.time()), 0
        self.link = Connection(
            town.gateway.host, town.gateway.mqtt_port, client=DEVICE, password=password,
            will_topic=f"{self._up}presence", will=msgpack.packb({"online": False, "boot": 1}),
            on_message=lambda topic, payload: None, on_puback=lambda packet_id: None,
        )  # fmt: skip

    def send(self, chunks: int = 1) -> str:
        """A new picture of so many chunks; its id."""
        data = b"\xff\xd8\xff\xe0" + hashlib.sha512(str(self._seq).encode()).digest() * 60
        data = data.ljust(chunks * CHUNK_BYTES, b"\0") if chunks > 1 else data
        picture = hashlib.sha256(data).hexdigest()
        for n in range(chunks):
            self._seq += 1
            keys = {
                "boot": self._boot, "seq": self._seq, "t": int(time.time() * 1000),
                "id": picture, "mime": "image/jpeg", "size": len(data), "n": n, "of": chunks,
                "data": data[n * CHUNK_BYTES :][:CHUNK_BYTES],
            }  # fmt: skip
            self.link.publish(f"{self._up}media", msgpack.packb(keys), qos=1)
        return picture


@experiment(
    number=21,
    name="picture-worker",
    breaks="the picture worker has no memory left; it hangs",
    holds="worker dies, alarms unaffected",
    full_s=120,
    short_s=None,
)
async def picture_worker(trial: Trial) -> None:
    async with Town(trial, alarms_per_s=8) as town:
        camera = Camera(town, await town.add_device(DEVICE, "body_camera"))
        async with camera.link:
            serving = asyncio.create_task(camera.link.serve(), name="camera")
            try:
                for what in ("out of memory", "hung"):
                    await _made(trial, town, camera.send(), f"a picture, before it is {what}")
                    so_far = await _failures(town)
                    worker = _worker(town.gateway.pid)
                    if what == "hung":
                        worker.send_signal(signal.SIGSTOP)
                    else:
                        worker.rlimit(psutil.RLIMIT_AS, (TINY_BYTES, TINY_BYTES))
                    async with Span() as span:
                        camera.send(LARGE)
                        has_failed = partial(_failed, town, so_far)
                        took = await seconds_until(has_failed, DIES_WITHIN_S)
                        await asyncio.sleep(AFTER_S)
                    trial.liveness(
                        f"{what}: the worker dies, or gives the picture up",
                        took is not None,
                        shown(took),
                    )
                    receipts = await span.receipts(town, within_s=ALARM_P99_S)
                    judge_latency(trial, receipts, limit_s=ALARM_P99_S, of=what)
                await _made(trial, town, camera.send(), "a picture, at the end")
            finally:
                serving.cancel()
        await town.judge()


def _worker(gateway_pid: int) -> psutil.Process:
    """The process that makes pictures."""
    (worker,) = (
        child
        for child in psutil.Process(gateway_pid).children(recursive=True)
        if "gateway.assembly" in child.cmdline()
    )
    return worker


async def _failures(town: Town) -> float:
    """Deaths of the process, and pictures that it could not make."""
    figures = await metrics(town.gateway)
    aside = figures.get('fieldgate_pictures_total{state="aside"}', 0)
    return figures["fieldgate_picture_process_deaths"] + aside


async def _failed(town: Town, so_far: float) -> bool:
    return await _failures(town) > so_far


async def _made(trial: Trial, town: Town, picture: str, which: str) -> None:
    async def is_fed() -> bool:
        return any(e["data"]["id"] == picture for e in await town.gateway.events("media"))

    took = await seconds_until(is_fed, DIES_WITHIN_S, every_s=0.2)
    trial.liveness(f"{which} is made", took is not None, shown(took))
