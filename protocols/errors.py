"""What can be wrong with bytes from outside: who is at fault, where, and why."""

from __future__ import annotations


class ProtocolError(Exception):
    """Bytes that cannot be given a meaning.

    ``reason`` is a stable word for counters and quarantine; the text of the
    exception says the rest to a person.
    """

    reason = "protocol_error"


class Malformed(ProtocolError):
    """The bytes are not well-formed MessagePack or JSON, or not a map where one is due."""

    reason = "malformed"


class TooLarge(ProtocolError):
    """More bytes, items or nesting than the contract allows (section 2)."""

    reason = "too_large"

    def __init__(self, what: str, limit: int, got: int | None = None) -> None:
        super().__init__(f"{what}: at most {limit}" + ("" if got is None else f", got {got}"))
        self.what, self.limit, self.got = what, limit, got


class FieldInvalid(ProtocolError):
    """A required key is missing, or a known key has a wrong type or range."""

    reason = "field_invalid"

    def __init__(self, field: str, problem: str, value: object = None) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        super().__init__(f"{field}: {problem}" + ("" if value is None else f", got {shown}"))
        self.field, self.problem, self.value = field, problem, value


class TopicInvalid(ProtocolError):
    """A topic that is not one of the contract's (section 1)."""

    reason = "topic_invalid"


class MediaInvalid(ProtocolError):
    """Chunks that do not make the picture they claim to make."""

    reason = "media_invalid"
