"""Sends the nearest car to each incident, as a dispatcher does."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from simulators.incidents import Incident

MAX_AT_ONCE = 4
LOOKED_AT = 20  # of the nearest units, for one that is free
RESERVE_SHARE = 0.2
"""So many of the cars there stay: an incident does not empty a grid (梯次增援)."""

CHECKLISTS = {
    "panic": "robbery",
    "duress": "robbery",
    "hold_up": "robbery",
    "fire": "fire",
    "medical": "medical",
    "man_down": "medical",
    "tamper": "theft",
}
"""The kind of incident that an alarm is taken for, which is also its checklist."""

log = structlog.get_logger()


class Instructions:
    """An incident whose instruction fails gets none: the alarm itself waits for nothing here."""

    def __init__(self, http: aiohttp.ClientSession, gateway: str) -> None:
        self._http, self._gateway = http, gateway
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    async def send(self, incident: Incident) -> None:
        """Instruct the nearest car that is free. The same incident again changes nothing."""
        async with self._room:
            try:
                await self._send(incident)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("instruction_failed", incident=incident.number, why=repr(error))

    async def _send(self, incident: Incident) -> None:
        alarm = await self._get(f"/api/v1/alarms/{quote(incident.alarm, safe='')}")
        place = alarm["data"].get("pos") or {}
        lat, lon = place.get("lat"), place.get("lon")
        if lat is None or lon is None:
            log.info("instruction_without_place", incident=incident.number)
            return
        near = await self._get(f"/api/v1/nearest?lat={lat}&lon={lon}&limit={LOOKED_AT}")
        driving = [unit for unit in near["units"] if not unit["on_foot"]]
        cars = [unit for unit in driving if unit["available"]]
        if len(cars) <= RESERVE_SHARE * len(driving):
            log.info("instruction_without_car", incident=incident.number)
            return
        name = f"incident-{incident.number}"
        args = {
            "incident": incident.alarm[:64],  # as the console has it: its card shows the order
            "kind": CHECKLISTS.get(incident.kind, incident.kind),
            "lat": lat,
            "lon": lon,
            "text": f"{incident.kind}, {incident.device}",
        }
        order = {"id": name, "act": "instruct", "args": args, "to": {"unit": cars[0]["unit"]}}
        path = self._gateway + "/api/v1/commands"
        async with self._http.post(path, json={**order, "by": "dispatch-core"}) as reply:
            if not reply.ok and reply.status != 409:  # 409: another car has it
                text = await reply.text()
                log.warning("instruction_refused", status=reply.status, text=text[:200])

    async def _get(self, path: str) -> Any:
        async with self._http.get(URL(self._gateway + path, encoded=True)) as reply:
            reply.raise_for_status()
            return await reply.json()
