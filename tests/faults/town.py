"""Gateway, dispatch core and devices around an experiment, and the verdict at its end."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fieldgate.verification import Proof
from gateway.registry import Device, Registry, Role
from simulators import ledger
from simulators.ledger import Dispatched, Latency, Line, Receipted
from tests.faults.agent import Agent
from tests.faults.experiment import Trial
from tests.faults.field import Plan
from tests.faults.parts import Core, FieldPart, Gateway, Part, steady_port, until

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
FED = ["alarm.raised", "alarm.updated", "alarm.stage", "duty"]


class Wait(NamedTuple):
    """A press: when, whether its device had its link, and how long until it came as far as is
    asked, if it has."""

    id: str
    pressed_ms: int
    online: bool
    waited_ms: int | None


class Town:
    """`async with` starts the gateway, the core and the field, and ends them.

    ``data``: the gateway's folder, when it is not to be in the trial's. ``settings``:
    further lines of TOML above the webhook's table. ``gateway`` and ``core``: further
    keys of their ``Part`` (``wrap``, ``env``). ``core_options``: of ``fieldgate sim core``.
    """

    def __init__(
        self,
        trial: Trial,
        *,
        boxes: int = 6,
        cars: int = 6,
        alarms_per_s: float = 4,
        positions_per_s: float = 20,
        backoff_max_s: float = 1.0,
        connect_within_s: float = 1.0,
        data: Path | None = None,
        settings: str = "",
        host: str = "127.0.0.1",
        gateway: Mapping[str, Any] | None = None,
        core: Mapping[str, Any] | None = None,
        core_options: Sequence[str] = (),
        core_host: str | None = None,
        device_host: str | None = None,
        device_port: int | None = None,
    ) -> None:
        self.trial = trial
        self._is_healed = False
        folder = trial.folder
        self.further_ledgers: list[Path] = []  # of devices that are not in the field
        self.logs, self.data = folder / "logs", data or folder / "data"
        self.devices = {f"box-{n}": "alarm_box" for n in range(1, boxes + 1)}
        self.devices |= {f"car-{n}": "vehicle_terminal" for n in range(1, cars + 1)}
        core_host = core_host or host
        core_listen = f"{core_host}:{steady_port(host)}"
        toml = folder / "gateway.toml"
        toml.write_text(
            f'{settings}\n[[webhooks]]\nurl = "http://{core_listen}/events"\n'
            f'secret = "{SECRET}"\ntypes = {json.dumps(FED)}\n'
        )
        self.data.mkdir(parents=True, exist_ok=True)
        with Registry(self.data) as registry:
            token = registry.add_token(Role.ADMIN, "campaign")
            passwords = registry.add_many(
                Device(id=device, kind=kind, lat=24.5, lon=117.65)
                for device, kind in self.devices.items()
            )
        self.passwords = passwords
        self.gateway = Gateway(
            self.data,
            mqtt_port=steady_port(host),
            http_port=steady_port(host),
            host=host,
            logs=self.logs,
            settings=toml,
            token=token,
            **(gateway or {}),
        )
        core_keys = dict(core or {})
        core_keys["env"] = {
            "FIELDGATE_TOKEN": token,
            "FIELDGATE_WEBHOOK_SECRET": SECRET,
            **core_keys.get("env", {}),
        }
        self.core = Core(
            *core_options,
            gateway_url=self.gateway.url,
            listen=core_listen,
            folder=folder / "core",
            ledger=folder / "core.jsonl",
            logs=self.logs,
            **core_keys,
        )
        plan = Plan(
            host=device_host or host,
            port=device_port or self.gateway.mqtt_port,
            ledger=str(folder / "field.jsonl"),
            seed=f"{trial.seed}:{trial.name}",
            passwords=dict(passwords),
            kinds=self.devices,
            alarms_per_s=alarms_per_s,
            positions_per_s=positions_per_s,
            backoff_max_s=backoff_max_s,
            connect_within_s=connect_within_s,
        )
        self.field = FieldPart(plan, folder=folder, logs=self.logs)

    async def __aenter__(self) -> Town:
        try:
            await asyncio.gather(self.core.start(), self.gateway.start())
            await self.field.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        parts: list[Part] = [self.field, self.gateway, self.core]
        await asyncio.gather(*(part.stop() for part in parts))

    @property
    def ledgers(self) -> list[Path]:
        """What was written down, by process."""
        paths = [self.field.ledger, self.core.ledger, *self.further_ledgers]
        return [path for path in paths if path.exists()]

    def lines(self) -> Iterator[Line]:
        """All lines of the ledgers so far."""
        for path in self.ledgers:
            yield from ledger.read(path)

    def undispatched(self) -> frozenset[str]:
        """What was pressed and has not reached the dispatch core yet."""
        return ledger.verdict(self.lines(), ()).lost

    async def duplicates(self) -> int:
        """How many messages the gateway has seen again and thrown away."""
        devices = (await self.gateway.get("/api/v1/ledger"))["devices"]
        return sum(device["duplicates"] for device in devices)

    def waits(self, to: type[Dispatched | Receipted] = Dispatched) -> list[Wait]:
        """Each press so far, and how long it took to the dispatch core, or to its receipt."""
        pressed: dict[str, ledger.Pressed] = {}
        reached: dict[str, int] = {}
        for line in self.lines():
            if isinstance(line, ledger.Pressed):
                pressed[line.id] = line
            elif isinstance(line, to):
                reached[line.id] = min(line.at, reached.get(line.id, line.at))
        return [
            Wait(id_, press.at, press.online, reached[id_] - press.at if id_ in reached else None)
            for id_, press in pressed.items()
        ]

    async def heal(self, *, within_s: float = 60.0) -> None:
        """Nothing new; wait until all is receipted and dispatched; note whether it was in time."""
        self.field.pace(alarms_per_s=0, positions_per_s=0)
        loop = asyncio.get_running_loop()
        began_s = loop.time()

        async def dispatched() -> bool:
            return not self.undispatched()

        async def drained() -> bool:
            state = self.field.state
            return state.waiting == 0 and state.positions_waiting == 0 and await dispatched()

        in_time = bool(await until(drained, within_s, every_s=0.2))
        state, rest = self.field.state, len(self.undispatched())
        figure = f"{loop.time() - began_s:.1f} s"
        if not in_time:
            figure += (
                f"; {state.waiting} alarms and {state.positions_waiting} positions without a"
                f" receipt, {rest} not dispatched"
            )
        self._is_healed = True
        self.trial.liveness(f"healed within {within_s:g} s", in_time, figure)

    async def add_device(self, device: str, kind: str) -> str:
        """Register a device that is not the field's, while the gateway runs; its password."""
        return str(await self._said("password", "device", "add", device, "--kind", kind))

    async def agent(
        self,
        device: str,
        *,
        port: int | None = None,
        spool: Path | None = None,
        wrap: Sequence[str] = (),
    ) -> Agent:
        """The agent of a new device, to be entered; whoever has it presses and judges.

        ``port``: of a relay before the broker. ``spool``: its folder, if not in the trial's.
        """
        folder = self.trial.folder
        return Agent(
            device,
            await self.add_device(device, "vehicle_terminal"),
            host=self.gateway.host,
            port=port or self.gateway.mqtt_port,
            spool=spool or folder / "spool",
            folder=folder,
            logs=self.logs,
            wrap=wrap,
        )

    async def judge(
        self,
        *,
        within_s: float = 60.0,
        positions: bool = True,
        besides: Collection[str] = (),
    ) -> Proof:
        """Heal if that was not done, end the field, and judge by sets, into the trial.

        ``positions``: whether all of them must have arrived as well. ``besides``: ids of
        alarms that others than the field pressed; those are judged by whoever pressed.
        """
        if not self._is_healed:
            await self.heal(within_s=within_s)
        await self.field.end()
        raised = await self.gateway.events("alarm.raised")
        proof = await self.proof()
        trial = self.trial
        verdict = ledger.verdict(self.lines(), (event["id"] for event in raised))
        wrong: dict[str, frozenset[str]] = {
            "lost": verdict.lost,
            "false_ack": verdict.false_ack | set(proof.findings.get("false_ack", ())),
            "twice": verdict.twice | raised_twice(raised),
            "phantom": verdict.phantom - set(besides),
        }
        for name, ids in wrong.items():
            which = f" ({', '.join(sorted(ids)[:3])})" if ids else ""
            trial.safety(name, not ids, f"{len(ids)}{which}")
        trial.figure(f"{len(verdict.pressed)} pressed, {len(verdict.dispatched)} dispatched")
        if positions:
            trial.safety("positions missing", not proof.positions_missing, proof.positions_missing)
        trial.figure(f"{proof.positions_stored} of {proof.positions_sent} positions kept")
        if proof.alarm_ms is not None:
            trial.figure(f"press to dispatch {milliseconds(proof.alarm_ms)}")
        return proof

    async def proof(self) -> Proof:
        """What `fieldgate verify` says of the journal and the ledgers; it reads all of both."""
        ledgers = [word for path in self.ledgers for word in ("--ledger", str(path))]
        return msgspec.convert(await self._said(None, "verify", *ledgers), Proof)

    async def _said(self, key: str | None, *arguments: str) -> Any:
        """What a `fieldgate … --data DIR --json` command says, or the value of one key of it."""
        words = ["-m", "fieldgate", *arguments, "--data", str(self.data), "--json"]
        async with Part(arguments[0], words, logs=self.logs) as command:
            await command.ended(120)
        if not command.newest:
            raise command.failure(f"ended with status {command.status}")
        return command.newest if key is None else command.newest[key]


