"""The demo's live screen: units by duty, alarms with stage and age, rates, latencies, gaps."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fieldgate.demo import Parts
from simulators.ledger import Latency

REFRESH_S = 0.5
SHOWN_ALARMS = 14
KEPT_LATENCIES = 1000
STYLES = {
    "stored": "bold white on red",
    "accepted": "black on yellow",
    "acknowledged": "black on green",
    "closed": "dim",
}

ENGLISH = {
    "title": "Fieldgate",
    "hint": "Ctrl-C ends the day and shows the proof",
    "map": "The one map, in a browser", "token": "sign in with",
    "units": "Units by duty",
    "alarms": "Alarms, newest first",
    "gateway": "Gateway",
    "no_duty": "no report yet",
    "kind": "kind", "device": "device", "place": "place", "stage": "stage", "age": "age",
    "presses": "presses", "flags": "flags",
    "devices_online": "devices online",
    "positions": "positions a second",
    "alarms_pressed": "alarms pressed / stored / accepted",
    "latency": "alarm to feed, ms (p50 / p99 / max)",
    "missing": "missing now",
    "duplicates": "duplicates",
    "refused": "refused",
    "waiting": "not yet receipted",
    "events": "events in the journal",
    "offline": "gateway does not answer",
    "left": "s left",
    "ending": "the day is over: waiting until everything has arrived",
}  # fmt: skip
CHINESE = {
    "title": "Fieldgate 警用物联网关",
    "hint": "按 Ctrl-C 结束并给出核对结果",
    "map": "指挥一张图（浏览器打开）", "token": "登录令牌",
    "units": "勤务状态",
    "alarms": "报警（最新在前）",
    "gateway": "网关",
    "no_duty": "尚未报告",
    "kind": "类型", "device": "设备", "place": "位置", "stage": "阶段", "age": "时长",
    "presses": "按键", "flags": "标记",
    "devices_online": "在线设备",
    "positions": "每秒位置数",
    "alarms_pressed": "报警 按下 / 入库 / 受理",
    "latency": "报警到推送 毫秒（p50 / p99 / 最大）",
    "missing": "当前缺失",
    "duplicates": "重复",
    "refused": "拒收",
    "waiting": "待回执",
    "events": "日志事件数",
    "offline": "网关无应答",
    "left": "秒后结束",
    "ending": "已结束：等待全部送达",
    "panic": "一键报警", "duress": "胁迫", "hold_up": "抢劫", "fire": "火警", "medical": "急救",
    "tamper": "防拆", "man_down": "人员倒地", "test": "测试", "unreadable": "无法识别",
    "stored": "已入库", "accepted": "已接警", "acknowledged": "已确认", "closed": "已办结",
    "on_duty": "上岗", "off_duty": "离岗", "vehicle_patrol": "车巡", "foot_patrol": "步巡",
    "parked": "停靠", "en_route": "出发", "on_scene": "到场", "clear": "处置完毕", "break": "休息",
}  # fmt: skip


def texts_of(language: str) -> dict[str, str]:
    """The screen's words in ``zh`` or ``en``; a word that is missing stands as it is."""
    return CHINESE if language == "zh" else ENGLISH


class Shown(NamedTuple):
    """An alarm on the screen. ``since``: when it was received, s since 1970."""

    kind: str
    device: str
    place: str
    stage: str
    since: float
    presses: int
    flags: str


