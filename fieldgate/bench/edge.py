"""What does the agent cost the device that it runs on?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.parts import Gateway, PartFailed, Process, free_port, wait_listening
from fieldgate.bench.scale import Scale
from fieldgate.bench.usage import exact_cpu_s, resident_bytes

SECONDS, WARM_S = 60.0, 5.0
SENTENCES = 5
"""NMEA sentences a second: gpsfake is told how long to wait after each."""

BEGUN = 5
"""Messages after which it is at work: the first may come before gpsd knows a place."""

CPU_GOAL_PCT, MEMORY_GOAL_MB = 2.0, 40.0
AGAINST = "gpspipe -w > /dev/null at the same gpsd, over the same time"
DEVICE = "car"

Say = Callable[[str], None]


def edge(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """CPU and memory of `fieldgate edge` while a real gpsd plays a drive at 1 Hz."""
    seconds = 5.0 if scale.quick else SECONDS
    with ExitStack() as parts:
        gateway = Gateway(folder)
        (account,) = gateway.register([DEVICE])
        parts.enter_context(gateway)
        # The path of a socket is short: that of the folder may not be.
        sockets = parts.enter_context(TemporaryDirectory(prefix="fieldgate-"))
        port = parts.enter_context(_gpsd(folder, sockets))
        config = _config(folder, gateway, account.password, port)
        agent = parts.enter_context(_agent(folder, config))
        pipe = parts.enter_context(
            Process(["gpspipe", "-w", f"127.0.0.1:{port}"], folder / "gpspipe.log")
        )
        _reported(gateway, BEGUN, 30)
        time.sleep(0 if scale.quick else WARM_S)
        held = _held(gateway)
        both = agent.process, pipe.process
        begun, before = time.monotonic(), [exact_cpu_s(each) for each in both]
        most = [0, 0]
        while time.monotonic() - begun < seconds:
            most = [max(a, resident_bytes(each)) for a, each in zip(most, both, strict=True)]
            time.sleep(1)
        took = time.monotonic() - begun
        used = [exact_cpu_s(each) - a for a, each in zip(before, both, strict=True)]
        pss = _proportional_bytes(agent.process)
        positions = _held(gateway) - held
    if positions < 0.8 * seconds:
        raise PartFailed(f"{positions} positions have come in {took:.0f} s: it is not at work")
    shares = [100 * each / took for each in used]
    say(f"  {shares[0]:.2f} % of a core, {most[0] / 1e6:.1f} MB, {positions} messages")
    how = f"of the agent at 1 Hz for {seconds:.0f} s"
    rows = [
        figure_of(
            "edge", f"CPU {how}", [shares[0]], "% of a core", reference=[shares[1]],
            against=AGAINST, goal=f"under {CPU_GOAL_PCT:g} %", at_most=CPU_GOAL_PCT,
            notes=[f"{positions} messages were journalled meanwhile"],
        ),
        figure_of(
            "edge", f"resident memory {how}, at most", [most[0] / 1e6], "MB",
            reference=[most[1] / 1e6], against=AGAINST, goal=f"under {MEMORY_GOAL_MB:g} MB",
            at_most=MEMORY_GOAL_MB,
            notes=[f"its share of pages in common counted (PSS): {pss / 1e6:.1f} MB"],
        ),
    ]  # fmt: skip
    return scale.judged(rows)


def _config(folder: Path, gateway: Gateway, password: str, gpsd: int) -> Path:
    path = folder / "agent.toml"
    path.touch(mode=0o600)
    path.write_text(
        f'device = "{DEVICE}"\nkind = "vehicle_terminal"\n'
        f'broker = {{ host = "127.0.0.1", port = {gateway.port}, password = "{password}" }}\n'
        f'spool = {{ folder = "{folder}/spool" }}\n'
        f"gps = {{ port = {gpsd} }}\n"
        "report = { interval_s = 0.0 }\n"  # every fix
    )
    return path


def _agent(folder: Path, config: Path) -> Process:
    command = [sys.executable, "-m", "fieldgate", "edge", "--config", str(config)]
    return Process(command, folder / "agent.log")


@contextmanager
def _gpsd(folder: Path, sockets: str) -> Iterator[int]:
    """A real gpsd whose receiver is gpsfake with a log of ours, their sockets apart; its port.

    gpsfake ignores SIGTERM while it plays: it and its gpsd are a process group, and killed.
    """
    log, port = folder / "drive.nmea", free_port()
    log.write_text("".join(_drive()))
    command = ["gpsfake", "-q", "-n", "-c", str(1 / SENTENCES), "-P", str(port), str(log)]
    paths = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where Debian keeps gpsd
    with (folder / "gpsfake.log").open("ab") as output:
        try:
            player = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "TMPDIR": sockets, "PATH": paths},
            )
        except FileNotFoundError:
            raise PartFailed(
                "gpsfake is not installed: apt-get install gpsd gpsd-clients"
            ) from None
    try:
        wait_listening(port, player)
        yield port
    finally:
        os.killpg(player.pid, signal.SIGKILL)
        player.wait()


def _drive() -> Iterator[str]:
    """Ten minutes north through the city, a second at a time, as a receiver says it."""
    seen = ["03,41,050,46,07,60,317,49,08,34,315,45,11,35,148,45", "13,38,213,45,16,27,068,43"]
    for second in range(600):
        clock = f"08{second // 60:02}{second % 60:02}.00"
        place = f"24{30 + second * 0.009:07.4f},N,117{39 + second * 0.001:07.4f},E"
        yield _sentence(f"GPRMC,{clock},A,{place},31.5,005.7,011126,,,A")
        yield _sentence(f"GPGGA,{clock},{place},1,06,1.2,{18 + second % 9:.1f},M,-4.0,M,,")
        yield _sentence("GPGSA,A,3,03,07,08,11,13,16,,,,,,,2.0,1.2,1.6")
        for n, some in enumerate(seen, 1):
            yield _sentence(f"GPGSV,2,{n},06,{some}")


def _sentence(body: str) -> str:
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n"


def _held(gateway: Gateway) -> int:
    held: int = gateway.api.json("/api/v1/ledger")["totals"]["held"]
    return held


def _reported(gateway: Gateway, count: int, timeout_s: float) -> None:
    """Return when the gateway holds so many messages."""
    deadline = time.monotonic() + timeout_s
    while _held(gateway) < count:
        if time.monotonic() > deadline:
            raise PartFailed("the agent reports nothing")
        time.sleep(0.2)  # the ledger tells nobody outside


def _proportional_bytes(process: psutil.Process) -> int:
    size: int = process.memory_full_info().pss
    return size
