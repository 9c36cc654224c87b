"""Downloading one file: resumed where it broke off, and kept only when it is what it should be."""

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from charlm import __version__, durable
from charlm.data.catalogue.card import CardFile, is_private
from charlm.errors import CorpusError, counted

__all__ = ["LARGEST", "Fetching", "download"]

BLOCK = 1 << 18
LARGEST = 8 << 30
"""Bytes that no download and no text may exceed, where the card does not say how many it has."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""

AGAIN = "give the same command again"

NETWORK_TROUBLE = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


class Unreachable(CorpusError):
    """No connection, or one that died; what arrived is kept."""


@dataclass(frozen=True)
class Fetching:
    """Progress: ``done`` of ``total`` bytes of ``what``; ``phase`` is download or unpack."""

    phase: str
    what: str
    done: int
    total: int | None


def download(file: CardFile, target: Path) -> Iterator[Fetching]:
    """Bring ``file`` to ``target``, verified.

    Raises ``CorpusError``.  A download that broke off stays beside ``target`` and is resumed by the
    next call; one that turned out wrong is removed.
    """
    if target.is_file():
        # Put there by hand, or left by a call that broke off while unpacking.
        if not matches(file, target):
            cause = f"{target} is not what the card of the corpus describes"
            raise CorpusError(cause, f"delete it and {AGAIN}")
        return
    part = target.with_name(target.name + ".part")
    resumed = yield from receive(file, part)
    if resumed and not matches(file, part):
        # The text on the server may have changed between the two halves: once more, in one go.
        durable.remove_file(part)
        yield from receive(file, part)
    if not matches(file, part):
        durable.remove_file(part)
        raise CorpusError(
            f"{file.url} did not deliver what the card of the corpus describes",
            f"{AGAIN}; if that fails too, the text on the server has changed: please report it",
        )
    durable.rename(part, target)


def matches(file: CardFile, path: Path) -> bool:
    """Whether ``path`` has the size and the hash that the card gives, as far as it does."""
    if file.bytes is not None and path.stat().st_size != file.bytes:
        return False
    if file.sha256 is None:
        return True
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def receive(file: CardFile, part: Path) -> Generator[Fetching, None, bool]:
    """Append what is missing of ``file`` to ``part``; return whether there was a beginning.

    Raises ``CorpusError`` where the connection cannot be made or breaks off.
    """
    # Without a hash nobody would notice that two halves do not belong together.
    start = part.stat().st_size if file.sha256 and part.is_file() else 0
    if start and start == file.bytes:
        return True
    try:
        with connect(file, start) as response:
            if response.status != http.client.PARTIAL_CONTENT:
                start = 0
            total = expected_size(file, response, start)
            yield from append(file, response, part, start, total)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                durable.remove_file(part)
                return (yield from receive(file, part))
            raise CorpusError(
                f"{file.url} cannot be had: the server says {error.code} {error.reason}",
                f"{AGAIN} later; if it stays so, please report the address",
            ) from None
    except NETWORK_TROUBLE as error:
        said = getattr(error, "reason", None) or error
        text = " ".join(str(said).split()) or type(said).__name__
        raise Unreachable(
            f"{file.url} cannot be reached: {text}", f"go online and {AGAIN}"
        ) from None
    return start > 0


def append(
    file: CardFile, response: IO[bytes], part: Path, start: int, total: int | None
) -> Iterator[Fetching]:
    """Write ``response`` to ``part`` from ``start`` on, durably.  Raises ``CorpusError``."""
    done, limit = start, total or LARGEST
    with durable.continue_file(part, start) as out:
        yield Fetching("download", file.url, done, total)
        while block := response.read(BLOCK):
            done += len(block)
            if done > limit:
                break
            out.write(block)
            yield Fetching("download", file.url, done, total)
    if done > limit:
        durable.remove_file(part)
        raise CorpusError(
            f"{file.url} delivers more than the {counted(limit, 'byte')} it should have",
            "the text on the server has changed: please report it",
        )
    if total is not None and done < total:
        raise CorpusError(
            f"{file.url} broke off after {done:,} of {counted(total, 'byte')}",
            f"{AGAIN}, which resumes the download",
        )


def expected_size(file: CardFile, response: http.client.HTTPResponse, start: int) -> int | None:
    """Bytes of the whole file, if anybody tells.

    Raises ``CorpusError`` where card and server disagree, and for more than ``LARGEST``.
    """
    length = response.headers.get("Content-Length", "")
    # Python refuses to convert numbers of many digits.
    told = start + int(length[:20]) if length.isascii() and length.isdigit() else None
    if None not in (told, file.bytes) and told != file.bytes:
        raise CorpusError(
            f"{file.url} has {told:,} bytes, not {file.bytes:,}",
            "the text on the server has changed: please report it",
        )
    if file.bytes is None and told is not None and told > LARGEST:
        raise CorpusError(
            f"{file.url} is larger than {counted(LARGEST, 'byte')}",
            "download it by hand, and give the file itself",
        )
    return file.bytes or told


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address, to one without https only where there is a hash."""

    def __init__(self, file: CardFile) -> None:
        self.file = file

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        """The request for the address that the server names.  Raises ``CorpusError``."""
        _, response, *_, url = arguments
        if not (self.file.sha256 or is_private(url)):
            response.close()
            raise CorpusError(
                f"{self.file.url} leads to {url}, which is no https, and there is no hash",
                "download it by hand, and give the file itself",
            )
        return super().redirect_request(*arguments)


def connect(file: CardFile, start: int) -> http.client.HTTPResponse:
    """Open the address of ``file``, from byte ``start`` on if the server can.

    By https, and http where a hash tells whether what arrives is right.  Raises ``CorpusError``.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        Redirects(file),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(file.url, headers={"User-Agent": f"charlm/{__version__}"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT)
    return response
