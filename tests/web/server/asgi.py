"""The server's application in this process, asked without HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from charlm.api.model import Model
from charlm.web.server.access import Access
from charlm.web.server.application import Application
from charlm.web.server.requests import ServeLimits
from charlm.web.server.service import Service, named

COMPLETIONS = "/v1/completions"
TOKENLESS = Access(None)


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        parts = self.body.decode().split("\n\n")
        assert parts[-2:] == ["data: [DONE]", ""]
        return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]


Ask = Callable[..., Awaitable[Reply]]


async def ask(app: Application, path: str, body: Any = None, **headers: str) -> Reply:
    """Send a request; bytes are sent as they are, other bodies as JSON; None is a GET."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": "GET" if body is None else "POST", "path": path,
        "query_string": query.encode(), "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": content, "more_body": False})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, inbox.get, send)
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], b"".join(each.get("body", b"") for each in sent), given)


def serving(
    model: Model, use: Callable[[Application], Coroutine[Any, Any, Any]], **limits: Any
) -> Any:
    """What ``use`` returns, given the application that serves ``model``."""

    async def main() -> Any:
        service = Service(named([model]), ServeLimits(**limits))
        try:
            return await use(Application(service, TOKENLESS))
        finally:
            service.close()

    return asyncio.run(main())


def complete(model: Model, *bodies: Any, **limits: Any) -> list[Reply]:
    """The replies to requests for completions that are sent together."""

    async def use(app: Application) -> list[Reply]:
        return await asyncio.gather(*(ask(app, COMPLETIONS, body) for body in bodies))

    found: list[Reply] = serving(model, use, **limits)
    return found
