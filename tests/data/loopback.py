"""A server on the loopback interface that misbehaves as told, and cards of what it holds."""

import contextlib
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from charlm.data.catalogue.card import Card, CardFile
from charlm.data.catalogue.fetching import Fetching, fetch
from charlm.errors import CorpusError

TEXT = "".join(f"line {number}\n" for number in range(100_000)).encode()


@dataclass
class Server:
    """What the server holds and how it misbehaves."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int | None = None
    ranges: bool = True
    status: int | None = None
    location: str | None = None
    honest: bool = True
    told: str | None = None
    asked: list[str | None] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``Server.content``, by ranges if it may."""

    state: Server
    timeout = 10

    def do_GET(self) -> None:
        state = self.state
        wanted = self.headers.get("Range")
        state.asked.append(wanted)
        if state.status:
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        whole = state.content[self.path]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
        if start >= len(whole):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if state.honest:
            self.send_header("Content-Length", state.told or str(len(whole) - start))
        self.end_headers()
        end = len(whole) if state.breaks_after is None else start + state.breaks_after
        # The client hangs up on a text that is too long.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(whole[start:end])
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server while the block runs."""
    state = Server()
    handler = type("Bound", (Handler,), {"state": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        state.url = f"http://127.0.0.1:{running.server_address[1]}"
        try:
            yield state
        finally:
            running.shutdown()
            thread.join(timeout=10)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def card(*files: CardFile, **options: Any) -> Card:
    texts = dict.fromkeys(("title", "description", "language", "licence"), "x")
    return Card(name="toy", kind="download", files=files, **texts, **options)


def plain(server: Server, content: bytes = TEXT, **options: Any) -> Card:
    """A card of one text that the server holds."""
    server.content["/toy.txt"] = content
    options = {"bytes": len(content), "sha256": sha256(content)} | options
    return card(CardFile(part="all", url=f"{server.url}/toy.txt", **options))


def zipped(server: Server, content: bytes = TEXT, member: str = "toy", **options: Any) -> CardFile:
    """A member of an archive that the server holds."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil", "should never be written")
        archive.writestr(member, content)
    server.content["/toy.zip"] = packed.getvalue()
    options = {"part": "all", "sha256": sha256(packed.getvalue())} | options
    return CardFile(url=f"{server.url}/toy.zip", member=member, **options)


def failure(toy: Card) -> CorpusError:
    with pytest.raises(CorpusError) as caught:
        list(fetch(toy))
    assert "\n" not in str(caught.value) + caught.value.hint
    assert not toy.folder.exists()
    return caught.value


def done_before_failing(toy: Card, phase: str) -> list[int]:
    """The progress of ``phase`` up to the error that must end it."""
    done = []
    try:
        for record in fetch(toy):
            assert isinstance(record, Fetching)
            done += [record.done] if record.phase == phase else []
    except CorpusError:
        return done
    pytest.fail("no error")


def waiting(toy: Card) -> Path:
    """What a broken download left behind."""
    return toy.folder.parents[1] / "downloads" / "toy" / "toy.txt.part"


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
