"""Which checklists there are: those that come with the gateway, and the operator's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.config import ConfigError
from protocols.checklists import parse
from protocols.commands import Checklist
from protocols.errors import ProtocolError

SUPPLIED = Path(__file__).parent / "data" / "checklists"
"""config/checklists of the sources; installed with the package."""


def load(own: Path | None) -> Mapping[str, Checklist]:
    """By kind of incident. One of the operator's own takes the place of ours of that name; raise
    ConfigError that names the file."""
    if own is not None and not own.is_dir():
        raise ConfigError(f"checklists: {own} is no folder")
    folders = [SUPPLIED] if own is None else [SUPPLIED, own]
    return {path.stem: _read(path) for folder in folders for path in sorted(folder.glob("*.toml"))}


def _read(path: Path) -> Checklist:
    try:
        return parse(path.read_text(encoding="utf-8"), path.stem)
    except (OSError, UnicodeDecodeError, ProtocolError) as error:
        raise ConfigError(f"checklists: {path}: {error}") from None
