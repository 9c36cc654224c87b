"""Open a server: its address, its models, and what it needs to be allowed to listen."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from charlm.api.model import Model
from charlm.errors import CharlmError, ConfigError, describe
from charlm.inference.loading import load_run
from charlm.web.server.access import is_loopback
from charlm.web.server.requests import ServeLimits
from charlm.web.server.service import named

__all__ = ["OpenServer", "ServeLimits", "open_server"]

SHORTEST_TOKEN = 8
LIMITS = ServeLimits()


class OpenServer:
    """A server that has its address and its models and can answer."""

    def __init__(
        self, listener: socket.socket, models: Sequence[Model], limits: ServeLimits,
        token: str | None,
    ) -> None:  # fmt: skip
        self.listener, self.models = listener, named(models)
        self.limits, self.token = limits, token
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self, stop: Callable[[], object]) -> None:
        """Answer requests until ``stop`` returns something, looked at ten times a second."""
        from charlm.web.server.listening import listen

        asyncio.run(listen(self.listener, self.models, self.limits, self.token, stop))


def open_server(
    runs: Sequence[str | Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    device: str = "cpu",
    limits: ServeLimits = LIMITS,
) -> OpenServer:
    """Bind an address and load the ``runs``; ``port=0`` takes a free port.

    Raises ``ConfigError`` for a host beyond this machine without a ``token`` and for an address
    that cannot be had, ``CharlmError`` for a missing extra, and what loading a run raises.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise CharlmError(
            f"a server needs the package {error.name}, which is not installed",
            "pip install -c constraints.txt -e '.[serve]'",
        ) from None
    check_token(host, token)
    listener = bind(host, port)
    try:
        models = [Model(load_run(run, device=device)) for run in runs]
        return OpenServer(listener, models, limits, token)
    except BaseException:
        listener.close()
        raise


def check_token(host: str, token: str | None) -> None:
    """Raise ``ConfigError`` for a host that others reach without a token that keeps them out."""
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"`host={host}` can be reached by others, and there is no `token`",
            "give `token=SECRET`, or set CHARLM_TOKEN, or leave `host` out",
        )
    if token is not None and not (len(token) >= SHORTEST_TOKEN and token.isascii()):
        raise ConfigError(
            f"`token` must have {SHORTEST_TOKEN} ASCII characters or more",
            "make one: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )


def bind(host: str, port: int) -> socket.socket:
    """A socket with an address.  Raises ``ConfigError``."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"`port` must be from 0 to 65535, got {port}", "leave `port` out")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Without SO_REUSEPORT: a port that another server has is refused.
        return socket.create_server(address, family=family)
    except OSError as error:
        free = port + 1 if port < 65535 else 0
        raise ConfigError(
            f"`host={host}` with `port={port}` cannot be listened at: {describe(error)}",
            f"choose another port: `port={free}`, or 0 for any",
        ) from None
