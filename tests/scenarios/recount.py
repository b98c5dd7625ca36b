"""Arrivals counted again by docs/duty.md alone, from what `GET /api/v1/events` gives."""

from __future__ import annotations

from collections import defaultdict
from math import asin, cos, radians, sin, sqrt
from typing import Any

DAY_MS, LOOKED_FOR_MS = 86_400_000, 10_800_000
BEGUN = {"accepted", "step", "done"}


def is_vain(states: set[str]) -> bool:
    if "refused" in states and not states & BEGUN:
        return True
    ends = {"failed", "expired", "cancelled"}
    return bool(states & ends) and not states & {"delivered", "shown", *BEGUN}


def at(data: dict[str, Any]) -> int:
    offset = data["clock_offset_ms"] or 0
    t = data["t"] + (offset if abs(offset) > 2000 else 0)
    return int(data["received"] if data["t"] <= 0 or t <= 0 else min(t, data["received"]))


def metres(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    a, b = radians(lat), radians(to_lat)
    h = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(to_lon - lon) / 2) ** 2
    return 2 * 6_371_008.8 * asin(sqrt(h))


def recount(  # noqa: PLR0912 - the rules, one after the other
    events: list[dict[str, Any]],
) -> dict[str, int]:
    """Milliseconds from the first order to the first arrival, by incident."""
    of: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        of[event["type"].split(".", 1)[1].removesuffix(".v1")].append(event)

    moves = sorted(
        (e["data"]["at"], e["id"], device, unit)
        for e in of["unit.changed"]
        for device, unit in [
            *((d, e["data"]["unit"]) for d in e["data"]["devices"] if d != e["data"]["unit"]),
            *e["data"].get("released", {}).items(),
            *e["data"].get("lost", {}).items(),
        ]
    )

    def unit_of(device: str, when: int) -> str:
        return next((u for t, _, d, u in reversed(moves) if d == device and t <= when), device)

    states = defaultdict(set)
    for e in of["command"]:
        states[e["data"]["cmd"], e["subject"]].add(e["data"]["state"])
    steps: dict[str, list[Any]] = defaultdict(list)  # of each unit: orders, and keys behind them
    orders: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for e in of["command"]:
        d = e["data"]
        is_order = d["state"] == "created" and d.get("act") == "instruct"
        if is_order and not is_vain(states[d["cmd"], e["subject"]]):
            unit = unit_of(e["subject"], d["t"])
            steps[unit].append((d["t"], 0, d["cmd"], "order", d["args"]["incident"]))
            orders[unit, d["args"]["incident"]].append((d["t"], d["cmd"], d["args"]))
    for e in of["duty"]:
        key = (at(e["data"]), 1, e["id"], e["data"]["act"], e["data"].get("ref"))
        steps[unit_of(e["subject"], key[0])].append(key)

    scene: dict[tuple[str, str], int] = {}
    over: dict[tuple[str, str], int] = {}
    for unit, walk in steps.items():
        ordered = heading = (0, "")
        for when, _, _, act, about in sorted(walk):
            if act == "order":
                ordered = (when, about)
                continue
            to = ordered[1] if when - ordered[0] <= DAY_MS else ""
            there = heading[1] if when - heading[0] <= DAY_MS else ""
            heading = (0, "")
            incident = about or (there if act in ("on_scene", "clear") else "") or to
            first = min(orders.get((unit, incident), [(when,)]))[0]
            if act in ("en_route", "on_scene"):
                heading = (when, incident)
                if act == "on_scene" and incident and abs(when - first) <= DAY_MS:
                    scene.setdefault((unit, incident), when)
            for done in {"clear": {incident}, "off_duty": {to, there}}.get(act, set()):
                if when >= min(orders.get((unit, done), [(0,)]))[0]:
                    over.setdefault((unit, done), when)
            if act == "off_duty" or (act == "clear" and incident == to):
                ordered = (0, "")

    arrived = dict(scene)
    for way, sent in orders.items():
        placed = [args for _, _, args in sorted(sent, key=lambda s: s[:2]) if "lat" in args]
        first = min(sent, key=lambda s: s[:2])[0]
        last = min(first + LOOKED_FOR_MS, over.get(way, first + LOOKED_FOR_MS))
        near = [
            at(d)
            for e in of["position"] for d in [e["data"]]
            if placed and d["fix"] and d.get("src") != "cell" and d["t"] > 0
            and (d.get("acc") or 0) <= 50 and abs(d["clock_offset_ms"] or 0) <= 60_000
            and first <= at(d) <= last and unit_of(e["subject"], at(d)) == way[0]
            and metres(d["lat"], d["lon"], placed[-1]["lat"], placed[-1]["lon"]) <= 100
        ]  # fmt: skip
        if near:
            arrived[way] = min(near)
    dispatched: dict[str, int] = {}
    for (_, incident), sent in orders.items():
        dispatched[incident] = min([s[0] for s in sent] + [dispatched.get(incident, sent[0][0])])
    return {
        incident: max(0, min(t for way, t in arrived.items() if way[1] == incident) - ordered_at)
        for incident, ordered_at in dispatched.items()
        if any(way[1] == incident for way in arrived)
    }
