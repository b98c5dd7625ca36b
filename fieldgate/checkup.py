"""What this machine has, and lacks, to run the gateway: each check, what it found, what to do."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from msgspec import Struct

from edge.sources.power import clock_source
from gateway.config import HostPort

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
SETPRIV_SINCE = "util-linux 2.33"
FSYNC_ROUNDS = 20
SLOW_FSYNC_MS = 50.0
LOW_DISK_BYTES = 2 * 1024**3
FILES_WANTED = 4096
ASK_TIMEOUT_S = 3.0


class Grade(StrEnum):
    """How a check ended."""

    OK = "ok"
    OPTIONAL = "optional"  # missing, and needed only for what the check's name says
    POOR = "poor"  # `up` runs, worse than it should
    MISSING = "missing"  # `up` does not run


class Check(Struct, frozen=True, kw_only=True):
    """One check. ``advice`` is empty where nothing is to be done."""

    name: str
    grade: Grade
    found: str
    advice: str = ""


def check_all(data: Path, mqtt: HostPort, http: HostPort) -> Iterator[Check]:
    """Every check, in an order that a reader follows: programs, machine, folder, gateway."""
    yield _python()
    yield _mosquitto()
    yield _setpriv()
    yield _sqlite()
    yield from _optional()
    yield _open_files()
    yield _clock()
    yield _disk(data)
    yield _fsync(data)
    ready = _ready(data)
    yield from _ports(ready, mqtt=mqtt, http=http)
    yield _gateway(data, ready)


# Programs ------------------------------------------------------------------------------------


def _python() -> Check:
    return _judged(
        "Python", sys.version_info >= (3, 11), sys.version.split()[0], "apt-get install python3.11"
    )


def _mosquitto() -> Check:
    program = shutil.which("mosquitto", path=PATH)
    if program is None:
        return _judged("mosquitto", False, "not found", "apt-get install mosquitto")
    told = subprocess.run([program, "-h"], capture_output=True, text=True, timeout=10, check=False)
    version = re.search(r"version (\d+)\.([\d.]+)", told.stdout)
    found = f"{version.group(0)} at {program}" if version else f"no version told by {program}"
    is_new = version is not None and int(version.group(1)) >= 2
    return _judged("mosquitto", is_new, found, "version 2 is needed: apt-get install mosquitto")


def _setpriv() -> Check:
    program = shutil.which("setpriv", path=PATH)
    if program is None:
        return _judged("setpriv", False, "not found", "apt-get install util-linux")
    told = subprocess.run(
        [program, "--help"], capture_output=True, text=True, timeout=10, check=False
    )
    advice = f"--pdeathsig is needed: {SETPRIV_SINCE} or newer"
    return _judged("setpriv", "--pdeathsig" in told.stdout, program, advice)


def _sqlite() -> Check:
    safe = sqlite3.threadsafety == 3
    found = f"{sqlite3.sqlite_version}, {'serialized' if safe else 'not safe between threads'}"
    is_good = safe and sqlite3.sqlite_version_info >= (3, 38)
    return _judged("SQLite", is_good, found, "3.38 or newer, built with SQLITE_THREADSAFE=1")


def _optional() -> Iterator[Check]:
    for name, use, package in (
        ("gpsd", "devices with a receiver, tests", "gpsd"),
        ("gpsfake", "tests", "gpsd-clients"),
        ("chromium", "tests", "chromium"),
    ):
        program = shutil.which(name, path=PATH)
        yield _wanted(f"{name} ({use})", program, f"apt-get install {package}")
    for module, use, extra in (
        ("cv2", "thumbnails, cameras, full simulated devices", "pictures"),
        ("osmium", "real roads in simulations", "sim"),
    ):
        spec = importlib.util.find_spec(module)
        origin = spec.origin if spec else None
        yield _wanted(f"{module} ({use})", origin, f"pip install 'fieldgate[{extra}]'")


# Machine -------------------------------------------------------------------------------------


def _open_files() -> Check:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # `up` takes as many as it may have
    return Check(
        name="open files",
        grade=Grade.OK if most >= FILES_WANTED else Grade.POOR,
        found=f"{most}",
        advice=""
        if most >= FILES_WANTED
        else f"one for each device at the broker: ulimit -Hn {FILES_WANTED}, or LimitNOFILE=",
    )


def _clock() -> Check:
    steered = clock_source() == "ntp"
    return Check(
        name="clock",
        grade=Grade.OK if steered else Grade.POOR,
        found="synchronised" if steered else "not synchronised",
        advice="" if steered else "apt-get install chrony: receipts and offsets use this clock",
    )


def _disk(data: Path) -> Check:
    place = _existing(data)
    free = shutil.disk_usage(place).free
    return Check(
        name="free disk",
        grade=Grade.OK if free >= LOW_DISK_BYTES else Grade.POOR,
        found=f"{free / 1e9:.1f} GB at {place}",
        advice="" if free >= LOW_DISK_BYTES else "nothing is deleted by itself: see operations.md",
    )


def _fsync(data: Path) -> Check:
    """The time that each commit waits for: median of appending 4 KiB and fsync."""
    place = _existing(data)
    probe = place / f".doctor-{os.getpid()}"
    times_ms = []
    try:
        with probe.open("wb") as file:
            for _ in range(FSYNC_ROUNDS):
                file.write(bytes(4096))
                file.flush()
                started = time.perf_counter()
                os.fsync(file.fileno())
                times_ms.append((time.perf_counter() - started) * 1000)
    except OSError as error:
        return _judged("fsync", False, f"{place}: {error.strerror}", "DIR must be writable")
    finally:
        probe.unlink(missing_ok=True)
    median_ms = statistics.median(times_ms)
    is_fast = median_ms <= SLOW_FSYNC_MS
    return Check(
        name="fsync",
        grade=Grade.OK if is_fast else Grade.POOR,
        found=f"{median_ms:.2f} ms, median of {FSYNC_ROUNDS}",
        advice="" if is_fast else "every alarm waits for it: put DIR on an SSD",
    )


def _existing(data: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    place = data.absolute()
    while not place.is_dir():
        place = place.parent
    return place


# Gateway -------------------------------------------------------------------------------------


def _ready(data: Path) -> dict[str, Any] | None:
    """What ``DIR/gateway.json`` says of a gateway that runs; None if none does."""
    path = data / "gateway.json"
    try:
        ready: dict[str, Any] = json.loads(path.read_text())
        started = psutil.Process(ready["pid"]).create_time()
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None
    # A younger process has the number of one that is gone.
    return ready if started <= path.stat().st_mtime else None


def _ports(ready: dict[str, Any] | None, **wanted: HostPort) -> Iterator[Check]:
    ours = {} if ready is None else {"mqtt": ready["mqtt"], "http": ready["http"]}
    for name, (host, port) in wanted.items():
        if str(ours.get(name, "")).endswith(f":{port}"):
            yield Check(name=f"port {port} ({name})", grade=Grade.OK, found="this gateway's")
            continue
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                problem = ""
            except OSError as error:
                problem = f"{host}: {error.strerror}"
        is_needed = ready is None  # a gateway that runs has chosen another one
        yield Check(
            name=f"port {port} ({name})",
            grade=Grade.OK if not problem else Grade.MISSING if is_needed else Grade.OPTIONAL,
            found=problem or "free",
            advice=f"fieldgate up --{name} HOST:PORT takes another" if problem else "",
        )


def _gateway(data: Path, ready: dict[str, Any] | None) -> Check:
    name = f"gateway of {data}"
    if ready is None:
        return Check(
            name=name,
            grade=Grade.OPTIONAL,
            found="does not run",
            advice=f"fieldgate up --data {data}",
        )
    connection = HTTPConnection(urlsplit(ready["http"]).netloc, timeout=ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except OSError as error:
        problem = f"{ready['http']}: {error}"
    else:
        if answer.status == HTTPStatus.OK:
            return Check(name=name, grade=Grade.OK, found=f"ready at {ready['http']}")
        problem = told["detail"]
    finally:
        connection.close()
    return Check(
        name=name, grade=Grade.POOR, found=problem, advice="see its log: no alarm may be kept now"
    )


def _judged(name: str, is_good: bool, found: str, advice: str) -> Check:
    grade = Grade.OK if is_good else Grade.MISSING
    return Check(name=name, grade=grade, found=found, advice="" if is_good else advice)


def _wanted(name: str, found: str | None, advice: str) -> Check:
    if found:
        return Check(name=name, grade=Grade.OK, found=found)
    return Check(name=name, grade=Grade.OPTIONAL, found="not found", advice=advice)
