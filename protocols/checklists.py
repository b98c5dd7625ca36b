"""Checklists as they are written: TOML with a title and steps, in Chinese and English."""

from __future__ import annotations

import re
import tomllib

import msgspec

from protocols.commands import Checklist
from protocols.errors import FieldInvalid, TooLarge
from protocols.fields import convert

MAX_CHECKLIST_BYTES = 32 * 1024  # half a message: the instruction has room beside it
_ID = re.compile(r"[a-z0-9_]{1,64}\Z")


def parse(text: str, identity: str) -> Checklist:
    """The checklist of that kind of incident; raise ProtocolError with the field and the value."""
    if not _ID.match(identity):
        raise FieldInvalid("id", "must be small letters, digits and _", identity)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FieldInvalid("checklist", f"not TOML: {error}") from None
    checklist = convert({"id": identity, **values}, Checklist)
    for field, words in [
        ("title", checklist.title),
        *((f"steps.{index}", step) for index, step in enumerate(checklist.steps)),
    ]:
        for language in ("zh", "en"):
            if not getattr(words, language).strip():
                raise FieldInvalid(f"{field}.{language}", "must have words")
    size_bytes = len(msgspec.msgpack.encode(checklist))
    if size_bytes > MAX_CHECKLIST_BYTES:
        raise TooLarge(f"checklist {identity}", MAX_CHECKLIST_BYTES, size_bytes)
    return checklist
