"""How a command asks a running gateway: where it is, with which token, and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from fieldgate.cli.device import fail, gateway_at

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
        import json
        from urllib.error import HTTPError, URLError
        from urllib.parse import urlencode
        from urllib.request import Request, urlopen

        address = self.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        if not address.startswith(("http://", "https://")):
            fail(f"--url: expected http://HOST:PORT, got {self.url!r}")
        request = Request(  # noqa: S310 - checked above
            address,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}"},
            method=method,
        )
        try:
            with urlopen(request, timeout=self.timeout_s) as response:  # noqa: S310
                return response.read(), dict(response.headers)
        except HTTPError as error:
            try:
                why = json.load(error)["detail"]
            except (ValueError, KeyError, TypeError):
                why = error.reason
            fail(f"the gateway answers {error.code}: {why}")
        except URLError as error:
            fail(f"{self.url} does not answer: {error.reason}")


def gateway(url: str | None, token: str | None, data: Path | None) -> Gateway:
    """The gateway that the options name; end the command if they name none."""
    if data is not None:
        url = url or gateway_at(data).get("http")
        path = data / "admin.token"
        token = token or (path.read_text().strip() if path.exists() else None)
    if url is None or token is None:
        fail("give --url and --token, or the folder of a running gateway as --data")
    return Gateway(url, token)
