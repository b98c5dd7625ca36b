"""Everything on one machine: gateway, broker, city, dispatch core, and the proof at the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from fieldgate.map.build import of_extract, of_seed
from fieldgate.processes import Child
from fieldgate.verification import Proof, verify
from gateway.registry import Device, Registry, Role
from simulators import ledger, scenario
from simulators.city import City, Grid
from simulators.run import city_of
from simulators.timetable import leaders

CATCH_UP_S = 10.0


class Parts(NamedTuple):
    """The running parts, for whoever shows them. ``token`` opens the gateway's API.

    ``crews``: how many of the devices report the duty of a crew.
    """

    gateway: Child
    city: Child
    core: Child
    url: str
    token: str
    devices: int
    crews: int


async def play(
    name: str,
    folder: Path,
    *,
    seconds: float | None,
    accept_after_s: float = 1.0,
    stop: asyncio.Event,
    on_start: Callable[[Parts], None],
) -> Proof:
    """Play a scenario until its time is over or ``stop`` is set, let all arrive, and judge.

    ``accept_after_s``: how long the stand-in for the dispatch core leaves an alarm to whoever
    is at the page. An alarm that is accepted there, or closed, it only follows.

    Raise ChildFailed if a part ends before its time.
    """
    day = scenario.load(name)
    logs, ledgers = folder / "logs", [folder / "city.jsonl", folder / "core.jsonl"]
    http = f"127.0.0.1:{_free_port()}"
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with Registry(folder) as registry:
        token = registry.add_token(Role.DISPATCHER, "demo")
    core = Child(
        "core", "sim", "core", "--json", "--instruct", "--gateway", f"http://{http}",
        "--data", str(folder / "core"), "--ledger", str(ledgers[1]),
        "--accept-after", str(accept_after_s), logs=logs,
        env={"FIELDGATE_TOKEN": token, "FIELDGATE_WEBHOOK_SECRET": secret},
    )  # fmt: skip
    async with core:
        # While the core starts: draw the city and its map, register its devices.
        drawn = await asyncio.to_thread(city_of, day)
        units = await asyncio.to_thread(_register, day, drawn, folder)
        await asyncio.to_thread(_lay_map, day, folder / "map")
        webhook = (await core.ready())["webhook"]
        settings = folder / "gateway.toml"
        settings.write_text(
            f'[[webhooks]]\nname = "core"\nurl = {json.dumps(webhook)}\nsecret = "{secret}"\n'
            'types = ["alarm.raised", "alarm.updated", "alarm.stage", "duty", "media"]\n'
            + "".join(map(_as_toml, drawn.grids))
        )
        settings.chmod(0o600)
        gateway = Child(
            "gateway", "up", "--json", "--config", str(settings), "--data", str(folder),
            "--mqtt", "127.0.0.1:0", "--http", http, logs=logs,
        )  # fmt: skip
        async with gateway:
            mqtt = (await gateway.ready())["mqtt"]
            city = Child(
                "city", "sim", "run", name, "--json", "--mqtt", mqtt,
                "--credentials", str(folder / "credentials.jsonl"),
                "--ledger", str(ledgers[0]), "--seconds", str(seconds or 10**9), logs=logs,
            )  # fmt: skip
            async with city:
                crews = len(leaders(units))
                on_start(Parts(gateway, city, core, f"http://{http}", token, len(units), crews))
                await _until_played([gateway, core], city, stop)
            await _until_caught_up(ledgers)
    return await verify(folder, ledgers)


def _register(day: scenario.Scenario, city: City, folder: Path) -> list[scenario.Unit]:
    """Register the city's devices and keep their passwords for it."""
    units = scenario.roster(day, city)
    devices = [
        Device(id=unit.device, kind=unit.kind, name=unit.name, lat=unit.lat, lon=unit.lon)
        for unit in units
    ]
    with Registry(folder) as registry:
        passwords = registry.add_many(devices)
    credentials = folder / "credentials.jsonl"
    credentials.touch(mode=0o600)
    credentials.write_bytes(
        b"".join(
            msgspec.json.encode({"user": device, "password": password}) + b"\n"
            for device, password in passwords.items()
        )
    )
    return units


def _lay_map(day: scenario.Scenario, folder: Path) -> None:
    """The base map of the scenario's city, for the gateway."""
    if day.city == "synthetic":
        of_seed(day.seed, folder)
    else:
        of_extract(Path(day.city), folder)


def _as_toml(grid: Grid) -> str:
    return f"[[grids]]\nname = {json.dumps(grid.name)}\npolygon = {json.dumps(grid.polygon)}\n"


async def _until_played(others: list[Child], city: Child, stop: asyncio.Event) -> None:
    """Return when the city is done; end it early when told; raise if another part ends."""
    stopping = asyncio.create_task(stop.wait())
    done = asyncio.create_task(city.exited.wait())
    ended = {asyncio.create_task(child.exited.wait()): child for child in others}
    try:
        await asyncio.wait([stopping, done, *ended], return_when=asyncio.FIRST_COMPLETED)
        for task, child in ended.items():
            if task.done():
                raise child.failure()
        if not done.done():
            city.stop_soon()
            await done
        if city.newest.get("phase") != "done":
            raise city.failure()
    finally:
        for task in (stopping, done, *ended):
            task.cancel()


async def _until_caught_up(ledgers: list[Path]) -> None:
    """The last alarms may still be on their way to the core: wait a little for them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP_S):
            # Another process writes these files: there is no event to wait for.
            while ledger.verdict((line for path in ledgers for line in ledger.read(path)), ()).lost:
                await asyncio.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
