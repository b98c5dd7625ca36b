"""Pages that show the map in Chromium, ours and the usual one, and how busy each is."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from fieldgate.bench.parts import PartFailed
from fieldgate.bench.usage import cpu_s

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
]
WIDTH_PX, HEIGHT_PX = 1280, 800
CENTRE = "{ center: [117.65, 24.5095], zoom: 14.05 }"
WARM_MS = 3000.0

_HOST = """
  document.body.replaceChildren();
  const host = document.createElement("div");
  host.style.cssText = "position:fixed;inset:0";
  document.body.append(host);
  globalThis.updates = 0;
  globalThis.bytes = 0;
"""
OURS = f"""async (count) => {{
  {_HOST}
  const {{ createMap }} = await import("/map/map.js");
  const map = (globalThis.map = await createMap(host, null));
  map.map.jumpTo({CENTRE});
  map.setAlarms(Array.from({{ length: 20 }}, (_, n) => (
    {{ id: String(n), lat: 24.5 + n / 1000, lon: 117.65, kind: "panic", stage: "stored" }})));
  map.on("update", () => {{
    updates += 1;
    bytes = map._link.bytes;
  }});
}}"""
USUAL = f"""async () => {{
  {_HOST}
  const {{ createMap }} = await import("/map/map.js"); // for MapLibre and the same base map
  const {{ map, ...all }} = await createMap(host, null);
  all._link.close();
  map.removeLayer("marks");
  map.jumpTo({CENTRE});
  const data = {{ type: "FeatureCollection", features: [] }};
  map.addSource("units", {{ type: "geojson", data }});
  const colour = ["match", ["get", "duty"], "vehicle_patrol", "#0072b2", "#888888"];
  const paint = {{ "circle-radius": 5, "circle-color": colour }};
  map.addLayer({{ id: "units", type: "circle", source: "units", paint }});
  new EventSource("/usual").onmessage = ({{ data }}) => {{
    map.getSource("units").setData(JSON.parse(data));
    updates += 1;
    bytes += data.length;
  }};
}}"""


class Seen(NamedTuple):
    """What one page took over a time: shares of a core and of its main thread, bytes an update."""

    main_thread: float
    script: float
    server: float
    bytes_an_update: float
    updates: int
    seconds: float


class Chromium:
    """A browser. ``with`` starts it and ends it."""

    def __enter__(self) -> Self:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise PartFailed("chromium is not installed")
        self._playwright = sync_playwright().start()
        try:
            self._browser: Browser = self._playwright.chromium.launch(
                executable_path=program, args=ARGUMENTS
            )
        except BaseException:
            self._playwright.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    def watch(
        self, url: str, script: str, count: int, server: psutil.Process, seconds: float
    ) -> Seen:
        """A page of its own for so long, after it has warmed up."""
        view = {"width": WIDTH_PX, "height": HEIGHT_PX}
        context = self._browser.new_context(viewport=view)  # type: ignore[arg-type]
        try:
            page = context.new_page()
            failures = list[str]()
            page.on("pageerror", lambda error: failures.append(str(error)))
            page.goto(url)
            page.evaluate(script, count)
            page.wait_for_function("() => updates >= 2", timeout=120_000)
            page.wait_for_timeout(WARM_MS)
            seen = _measured(page, context.new_cdp_session(page), server, seconds)
            if failures:
                raise PartFailed(f"the page has failed: {failures[0]}")
            return seen
        finally:
            context.close()


def _measured(page: Page, session: CDPSession, server: psutil.Process, seconds: float) -> Seen:
    session.send("Performance.enable")
    before, cpu, begun = _metrics(session), cpu_s([server]), time.monotonic()
    counted = page.evaluate("() => [updates, bytes]")
    page.wait_for_timeout(1000 * seconds)
    after, used = _metrics(session), cpu_s([server]) - cpu
    updates, size = page.evaluate("() => [updates, bytes]")
    took = time.monotonic() - begun
    told = {name: after[name] - before[name] for name in ("TaskDuration", "ScriptDuration")}
    count = updates - counted[0]
    return Seen(
        told["TaskDuration"] / took,
        told["ScriptDuration"] / took,
        used / took,
        (size - counted[1]) / max(1, count),
        count,
        took,
    )


def _metrics(session: CDPSession) -> dict[str, Any]:
    found = session.send("Performance.getMetrics")["metrics"]
    return {each["name"]: each["value"] for each in found}
