"""`fieldgate cmd`: ordered from a terminal, followed to its end, and what is wrong is named."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fieldgate.cli.cmd import line
from gateway.api.commands import Moment
from gateway.journal.base import Event, EventType
from gateway.registry import Device, Role
from protocols.model import Fix
from tests.gateway.outward import NOW_MS, Outward, outward

pytestmark = pytest.mark.slow  # whole processes, real time


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as gateway:
        (tmp_path / "gateway.json").write_text(json.dumps({"http": gateway.url}))
        (tmp_path / "admin.token").write_text(gateway.tokens[Role.ADMIN] + "\n")
        gateway.registry.add(Device(id="car-1", kind="vehicle_terminal"))
        gateway.registry.add(Device(id="car-2", kind="vehicle_terminal"))
        yield gateway


async def cmd(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Status, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fieldgate", "cmd", *arguments, "--data", str(folder),
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def says(gateway: Outward, command_id: str, seq: int, state: str) -> None:
    reply = {"boot": 1, "seq": seq, "t": NOW_MS, "cmd": command_id, "state": state}
    event = Event(
        type=EventType.COMMAND,
        id=f"car-1:1:p:{seq}",
        device="car-1",
        t=NOW_MS,
        received=NOW_MS + seq,
        data=reply,
    )
    change = await gateway.commands.take(event)
    cursors, _ = await gateway.journal.commit(change)
    gateway.commands.after_commit(change, cursors)


async def test_an_order_is_sent_listed_shown_and_called_back(
    gateway: Outward, tmp_path: Path
) -> None:
    order = ("send", "instruct", "incident=20261122", "kind=theft", "caller=13800000000")
    more = ("lat=24.5", "lon=117.6", "text=后门进入", "--device", "car-1", "--by", "Li")
    status, output, _ = await cmd(tmp_path, *order, *more, "--id", "i-1")
    assert (status, output.split()) == (0, ["i-1", "car-1", "created"])
    status, output, _ = await cmd(tmp_path, "show", "i-1", "--json")
    shown = json.loads(output)
    assert shown["args"] == {
        "incident": "20261122", "kind": "theft", "caller": "13800000000", "lat": 24.5,
        "lon": 117.6, "text": "后门进入", "checklist": shown["args"]["checklist"],
    }  # fmt: skip
    status, output, _ = await cmd(tmp_path, "show", "i-1")
    assert "instruct to car-1" in output
    assert "created     by Li" in output
    status, output, _ = await cmd(tmp_path, "list", "--device", "car-1", "--json")
    assert [c["id"] for c in json.loads(output)["commands"]] == ["i-1"]
    status, output, _ = await cmd(tmp_path, "list")
    assert "i-1" in output
    status, output, _ = await cmd(tmp_path, "cancel", "i-1", "--by", "Wang")
    assert (status, output) == (0, "i-1 is cancelled\n")


async def test_an_order_to_a_unit_is_called_back_as_one(gateway: Outward, tmp_path: Path) -> None:
    to = ("--unit", "car-1", "--id", "g-1")
    status, output, _ = await cmd(tmp_path, "send", "identify", *to)
    assert (status, output.split()) == (0, ["g-1:car-1", "car-1", "created"])
    assert await cmd(tmp_path, "cancel", "--group", "g-1") == (0, "g-1:car-1 is cancelled\n", "")
    status, _, error = await cmd(tmp_path, "cancel")
    assert (status, error) == (1, "fieldgate: give one of ID, --group\n")


async def test_an_order_is_followed_to_its_end(gateway: Outward, tmp_path: Path) -> None:
    async def answers() -> None:
        async with gateway.commands.watch("l-1") as news:
            record = await news.get()
            for seq, state in enumerate(("delivered", "accepted", "done"), 1):
                await says(gateway, record.id, seq, state)

    answering = asyncio.create_task(answers())
    order = ("send", "locate", "seconds=5", "--device", "car-1", "--id", "l-1", "--wait")
    status, output, _ = await cmd(tmp_path, *order)
    await answering
    assert status == 0
    assert [word for word in output.split() if word in {"created", "delivered", "done"}] == [
        "created", "delivered", "done",
    ]  # fmt: skip
    status, output, _ = await cmd(tmp_path, *order, "--json")
    assert (status, json.loads(output)["state"]) == (0, "done")


async def test_a_place_is_an_order_to_each_unit_there(gateway: Outward, tmp_path: Path) -> None:
    fix = Fix(boot=1, seq=1, t=NOW_MS, lat=24.5, lon=117.6, fix=3)
    gateway.twins.of("car-1").take_fix(fix, NOW_MS)
    status, output, errors = await cmd(
        tmp_path, "send", "text", "text=110", "--near", "24.5,117.6,300"
    )
    assert (status, output.split()[1:]) == (0, ["car-1", "created"])
    assert "left out: car-2, position unknown" in errors
    status, _, errors = await cmd(tmp_path, "send", "text", "text=1", "--grid", "North", "--json")
    assert status == 0
    status, _, errors = await cmd(tmp_path, "send", "text", "text=1", "--near", "0,0,5")
    assert (status, "nobody was addressed" in errors) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("send", "dance", "--device", "car-1"), "act: must be one of snapshot"),
        (("send", "live", "fps=9", "--device", "car-1"), "args.fps"),
        (("send", "live", "fps", "--device", "car-1"), "expected KEY=VALUE, got 'fps'"),
        (("send", "text", "text=a"), "give one of --device"),
        (("send", "text", "text=a", "--device", "car-9"), "car-9 is not registered"),
        (("send", "text", "text=a", "--near", "24.5,117.6"), "LAT,LON,METRES"),
        (("send", "text", "text=a", "--grid", "South"), "to.grid"),
        (("send", "text", "text=a", "--device", "car-1", "--expires-s", "0"), "expires_s"),
        (("show", "nothing"), "there is no command nothing"),
        (("cancel", "a/b"), "there is no command a/b"),
        (("list", "--state", "lost"), "'lost' is none of"),
    ],
)
async def test_what_is_wrong_is_said(
    gateway: Outward, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    status, output, errors = await cmd(tmp_path, *arguments)
    assert (status, output) == (1, "")
    assert problem in errors


def test_an_entry_says_when_how_long_after_the_order_and_why() -> None:
    moment = Moment(t=NOW_MS + 1500, state="step", step=2, detail="ok")
    text = line(NOW_MS, moment).plain
    assert text[24:].split() == ["+1.500", "s", "step", "step", "2", "ok"]