def raised_twice(raised: Sequence[Mapping[str, Any]]) -> set[str]:
    """Presses that raised more than one event.

    A press is known by what the device said of it, not by the id that the gateway gave
    the event. A dispatch core may get one event twice, which has one cursor then.
    """
    presses = {
        (event["sequence"], f"{event['subject']}:{event['data']['boot']}:p:{event['data']['seq']}")
        for event in raised
        if event["data"].get("seq")
    }
    counts = Counter(press for _, press in presses)
    return {press for press, count in counts.items() if count > 1}


def judge_latency(trial: Trial, waits: Sequence[Wait], *, limit_s: float, of: str) -> None:
    """Whether the 99th percentile of these presses is within the limit, and all have come."""
    latency = Latency.of(wait.waited_ms for wait in waits if wait.waited_ms is not None)
    missing = sum(wait.waited_ms is None for wait in waits)
    trial.liveness(
        f"{of}: alarm p99 within {limit_s:g} s",
        latency is not None and not missing and latency.p99 <= 1000 * limit_s,
        f"{milliseconds(latency) if latency else 'none came'}, {len(waits)} pressed",
    )


def milliseconds(latency: Latency) -> str:
    """Percentiles as they stand in the table."""
    return f"p50 {latency.p50} ms, p99 {latency.p99} ms, max {latency.max} ms"
