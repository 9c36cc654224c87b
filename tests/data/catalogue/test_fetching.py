"""What arrived becomes a corpus: one member out of an archive, divided, whole or not at all."""

import io
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from charlm import durable
from charlm.data.catalogue import download, fetching
from charlm.data.catalogue.card import CardFile
from charlm.data.catalogue.fetching import fetch
from charlm.errors import CorpusError
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
    zipped,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on the loopback interface, asked without patience and without proxies."""
    monkeypatch.setattr(download, "TIMEOUT", 5.0)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with serving() as state:
        yield state


def test_one_member_of_an_archive_becomes_our_file_and_no_other_is_touched(
    server: Server, own_cache: Path
) -> None:
    file = zipped(server, member="/abs/../toy", member_bytes=len(TEXT), member_sha256=sha256(TEXT))
    toy = card(file)
    list(fetch(toy))
    assert toy.path(None).read_bytes() == TEXT
    assert files_below(own_cache) == ["corpora/toy/all.txt", "downloads/toy.lock"]
    assert not (own_cache.parent / "evil").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"member_bytes": len(TEXT) - 1},
        {"member_bytes": len(TEXT) + 1},
        {"member_sha256": sha256(b"other")},
    ],
)
def test_a_member_that_is_not_as_described_is_refused(
    options: dict[str, Any], server: Server
) -> None:
    assert "missing, damaged or not what" in str(failure(card(zipped(server, **options))))


def test_a_member_that_unpacks_to_more_than_described_is_not_unpacked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "BLOCK", 1000)
    toy = card(zipped(server, b"\0" * 50_000_000, member_bytes=5000))
    assert 0 < max(done_before_failing(toy, "unpack")) <= 5001


@pytest.mark.parametrize("content", [b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_bad_archive_is_refused(content: bytes, server: Server) -> None:
    file = zipped(server)
    server.content["/toy.zip"] = content
    other = CardFile(part="all", url=file.url, member="toy", sha256=sha256(content))
    assert "missing, damaged or not what" in str(failure(card(other)))


def test_an_archive_of_several_texts_is_downloaded_once(server: Server) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in ("train", "valid", "test"):
            archive.writestr(f"w/{part}.raw", part * 3)
    server.content["/w.zip"] = packed.getvalue()
    toy = card(
        *(
            CardFile(part=part, url=f"{server.url}/w.zip", member=f"w/{part}.raw")
            for part in ("train", "valid", "test")
        )
    )
    list(fetch(toy))
    assert [path.read_text() for path in toy.paths] == ["train" * 3, "valid" * 3, "test" * 3]
    assert len(server.asked) == 1


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_a_text_is_divided_at_the_byte(
    block: int, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "BLOCK", block)
    content = TEXT[:100]
    toy = card(zipped(server, content, member_bytes=100), byte_split=(90, 6, 4))
    list(fetch(toy))
    parts = [path.read_bytes() for path in toy.paths]
    assert [path.name for path in toy.paths] == ["train.txt", "valid.txt", "test.txt"]
    assert parts == [content[:90], content[90:96], content[96:]]


@pytest.mark.parametrize("split", [(90, 6, 5), (90, 6, 3)])
def test_a_text_of_another_length_than_its_division_is_refused(
    split: tuple[int, ...], server: Server
) -> None:
    assert "than its division" in str(failure(card(zipped(server, TEXT[:100]), byte_split=split)))


@pytest.mark.parametrize("block", [1, 5, 1 << 20])
def test_lines_are_stripped_of_spaces_alone(
    block: int, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "BLOCK", block)
    toy = plain(server, b" a b \n\n  \t c\r \nd ", strip_lines=True)
    list(fetch(toy))
    assert toy.path(None).read_bytes() == b"a b\n\n\t c\r\nd"


def test_two_processes_do_not_fetch_the_same_corpus(server: Server, own_cache: Path) -> None:
    toy = plain(server)
    (own_cache / "downloads").mkdir()
    with filelock.FileLock(own_cache / "downloads" / "toy.lock"):
        assert "another process is fetching toy" in str(failure(toy))
    list(fetch(toy))


def test_a_full_disk_leaves_what_arrived_and_no_half_corpus(
    server: Server, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = plain(server)

    def full(*arguments: object) -> Iterator[int]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "write", full)
        error = failure(toy)
    assert "No space left on device" in str(error)
    assert "CHARLM_CACHE" in error.hint
    assert not [name for name in files_below(own_cache) if durable.TEMPORARY_MARK in name]
    list(fetch(toy))
    assert len(server.asked) == 1


def test_a_corpus_with_a_text_missing_is_not_written_over(server: Server) -> None:
    toy = plain(server)
    toy.folder.mkdir(parents=True)
    (toy.folder / "notes").write_text("mine")
    with pytest.raises(CorpusError, match="not all texts of toy are in it"):
        list(fetch(toy))
    assert (toy.folder / "notes").read_text() == "mine"
