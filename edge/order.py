"""One order: what was asked of this device, how far it has got, and which steps are ticked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from protocols.commands import NEXT, OPEN, Args, Checklist, CommandState, Configure, args_of
from protocols.errors import FieldInvalid
from protocols.model import Command


class Moment(NamedTuple):
    """A state that the order reached, when by the device's clock (ms), and what was said."""

    state: CommandState
    t: int
    detail: str | None = None


@dataclass(slots=True, kw_only=True)
class Order:
    """``args`` are those of `protocols.commands`; ``exp`` is by the gateway's clock."""

    id: str
    act: str
    args: Args | Configure
    ordered: int
    exp: int
    came: int
    moments: list[Moment] = field(default_factory=list)
    ticks: dict[int, int] = field(default_factory=dict)  # step: when
    size_bytes: int = 0  # as last written

    @classmethod
    def of(cls, command: Command, args: Args | Configure, now_ms: int) -> Order:
        """The order that a command gives."""
        return cls(
            id=command.id,
            act=command.act,
            args=args,
            ordered=command.t,
            exp=command.exp,
            came=now_ms,
        )

    @property
    def state(self) -> CommandState | None:
        """The state reached; None before its arrival was told."""
        return self.moments[-1].state if self.moments else None

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it."""
        return self.state is None or self.state in OPEN

    @property
    def checklist(self) -> Checklist | None:
        """The steps to tick, if it has any."""
        if isinstance(self.args, Checklist):
            return self.args
        return getattr(self.args, "checklist", None)

    def can_reach(self, state: CommandState) -> bool:
        """Whether that state leads further."""
        return state in NEXT[self.state or CommandState.CREATED]

    def reach(self, state: CommandState, t: int, detail: str | None = None) -> None:
        """Go there."""
        self.moments.append(Moment(state, t, detail))

    def shown(self) -> dict[str, Any]:
        """For a panel, as JSON."""
        return {
            "id": self.id,
            "act": self.act,
            "args": msgspec.to_builtins(self.args),
            "ordered": self.ordered,
            "exp": self.exp,
            "came": self.came,
            "state": self.state,
            "open": self.is_open,
            "history": [
                {key: value for key, value in moment._asdict().items() if value is not None}
                for moment in self.moments
            ],
            "ticks": [{"step": step, "t": t} for step, t in self.ticks.items()],
        }

    def to_bytes(self) -> bytes:
        """For the disk."""
        keys = {
            "id": self.id,
            "act": self.act,
            "args": self.args,
            "ordered": self.ordered,
            "exp": self.exp,
            "came": self.came,
            "moments": self.moments,
            "ticks": self.ticks,
        }
        body = msgspec.msgpack.encode(keys)
        self.size_bytes = len(body)
        return body

    @classmethod
    def from_bytes(cls, body: bytes) -> Order:
        """From the disk; raise msgspec.DecodeError, or FieldInvalid."""
        keys = msgspec.msgpack.decode(body)
        try:
            order = cls(
                id=keys["id"],
                act=keys["act"],
                args=args_of(keys["act"], keys["args"]),
                ordered=keys["ordered"],
                exp=keys["exp"],
                came=keys["came"],
                moments=msgspec.convert(keys["moments"], list[Moment]),
                ticks=keys["ticks"],
                size_bytes=len(body),
            )
        except (KeyError, TypeError, FieldInvalid) as error:
            raise msgspec.DecodeError(f"no order: {error!r}") from None
        return order
