"""Listening to connections with uvicorn until a signal comes."""

import asyncio
import gc
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from charlm.api.model import Model
from charlm.web.server.access import Access
from charlm.web.server.application import Application
from charlm.web.server.requests import ServeLimits
from charlm.web.server.service import Service

__all__ = ["listen"]

MOST_CONNECTIONS = 512
"""Connections that are answered; others are told to come again (503)."""


class PatientProtocol(H11Protocol):
    """Closes a connection on which no request arrives in time, however slowly it is sent."""

    patience = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self.loop.call_later(self.patience, self.check)

    def on_response_complete(self) -> None:
        """Give the next request its time."""
        super().on_response_complete()
        self.loop.call_later(self.patience, self.check)

    def check(self) -> None:
        """Close the connection unless a request is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class StoppedServer(uvicorn.Server):
    """Ends when ``stop`` returns something; signals are left to the caller."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], object]) -> None:
        super().__init__(config)
        self.stop = stop

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Capture none."""
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        """Look whether to end, ten times a second."""
        self.should_exit = self.should_exit or bool(self.stop())
        return await super().on_tick(counter)


async def listen(
    listener: socket.socket,
    models: Mapping[str, Model],
    limits: ServeLimits,
    token: str | None,
    stop: Callable[[], object],
) -> None:
    """Answer requests until ``stop`` returns something; running ones then get the time of grace."""
    service = Service(models, limits)
    gc.freeze()  # what is loaded stays, and need not be searched for garbage
    protocol = type("Protocol", (PatientProtocol,), {"patience": limits.patience})
    config = uvicorn.Config(
        Application(service, Access(token)), http=protocol, ws="none", lifespan="off",
        log_config=None, log_level="critical", access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(limits.grace)),
    )  # fmt: skip
    try:
        server = StoppedServer(config, stop)
        await server.serve(sockets=[listener])
        if server.server_state.tasks:  # which are told that the server ends
            await asyncio.wait(server.server_state.tasks, timeout=1)
    finally:
        service.close()
        gc.unfreeze()
