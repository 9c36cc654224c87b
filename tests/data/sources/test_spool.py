"""Input that can be read only once is kept, and what is no file is refused."""

import atexit
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.data.formats.listing import Listing
from charlm.data.sources import spool as module
from charlm.data.sources.spool import lasting_file, spool
from charlm.errors import CorpusError


class Input:
    """A standard input."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def test_standard_input_is_read_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"a\nb\n"))
    path, name = lasting_file("-")
    assert (path.read_bytes(), name) == (b"a\nb\n", "standard input")
    assert lasting_file("-") == (path, name)
    assert list(Listing("-").lines()) == ["a\n", "b\n"]
    monkeypatch.setattr(sys, "stdin", Input(b"c"))
    assert lasting_file("-")[0].read_bytes() == b"c"


def test_a_pipe_with_a_name_is_kept_and_a_file_stays_where_it_is(tmp_path: Path) -> None:
    file, pipe = tmp_path / "a.txt", tmp_path / "pipe"
    file.write_bytes(b"x")
    assert lasting_file(str(file)) == (file, str(file))
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"from a pipe\n",))
    writer.start()
    listing = Listing(str(pipe))
    assert list(listing.lines()) == list(listing.lines()) == ["from a pipe\n"]
    writer.join()
    assert listing.name == str(pipe)


@pytest.mark.parametrize(
    ("name", "message"),
    [("/dev/null", "neither a file nor a pipe"), ("no/such", "No such file"), ("a\0b", "no file")],
)
def test_what_is_no_file_is_refused(name: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        lasting_file(name)


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(CorpusError, match=r"the input cannot be kept under .*file") as caught:
        spool(io.BytesIO(b"x"), "the input")
    assert "CHARLM_CACHE" in caught.value.hint
    assert module.spooled is not None


def test_what_was_kept_is_private_and_removed_by_the_process_that_kept_it(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    path = spool(io.BytesIO(b"x" * (3 << 20)), "the input")
    assert path.read_bytes() == b"x" * (3 << 20)
    assert path.stat().st_mode & 0o077 == 0
    (remove,) = at_exit
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)  # as in a forked child
    remove()
    assert path.exists()
    monkeypatch.setattr(os, "getpid", lambda: process)
    remove()
    assert not path.exists()
    remove()
