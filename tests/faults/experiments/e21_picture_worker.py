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
from tests.faults.metrics import metric
from tests.faults.mqtt import Connection
from tests.faults.town import Town, milliseconds
from tests.faults.waits import Span, seconds_until, shown

ALARM_P99_MS = 2000
DIES_WITHIN_S = 20.0
DEVICE = "camera-21"
TINY_BYTES = 1 << 20


class Camera:
    """A device that sends pictures of one chunk."""

    def __init__(self, town: Town, password: str) -> None:
        self._up, self._boot, self._seq = f"field/v1/{DEVICE}/up/", int(time.time()), 0
        self.link = Connection(
            town.gateway.host, town.gateway.mqtt_port, client=DEVICE, password=password,
            will_topic=f"{self._up}presence", will=msgpack.packb({"online": False, "boot": 1}),
            on_message=lambda topic, payload: None, on_puback=lambda packet_id: None,
        )  # fmt: skip

    def send(self) -> str:
        """A new picture; its id."""
        self._seq += 1
        data = b"\xff\xd8\xff\xe0" + hashlib.sha512(str(self._seq).encode()).digest() * 60
        picture = hashlib.sha256(data).hexdigest()
        keys = {
            "boot": self._boot, "seq": self._seq, "t": int(time.time() * 1000), "id": picture,
            "mime": "image/jpeg", "size": len(data), "n": 0, "of": 1, "data": data,
        }  # fmt: skip
        self.link.publish(f"{self._up}media", msgpack.packb(keys), qos=1)
        return picture


@experiment(
    number=21,
    name="picture-worker",
    breaks="the picture worker has no memory left; it hangs",
    holds="worker dies, alarms unaffected",
    full_s=120,
    short_s=60,
)
async def picture_worker(trial: Trial) -> None:
    async with Town(trial, alarms_per_s=8) as town:
        camera = Camera(town, await town.add_device(DEVICE, "body_camera"))
        async with camera.link:
            serving = asyncio.create_task(camera.link.serve(), name="camera")
            try:
                for what in ("out of memory", "hung"):
                    await _made(trial, town, camera.send(), f"a picture, before it is {what}")
                    deaths = await metric(town.gateway, "fieldgate_picture_process_deaths")
                    worker = _worker(town.gateway.pid)
                    if what == "hung":
                        worker.send_signal(signal.SIGSTOP)
                    else:
                        worker.rlimit(psutil.RLIMIT_AS, (TINY_BYTES, TINY_BYTES))
                    async with Span() as span:
                        camera.send()
                        has_died = partial(_died, town, deaths)
                        took = await seconds_until(has_died, DIES_WITHIN_S)
                    trial.liveness(f"{what}: the worker dies", took is not None, shown(took))
                    alarms = span.receipted(town)
                    trial.liveness(
                        f"{what}: alarms unaffected, p99 within 2 s",
                        alarms is None or alarms.p99 <= ALARM_P99_MS,
                        "none" if alarms is None else f"{milliseconds(alarms)} ({alarms.count})",
                    )
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


async def _died(town: Town, deaths: float) -> bool:
    return await metric(town.gateway, "fieldgate_picture_process_deaths") > deaths


async def _made(trial: Trial, town: Town, picture: str, which: str) -> None:
    async def is_fed() -> bool:
        return any(e["data"]["id"] == picture for e in await town.gateway.events("media"))

    took = await seconds_until(is_fed, DIES_WITHIN_S, every_s=0.2)
    trial.liveness(f"{which} is made", took is not None, shown(took))
