"""How a command asks a running gateway: where it is, with which token, and what it answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from fieldgate.cli.folder import fail, gateway_at

if TYPE_CHECKING:
    from fieldgate.client import Client

UrlOption = Annotated[str | None, typer.Option("--url", help="The gateway, http://HOST:PORT.")]
TokenOption = Annotated[
    str | None, typer.Option("--token", envvar="FIELDGATE_TOKEN", help="A bearer token for it.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="The gateway's folder, instead of both.")
]

TIMEOUT_S = 60.0


class Gateway(NamedTuple):
    """Where a gateway answers, and whom it takes us for."""

    url: str
    token: str
    timeout_s: float = TIMEOUT_S

    def ask(
        self,
        path: str,
        query: dict[str, str] | None = None,
        *,
        method: str = "GET",
        body: Any = None,
    ) -> Any:
        """Its answer in JSON; end the command with what it says is wrong."""
        import json

        return json.loads(self.fetch(path, query, method=method, body=body))

    def fetch(
        self,
        path: str,
        query: dict[str, str] | None = None,
        *,
        method: str = "GET",
        body: Any = None,
    ) -> bytes:
        """The same as bytes."""
        return self.answer(path, query, method=method, body=body)[0]

    def answer(
        self,
        path: str,
        query: dict[str, str] | None = None,
        *,
        method: str = "GET",
        body: Any = None,
    ) -> tuple[bytes, dict[str, str]]:
        """The same with its headers."""
        from fieldgate.client.connection import Connection, Refused, Unreachable

        try:
            connection = Connection(self.url, self.token, timeout_s=self.timeout_s)
        except ValueError as error:
            fail(f"--url: {error}")
        try:
            answer = connection.ask(method, path, query, body=body, accept="*/*")
        except (Refused, Unreachable) as error:
            fail(str(error))
        finally:
            connection.close()
        return answer.body, dict(answer.headers)


@contextlib.contextmanager
def asked(url: str | None, token: str | None, data: Path | None) -> Iterator[Client]:
    """The client of the gateway that the options name; what it cannot do ends the command."""
    from fieldgate.client import Client, Refused, Unreachable

    there = gateway(url, token, data)
    try:
        with Client(there.url, there.token, timeout_s=there.timeout_s) as client:
            yield client
    except (Refused, Unreachable) as error:
        fail(str(error))
    except ValueError as error:
        fail(f"--url: {error}")


def gateway(url: str | None, token: str | None, data: Path | None) -> Gateway:
    """The gateway that the options name; end the command if they name none."""
    if data is not None:
        url = url or gateway_at(data).get("http")
        path = data / "admin.token"
        token = token or (path.read_text().strip() if path.exists() else None)
    if url is None or token is None:
        fail("give --url and --token, or the folder of a running gateway as --data")
    return Gateway(url, token)
