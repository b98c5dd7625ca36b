"""Reports over HTTP: how soon units came."""

from __future__ import annotations

import time

from aiohttp import web

from gateway.api import params
from gateway.api.parts import Reports
from gateway.api.problems import Problem
from gateway.api.routes import Route, large_json_answer
from gateway.reports.figures import Report

DAY_MS = 24 * 3600 * 1000

_NOT_GIVEN = -1  # 0 is a time
_FROM = params.moment(
    "from", "Incidents ordered at or after this; a day before `to`.", default=_NOT_GIVEN
)
_TO = params.moment("to", "Incidents ordered before this; now if not given.", default=_NOT_GIVEN)
_GRID = params.text("grid", "Incidents in this grid alone; an empty text: in none.")


class ReportRoutes:
    """Reading reports."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/reports/arrivals",
                handler=self.arrivals,
                name="report_arrivals",
                summary="How soon units came: mean, median, within 5 and 10 minutes, by grid and"
                " by shift, with every step of every unit and what shows it.",
                params=(_FROM, _TO, _GRID),
                answer=Report,
            ),
        ]

    async def arrivals(self, request: web.Request) -> web.Response:
        """The report on arrivals."""
        until, since = _TO.read(request), _FROM.read(request)
        if until == _NOT_GIVEN:
            until = time.time_ns() // 1_000_000
        if since == _NOT_GIVEN:
            since = until - DAY_MS
        if not 0 <= since < until <= params.LATEST_MS // 2:
            raise Problem(400, "from must lie before to", since=since, until=until)
        grid = _GRID.read(request)
        return await large_json_answer(await self._reports.arrivals(since, until, grid))