class Screen:
    """Follows the gateway's own feed and figures, as any client could, and draws them."""

    def __init__(
        self, parts: Parts, console: Console, texts: dict[str, str], seconds: float | None
    ) -> None:
        self._parts = parts
        self._console = console
        self._texts = texts
        self._seconds = seconds
        self._alarms: OrderedDict[str, Shown] = OrderedDict()
        self._duty: dict[str, str] = {}
        self._latencies_ms: deque[int] = deque(maxlen=KEPT_LATENCIES)
        self._figures: dict[str, float] = {}
        self._positions: deque[tuple[float, int]] = deque(maxlen=8)
        self._answers = True

    async def run(self) -> None:
        """Draw until cancelled."""
        headers = {"Authorization": f"Bearer {self._parts.token}"}
        async with (
            aiohttp.ClientSession(self._parts.url, headers=headers) as session,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._follow(session), name="follow")
            tasks.create_task(self._ask(session), name="ask")
            with Live(console=self._console, screen=True, auto_refresh=False) as live:
                while True:
                    live.update(self.draw(), refresh=True)
                    await asyncio.sleep(REFRESH_S)

    async def _follow(self, session: aiohttp.ClientSession) -> None:
        """Alarms and duty reports from the live feed."""
        after = 0
        while True:
            try:
                async for cursor, event in _events(session, after):
                    self.take(event)
                    after = cursor
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(1)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        """Figures that are not events."""
        while True:
            try:
                async with session.get("/metrics") as response:
                    self._figures = _figures(await response.text())
                self._answers = True
            except (aiohttp.ClientError, TimeoutError):
                self._answers = False
            sent = int(self._parts.city.newest.get("positions_sent", 0))
            self._positions.append((time.monotonic(), sent))
            await asyncio.sleep(1)

    def take(self, event: dict[str, Any]) -> None:
        """One event of the feed."""
        data, kind = event["data"], event["type"].removeprefix("fieldgate.").removesuffix(".v1")
        if kind == "duty":
            self._duty[event["subject"]] = data["act"]
        elif kind == "alarm.raised":
            # The feed's own part of the latency: what came before it the ledger measures.
            self._latencies_ms.append(int(time.time() * 1000) - data["received"])
            pos = data.get("pos") or {}
            place = f"{pos['lat']:.4f}, {pos['lon']:.4f}" if pos.get("lat") else "–"
            self._alarms[event["id"]] = Shown(
                data["kind"], event["subject"], place, "stored", data["received"] / 1000,
                data.get("count") or 1, ", ".join(data["flags"]),
            )  # fmt: skip
            while len(self._alarms) > SHOWN_ALARMS * 4:
                self._alarms.popitem(last=False)
        elif data.get("alarm") in self._alarms:
            shown = self._alarms[data["alarm"]]
            count = data.get("count", shown.presses)
            self._alarms[data["alarm"]] = shown._replace(stage=data["stage"], presses=count)

    def draw(self) -> Group:
        """The screen as it is now."""
        top = Table.grid(expand=True, padding=(0, 1))
        top.add_column(ratio=2)
        top.add_column(ratio=3)
        top.add_row(
            Panel(self._draw_units(), title=self._word("units")),
            Panel(self._draw_gateway(), title=self._word("gateway")),
        )
        heading = Text.assemble((f" {self._word('title')} ", "bold white on blue"))
        is_ending = self._parts.city.newest.get("phase", "running") != "running"
        heading.append(f"  {self._word('ending' if is_ending else 'hint')}", style="dim")
        elapsed = self._parts.city.newest.get("elapsed_s")
        if self._seconds is not None and elapsed is not None:
            left = max(0, round(self._seconds - elapsed))
            heading.append(f"  {left} {self._word('left')}", style="dim")
        page = Text(f" {self._word('map')}  ", style="dim", no_wrap=True, overflow="fold")
        page.append(f"{self._parts.url}/", style="bold")
        page.append(f"  {self._word('token')}  ", style="dim")
        page.append(self._parts.token, style="bold")
        return Group(heading, page, top, Panel(self._draw_alarms(), title=self._word("alarms")))

    def _draw_units(self) -> Table:
        rows = Table.grid(expand=True)
        rows.add_column()
        rows.add_column(justify="right")
        for act, count in Counter(self._duty.values()).most_common():
            rows.add_row(self._word(act), str(count))
        if silent := self._parts.crews - len(self._duty):
            rows.add_row(self._word("no_duty"), str(silent))
        return rows

    def _draw_gateway(self) -> Table:
        city, figures = self._parts.city.newest, self._figures
        rows = Table.grid(expand=True)
        rows.add_column()
        rows.add_column(justify="right")
        if not self._answers:
            rows.add_row(Text(self._word("offline"), style="bold red"))
        online = int(figures.get('fieldgate_devices{state="online"}', 0))
        rows.add_row(self._word("devices_online"), f"{online} / {self._parts.devices}")
        rows.add_row(self._word("positions"), f"{self._rate():.0f}")
        stages = (city.get(f"alarms_{stage}", 0) for stage in ("pressed", "stored", "accepted"))
        rows.add_row(self._word("alarms_pressed"), " / ".join(map(str, stages)))
        latency = Latency.of(self._latencies_ms)
        shown = f"{latency.p50} / {latency.p99} / {latency.max}" if latency else "–"
        rows.add_row(self._word("latency"), shown)
        missing = int(figures.get('fieldgate_ledger_messages{state="missing"}', 0))
        rows.add_row(self._word("missing"), Text(str(missing), style="yellow" if missing else ""))
        rows.add_row(self._word("duplicates"), _sum(figures, "fieldgate_duplicates_total"))
        rows.add_row(self._word("refused"), _sum(figures, "fieldgate_messages_refused_total"))
        rows.add_row(self._word("waiting"), str(city.get("waiting", 0)))
        rows.add_row(self._word("events"), _sum(figures, "fieldgate_journal_cursor"))
        return rows

    def _draw_alarms(self) -> Table:
        rows = Table(expand=True, box=None)
        for name in ("kind", "device", "place", "presses", "stage", "age", "flags"):
            rows.add_column(self._word(name), no_wrap=True)
        for shown in list(reversed(self._alarms.values()))[:SHOWN_ALARMS]:
            rows.add_row(
                self._word(shown.kind),
                shown.device,
                shown.place,
                str(shown.presses),
                Text(f" {self._word(shown.stage)} ", style=STYLES.get(shown.stage, "")),
                f"{max(0.0, time.time() - shown.since):.0f} s",
                shown.flags,
            )
        return rows

    def _rate(self) -> float:
        if len(self._positions) < 2:
            return 0.0
        (since, first), (until, last) = self._positions[0], self._positions[-1]
        return (last - first) / (until - since)

    def _word(self, name: str) -> str:
        return self._texts.get(name, name.replace("_", " "))


async def _events(
    session: aiohttp.ClientSession, after: int
) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """The feed's events with their cursors, as they come."""
    query = {"types": "alarm.raised,alarm.updated,alarm.stage,duty", "after": str(after)}
    endless = aiohttp.ClientTimeout(total=None, sock_read=60)
    async with session.get("/api/v1/events/stream", params=query, timeout=endless) as response:
        async for line in response.content:
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                yield int(event["sequence"]), event


def _figures(text: str) -> dict[str, float]:
    """Prometheus' text by name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def _sum(figures: dict[str, float], name: str) -> str:
    return f"{sum(v for k, v in figures.items() if k.partition('{')[0] == name):.0f}"
