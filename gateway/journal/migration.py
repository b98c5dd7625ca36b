"""How a database's schema moves forward: by numbered files, each applied once and whole."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources


def migrate(connection: sqlite3.Connection, prefix: str = "") -> None:
    """Apply each ``{prefix}NNNN.sql`` beyond ``user_version``, in order."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    steps = sorted(
        entry.name
        for entry in resources.files("gateway.journal").joinpath("schema").iterdir()
        if re.fullmatch(rf"{prefix}\d{{4}}\.sql", entry.name)
    )
    if version > len(steps):
        name = prefix.rstrip("-") or "journal"
        raise RuntimeError(
            f"{name}.db has schema {version}, newer than the {len(steps)} that this version knows"
        )
    for number, name in enumerate(steps[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{schema(name)}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


def schema(name: str) -> str:
    """The text of a schema's file."""
    return resources.files("gateway.journal").joinpath("schema", name).read_text()
