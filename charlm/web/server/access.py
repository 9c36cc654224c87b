"""Who may ask: everybody on this machine, or whoever knows the token."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from charlm.web.server.requests import Refused

__all__ = ["Access", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """With a ``token`` it is asked for, as a bearer token or, for browsers, as a password.

    Without one the server listens to this machine only, where pages of other servers, opened in a
    browser, are kept out: their requests name another host or origin.
    """

    def __init__(self, token: str | None) -> None:
        self.token = token.encode() if token else None

    def check(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Refused | None:
        """Why a request with these ``headers`` is refused; None if it is not."""
        given = {name.lower(): value for name, value in headers}
        if self.token is not None:
            known = hmac.compare_digest(password(given.get(b"authorization", b"")), self.token)
            if known or path == "/health":
                return None
            return Refused(
                "the token is missing or wrong", "send it as: Authorization: Bearer TOKEN",
                status=401, code="invalid_api_key",
            )  # fmt: skip
        host = given.get(b"host", b"localhost").decode("latin-1")
        origin = given.get(b"origin", b"").decode("latin-1")
        if not is_loopback(host_of(host)) or (origin and not origin.endswith(f"//{host}")):
            return Refused(
                "requests of pages of other servers are refused",
                "start the server with a `token`, or ask from a program", status=403,
            )  # fmt: skip
        return None


def host_of(header: str) -> str:
    """The host without the port; empty where there is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def password(header: bytes) -> bytes:
    """The token in an ``Authorization`` header; empty where there is none."""
    kind, _, value = header.partition(b" ")
    if kind.lower() == b"bearer":
        return value.strip()
    if kind.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
