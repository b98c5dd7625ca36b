"""The token of commands on the gateway's machine: who can read its folder is its administrator."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.audit import Entry, keep
from gateway.registry import Registry, Role


def admin_token(folder: Path) -> str:
    """The token in ``DIR/admin.token`` for commands on this machine, made when it is missing."""
    path = folder / "admin.token"
    with Registry(folder) as registry:
        if path.exists() and registry.role_of(path.read_text().strip()) is Role.ADMIN:
            return path.read_text().strip()
        token = registry.add_token(Role.ADMIN, "this machine")
        keep(folder, Entry(act="token.add", who="gateway", target="this machine"))
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(token)
        return token
