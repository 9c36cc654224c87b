"""A broken download is resumed, a wrong one refused, and nothing half-done looks finished."""

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from charlm.data.catalogue import download
from charlm.data.catalogue.card import CardFile
from charlm.data.catalogue.fetching import Fetched, Fetching, fetch
from tests.data.loopback import (
    TEXT,
    Server,
    card,
    done_before_failing,
    failure,
    files_below,
    plain,
    serving,
    sha256,
    waiting,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on the loopback interface, asked without patience and without proxies."""
    monkeypatch.setattr(download, "TIMEOUT", 5.0)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with serving() as state:
        yield state


def test_a_text_arrives_whole_with_progress_and_is_not_fetched_twice(
    server: Server, own_cache: Path
) -> None:
    toy = plain(server)
    *progress, last = fetch(toy)
    assert last == Fetched(toy.paths, already=False)
    assert toy.path(None).read_bytes() == TEXT
    done = [record.done for record in progress if record.phase == "download"]
    assert done == sorted(done)
    assert done[-1] == len(TEXT)
    assert all(isinstance(record, Fetching) and record.total == len(TEXT) for record in progress)
    assert files_below(own_cache) == ["corpora/toy/all.txt", "downloads/toy.lock"]
    assert list(fetch(toy)) == [Fetched(toy.paths, already=True)]
    assert len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: Server) -> None:
    toy = plain(server)
    server.breaks_after = 400_000
    error = failure(toy)
    assert f"broke off after 400,000 of {len(TEXT):,} bytes" in str(error)
    assert waiting(toy).stat().st_size == 400_000
    failure(toy)
    server.breaks_after = None
    list(fetch(toy))
    assert server.asked == [None, "bytes=400000-", "bytes=800000-"]
    assert toy.path(None).read_bytes() == TEXT


def test_a_server_that_cannot_resume_sends_all_of_it_again(server: Server) -> None:
    toy = plain(server)
    server.breaks_after = 400_000
    failure(toy)
    server.breaks_after, server.ranges = None, False
    list(fetch(toy))
    assert toy.path(None).read_bytes() == TEXT


def test_a_text_that_changed_between_two_halves_is_fetched_anew(server: Server) -> None:
    toy = plain(server)
    waiting(toy).parent.mkdir(parents=True)
    waiting(toy).write_bytes(b"X" * 1000)
    list(fetch(toy))
    assert server.asked == ["bytes=1000-", None]
    assert toy.path(None).read_bytes() == TEXT


@pytest.mark.parametrize("size", [len(TEXT), len(TEXT) + 1])
def test_a_beginning_that_is_too_long_is_fetched_anew(size: int, server: Server) -> None:
    toy = plain(server)
    waiting(toy).parent.mkdir(parents=True)
    waiting(toy).write_bytes(b"X" * size)
    list(fetch(toy))
    assert toy.path(None).read_bytes() == TEXT


def test_a_complete_download_is_not_asked_for_again(server: Server) -> None:
    toy = plain(server)
    waiting(toy).parent.mkdir(parents=True)
    waiting(toy).write_bytes(TEXT)
    list(fetch(toy))
    assert server.asked == []
    assert toy.path(None).read_bytes() == TEXT


def test_a_wrong_hash_is_refused_and_nothing_is_kept(server: Server) -> None:
    toy = plain(server, sha256=sha256(b"something else"))
    assert "did not deliver what the card" in str(failure(toy))
    assert not waiting(toy).exists()


def test_without_a_hash_nothing_is_resumed(server: Server) -> None:
    toy = plain(server, sha256=None)
    waiting(toy).parent.mkdir(parents=True)
    waiting(toy).write_bytes(b"X" * 1000)
    list(fetch(toy))
    assert server.asked == [None]
    assert toy.path(None).read_bytes() == TEXT


@pytest.mark.parametrize("size", [10, len(TEXT) + 10])
def test_a_text_of_another_size_is_refused_before_it_is_read(size: int, server: Server) -> None:
    toy = plain(server, bytes=size)
    assert f"has {len(TEXT):,} bytes, not {size:,}" in str(failure(toy))


def test_a_server_that_hides_the_size_cannot_send_more_than_it_should(server: Server) -> None:
    toy = plain(server, bytes=1000)
    server.honest = False
    assert "delivers more than the 1,000 bytes" in str(failure(toy))
    assert not waiting(toy).exists()
    assert max(done_before_failing(toy, "download")) <= 1000


@pytest.mark.parametrize("told", [str(download.LARGEST + 1), "9" * 5000])
def test_an_absurd_size_is_refused_before_anything_is_read(told: str, server: Server) -> None:
    server.told = told
    assert "is larger than" in str(failure(plain(server, bytes=None)))
    assert done_before_failing(plain(server, bytes=None), "download") == []


def test_without_any_size_the_end_of_the_connection_is_the_end(server: Server) -> None:
    toy = plain(server, bytes=None)
    server.honest = False
    list(fetch(toy))
    assert toy.path(None).read_bytes() == TEXT


@pytest.mark.parametrize("status", [404, 403, 503])
def test_a_refusal_of_the_server_is_told(status: int, server: Server) -> None:
    toy = plain(server)
    server.status = status
    assert f"the server says {status}" in str(failure(toy))


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_nothing_but_http_is_followed(location: str, server: Server) -> None:
    toy = plain(server)
    server.status, server.location = 302, location
    failure(toy)


@pytest.mark.parametrize("location", ["http://example.org/toy.txt", "//example.org/toy.txt"])
def test_a_text_without_a_hash_is_only_taken_by_https(location: str, server: Server) -> None:
    toy = plain(server, sha256=None)
    server.status, server.location = 302, location
    assert "which is no https" in str(failure(toy))


def test_offline_says_what_to_download_and_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/toy.txt"
    toy = card(CardFile(part="all", url=url, bytes=len(TEXT), sha256=sha256(TEXT)))
    error = failure(toy)
    assert f"{url} cannot be reached" in str(error)
    folder = waiting(toy).parent
    assert url in error.hint
    assert str(folder) in error.hint
    (folder / "toy.txt").write_bytes(TEXT)
    list(fetch(toy))
    assert toy.path(None).read_bytes() == TEXT


def test_a_wrong_file_put_there_by_hand_is_named_and_kept(server: Server) -> None:
    toy = plain(server)
    mine = waiting(toy).with_name("toy.txt")
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"wrong")
    error = failure(toy)
    assert str(mine) in str(error)
    assert mine.read_bytes() == b"wrong"
