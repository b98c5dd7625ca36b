"""Orders that the device carries out by itself, on a whole agent without a camera."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge.agent import Agent
from edge.config import StatusSettings
from protocols.model import Command, Position
from protocols.native.topics import Down, Up
from tests import parts
from tests.edge.stand_in import StandInGateway, config
from tests.edge.test_agent import Drive

FAR_FUTURE_MS = 2**53
HERE = Position(lat=24.5, lon=117.6, fix=3, t=123, src="gnss")


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent without a network, with a receiver."""
    async with Agent(config(parts.free_port(), tmp_path), gps=Drive()) as agent:
        yield agent


def give(agent: Agent, identity: str, act: str, **args: Any) -> None:
    agent.orders.take(Command(id=identity, act=act, t=0, exp=FAR_FUTURE_MS, args=args))


def states(agent: Agent, identity: str) -> list[tuple[str, str | None]]:
    return [(m.state.value, m.detail) for m in agent.orders.find(identity).moments]


async def ended(agent: Agent, identity: str) -> list[tuple[str, str | None]]:
    async for _ in agent.news.follow():
        if not agent.orders.find(identity).is_open:
            break
    return states(agent, identity)


@pytest.mark.slow
async def test_locate_reports_each_second_though_the_device_stands(
    broker_port: int, tmp_path: Path
) -> None:
    drive = Drive()
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path), gps=drive) as agent,
    ):
        await gateway.presence(online=True)
        on_fix = await drive.on_fix
        on_fix(HERE)
        on_fix(HERE)  # it has not moved: thinned out
        gateway.command("c1", FAR_FUTURE_MS, act="locate", seconds=2)
        await gateway.replies("c1", "accepted")
        while agent.orders.find("c1").is_open:
            on_fix(HERE)  # a receiver that gives ten a second
            await asyncio.sleep(0.1)
        replies = await gateway.replies("c1", "done")
        on_fix(HERE)
        assert [reply.state for reply in replies] == ["delivered", "accepted", "done"]
        assert replies[-1].detail == "2 positions"
        await gateway.until(lambda: len(gateway.of(Up.POS)) >= 3)


@pytest.mark.slow
async def test_locate_fails_where_the_receiver_gives_nothing(agent: Agent) -> None:
    give(agent, "c1", "locate", seconds=1)
    assert (await ended(agent, "c1"))[-1] == ("failed", "the receiver gives no position")


async def test_locate_is_refused_without_a_receiver(tmp_path: Path) -> None:
    async with Agent(config(parts.free_port(), tmp_path)) as agent:
        give(agent, "c1", "locate")
        assert not agent.orders.held()
        assert "locate" not in agent.orders.acts


async def test_identify_calls_until_its_time_is_over_or_it_is_cancelled(agent: Agent) -> None:
    give(agent, "c1", "identify", seconds=600)
    give(agent, "c2", "ring_back")
    async for changed in agent.news.follow():
        if agent.status()["calls"] == ["identify", "ring_back"]:
            assert "calls" in changed
            break
    give(agent, "x1", "cancel", id="c1")
    async for _ in agent.news.follow():
        if agent.status()["calls"] == ["ring_back"]:
            break
    assert states(agent, "c1") == [
        ("delivered", None),
        ("accepted", None),
        ("failed", "cancelled"),
    ]


@pytest.mark.parametrize(("kind", "silent"), [("duress", None), ("panic", True)])
async def test_a_device_with_a_silent_alarm_makes_no_sound(
    agent: Agent, kind: Any, silent: bool | None
) -> None:
    agent.press(kind, silent=silent)
    give(agent, "c1", "identify")
    assert (await ended(agent, "c1"))[-1] == ("refused", "a silent alarm is open")


async def test_settings_are_changed_at_once_and_kept(tmp_path: Path) -> None:
    settings = config(parts.free_port(), tmp_path, status=StatusSettings(period_s=600))
    async with Agent(settings) as agent:
        give(agent, "c1", "config", status_every_s=30, report_every_s=5, version=7)
        assert (await ended(agent, "c1"))[-1] == ("done", None)
        give(agent, "c2", "config", report_turn_deg=45.0)
        await ended(agent, "c2")
    async with Agent(settings) as agent:
        assert agent.status()["cfg"] == 7
        assert agent.status()["settings"] == {
            "status_every_s": 30.0,
            "report_every_s": 5.0,
            "report_distance_m": 10.0,
            "report_turn_deg": 45.0,
        }


@pytest.mark.parametrize(
    ("args", "detail"),
    [
        ({"status_every_s": 1}, "args.status_every_s: Expected `float` >= 5.0, got 1"),
        (
            {"report_turn_deg": "x"},
            "args.report_turn_deg: Expected `float | null`, got `str`, got 'x'",
        ),
        (
            {"colour": 1, "status_every_s": 30},
            "args.colour: is none of status_every_s, report_every_s, report_distance_m, "
            "report_turn_deg, version, got 1",
        ),
    ],
)
async def test_a_setting_that_is_wrong_is_refused_and_changes_nothing(
    agent: Agent, args: dict[str, Any], detail: str
) -> None:
    before = agent.status()["settings"]
    give(agent, "c1", "config", **args)
    assert (await ended(agent, "c1"))[-1] == ("refused", detail)
    assert agent.status()["settings"] == before


@pytest.mark.slow
async def test_the_retained_configuration_is_taken_and_told_in_the_status(
    broker_port: int, tmp_path: Path
) -> None:
    settings = config(broker_port, tmp_path, status=StatusSettings(period_s=600))
    async with StandInGateway(broker_port) as gateway:
        desired = {"version": "a3", "status_every_s": 60, "report_every_s": 7, "test_every_s": 30}
        gateway.publish(Down.CONFIG, msgpack.packb(desired), retain=True)
        async with Agent(settings) as agent:
            status = await gateway.until(
                lambda: next((s for s in gateway.of(Up.STATUS) if s.cfg is not None), None)
            )
            assert status.cfg == "a3"
            gateway.command("c1", FAR_FUTURE_MS, act="config", report_every_s=9)
            await gateway.replies("c1", "done")
        async with Agent(settings) as agent:  # it is retained: it comes again, and is known
            await gateway.until(lambda: len(gateway.of(Up.PRESENCE)) >= 3)
            gateway.command("c2", FAR_FUTURE_MS, text="after it")
            await gateway.replies("c2", "delivered")
            in_force = agent.status()["settings"]
            gateway.publish(Down.CONFIG, msgpack.packb({"version": "a4", "report_every_s": -1}))
            gateway.command("c3", FAR_FUTURE_MS, text="after it")
            await gateway.replies("c3", "delivered")
            assert agent.status()["settings"] == in_force
            assert agent.status()["cfg"] == "a3"
    assert isinstance(in_force, dict)
    assert (in_force["status_every_s"], in_force["report_every_s"]) == (60.0, 9.0)
