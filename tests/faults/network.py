"""A bad network: a town, fields around it, and cables between them that lose, throttle and break.

The town is the network namespace that the trial has for itself, a field is one that a
child process holds, a cable is a pair of veth interfaces. The machine's own interfaces
are never touched, and nothing is left behind, however the trial ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from typing import Self

from tests.faults.experiment import Skipped, Trial

TOWN = "10.77.0.1"
"""Where the town is reached from everywhere."""

# Lost where they arrive: of what is dropped on its way out TCP would hear.
_RULES = """
add table inet fault
add chain inet fault arrives {{ type filter hook input priority 0; }}
flush chain inet fault arrives
{rules}
"""


class NetworkFailed(Exception):
    """A command that makes or breaks the network has failed: which, and what it said."""


class Place:
    """A network namespace, by a process in it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._rules: dict[str, Sequence[str]] = {}

    @property
    def inside(self) -> list[str]:
        """What to write before a command that is to run there."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", "--"]

    def run(self, *command: str, text: str = "") -> str:
        """What a command prints there; raise Skipped where the kernel cannot do it."""
        done = subprocess.run(
            [*self.inside, *command], input=text, capture_output=True, text=True, check=False
        )
        if done.returncode:
            why = " / ".join(done.stderr.split("\n")).strip(" /")
            raise NetworkFailed(f"{' '.join(command)}: {why or done.returncode}")
        return done.stdout

    def rules(self, about: str, *rules: str) -> None:
        """What becomes of packets that arrive: these, in place of the earlier ones ``about``."""
        self._rules[about] = rules
        added = "\n".join(
            f"add rule inet fault arrives {rule}"
            for group in self._rules.values()
            for rule in group
        )
        self.run("nft", "-f", "-", text=_RULES.format(rules=added))

    def ports(self, pid: int, *, to: int) -> set[int]:
        """The TCP ports from which a process there is connected to that one."""
        lines = self.run("ss", "-Htnp", "state", "established", "dport", "=", f":{to}")
        return {
            int(line.split()[2].rpartition(":")[2])
            for line in lines.splitlines()
            if f"pid={pid}," in line
        }

    def reset(self, port: int) -> int:
        """Reset every TCP connection there to that port, both ends of it; how many."""
        lines = self.run("ss", "-HKtn", "state", "established", "dport", "=", f":{port}")
        return len(lines.splitlines())

    def forget(self, ports: Iterable[int]) -> None:
        """Lose all that arrives here for or from these TCP ports, without a word."""
        chosen = ", ".join(map(str, ports))
        ways = [f"tcp {way} {{ {chosen} }} drop" for way in ("sport", "dport")]
        self.rules("forget", *(ways if chosen else []))


class Field:
    """A place at the end of a cable. What is done to the cable is done to both directions."""

    def __init__(self, town: Place, number: int) -> None:
        # It lives until its input ends: at the latest when the trial's process does.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.write(b".")
        self._holder.stdin.flush()
        self._holder.stdout.read(1)  # it is in its namespace
        self.place = Place(self._holder.pid)
        self.address = f"10.77.{number}.2"
        self._ends = ((town, f"town{number}"), (self.place, f"field{number}"))
        town.run(
            "ip", "link", "add", f"town{number}", "type", "veth",
            "peer", "name", f"field{number}", "netns", str(self._holder.pid),
        )  # fmt: skip
        for (place, interface), last in zip(self._ends, (1, 2), strict=True):
            place.run("ip", "address", "add", f"10.77.{number}.{last}/24", "dev", interface)
            # One packet is one on the wire: a burst handed over whole would be lost whole.
            place.run("ip", "link", "set", interface, "gso_max_segs", "1", "up")
        self.place.run("ip", "link", "set", "lo", "up")
        self.place.run("ip", "route", "add", "default", "via", f"10.77.{number}.1")

    def close(self) -> None:
        """Let go: the namespace ends with the last process in it, and the cable with that."""
        with contextlib.suppress(BrokenPipeError):
            self._holder.communicate()

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred packets, each by itself; 100 cuts the cable."""
        for place, interface in self._ends:
            dice = f"numgen random mod 100 < {percent}" if percent < 100 else ""
            place.rules(interface, *([f"iifname {interface} {dice} drop"] if percent else []))

    def throttle(self, bits_per_s: int, *, queue_bytes: int) -> None:
        """Carry no more than that; what does not fit the queue in front of it is lost."""
        for place, interface in self._ends:
            place.run(
                "tc", "qdisc", "replace", "dev", interface, "root", "tbf",
                "rate", f"{bits_per_s}bit", "burst", "1600", "limit", str(queue_bytes),
            )  # fmt: skip


class Network:
    """The town of a trial that has a network namespace for itself, and its fields."""

    def __init__(self, trial: Trial) -> None:
        trial.need("ip", "nft", "ss", "tc", "unshare", "nsenter")
        ours, campaigns = (os.readlink(f"/proc/{pid}/ns/net") for pid in ("self", os.getppid()))
        assert ours != campaigns, 'the experiment needs namespaces=("net",)'
        self.town = Place(os.getpid())
        self._parts = contextlib.ExitStack()
        self._fields = 0

    def __enter__(self) -> Self:
        try:
            self.town.run("ip", "address", "add", f"{TOWN}/32", "dev", "lo")
            probe = self.field()
            probe.lose(1)
            probe.throttle(10**6, queue_bytes=10_000)
        except NetworkFailed as error:
            self._parts.close()
            raise Skipped(f"the kernel cannot: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def field(self) -> Field:
        """A further field, on a cable of its own."""
        self._fields += 1
        field = Field(self.town, self._fields)
        self._parts.callback(field.close)
        return field
