"""Plain text arrives as it is, piece by piece, or the error says at which byte it is none."""

import gzip
import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charlm.data.sources import pieces
from charlm.errors import ConfigError
from tests.data.texts import corpus, documents, failure


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    text=st.text(st.sampled_from("ab \n\t\r\x85é漢😀\ufeff"), min_size=1),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-32", "utf-8-sig"]),
    block=st.integers(1, 9),
)
def test_pieces_join_to_the_text_whatever_the_blocks(
    text: str, encoding: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", block)
    file = tmp_path / "text"
    file.write_bytes(text.encode(encoding))
    source = pieces.TextFile(file, "text")
    parts = list(source.pieces(encoding))
    assert "".join(str(part.text) for part in parts) == text
    assert all(0 < len(part.text) <= 2 * block for part in parts)
    assert [part.starts for part in parts] == [True] + [False] * (len(parts) - 1)
    raw = [part.text for part in source.pieces(None)]
    assert b"".join(raw) == text.encode(encoding)  # type: ignore[arg-type]


def test_pieces_end_where_lines_end_or_else_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", 8)
    (tmp_path / "a").write_text("one\ntwo three fourfourfour five")
    parts = [piece.text for piece in corpus(tmp_path / "a").pieces()]
    assert parts == ["one\n", "two three ", "fourfourfo", "ur five"]


def test_plain_text_is_read_exactly_as_it_is(tmp_path: Path) -> None:
    content = b"a\r\nb\rc\x0b\x1c\xc2\x85\n\n e\xcc\x81 \xef\xbf\xbd"
    (tmp_path / "a").write_bytes(content)
    assert documents(corpus(tmp_path / "a")) == [content.decode()]
    assert documents(corpus(tmp_path / "a", raw=True)) == [content]


def test_a_byte_order_mark_is_no_text_except_to_a_model_of_bytes(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfone\xef\xbb\xbf\n"
    for name in ("a.txt", "a.txt.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        text = corpus(path)
        assert documents(text) == ["one\ufeff\n"]
        assert text.notes == (f"{path} begins with a byte order mark, left out",)
        assert text.digest() == hashlib.sha256(content[3:]).hexdigest()
        raw = corpus(path, raw=True)
        assert documents(raw) == [content]
        assert raw.notes == ()
    assert corpus(tmp_path / "a.txt").size == 7
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfab\xff")
    assert "at offset 5 " in str(failure(corpus(tmp_path / "b.txt")))


def test_reading_needs_a_constant_amount_of_memory(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        for _ in range(24):
            file.write(b"all work and no play\n" * 50_000)
    text = corpus(tmp_path / "a")
    tracemalloc.start()
    chars = sum(len(piece.text) for piece in text.pieces())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert chars == text.size == 24 * 21 * 50_000
    assert peak < 6 << 20


@pytest.mark.parametrize("suffix", ["txt", "txt.gz"])
@pytest.mark.parametrize("offset", [0, 5, (1 << 19) - 1, 1 << 19, 1_234_567])
def test_the_offset_of_a_byte_that_is_not_text_is_exact(
    offset: int, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    content = ("é" * 700_000).encode()[: offset - offset % 2] + b"x" * (offset % 2)
    content += b"\xff" + b"the rest"
    path.write_bytes(gzip.compress(content, 1) if suffix.endswith("gz") else content)
    error = failure(corpus(path))
    assert f"byte 0xff at offset {offset:,} " in str(error)
    assert str(path) in str(error)
    assert "`tokenizer.kind='byte'`" in error.hint
    assert "`encoding='latin-1'`" in error.hint


@pytest.mark.parametrize(
    ("encoding", "content", "offset"),
    [
        ("utf-8", "漢".encode()[:2], 0),
        ("utf-8", "aé漢".encode()[:-1], 3),
        ("utf-8-sig", b"\xef\xbb\xbfab\xff", 5),
        ("utf-16", "ab".encode("utf-16") + b"\x00", 6),
        ("gb18030", "漢字".encode("gb18030") + b"\xff", 4),
        ("shift_jis", "漢字".encode("shift_jis") + b"\x81", 4),
        ("ascii", b"abc\xe9", 3),
    ],
)
@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_the_offset_is_exact_in_every_encoding_and_at_the_end(
    encoding: str,
    content: bytes,
    offset: int,
    block: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", block)
    (tmp_path / "a").write_bytes(content)
    assert f"at offset {offset} " in str(failure(corpus(tmp_path / "a", encoding=encoding)))


def test_a_real_text_that_is_not_utf_8_is_refused_but_read_raw(shared_data: Path) -> None:
    path = shared_data / "dickens-excerpt.not-utf8"
    content = path.read_bytes()
    with pytest.raises(UnicodeDecodeError) as first:
        content.decode("utf-8")
    assert f"at offset {first.value.start:,} " in str(failure(corpus(path)))
    assert documents(corpus(path, raw=True)) == [content]
    assert documents(corpus(path, encoding="latin-1")) == [content.decode("latin-1")]


def test_a_binary_file_and_utf_16_get_hints_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    error = failure(corpus(tmp_path / "a"))
    assert "looks like a binary file" in str(error)
    (tmp_path / "b").write_bytes("text".encode("utf-16"))
    assert "`encoding='utf-16'`" in failure(corpus(tmp_path / "b")).hint


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "", "utf-8\0", "undefined"])
def test_an_unknown_encoding_is_a_wrong_setting(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    with pytest.raises(ConfigError, match="text encoding"):
        corpus(tmp_path / "a", encoding=name)


def test_gzip_is_read_as_the_text_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("zipped\n" * 200_000)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress((tmp_path / "a.txt").read_bytes(), 1))
    plain, packed = corpus(tmp_path / "a.txt"), corpus(tmp_path / "a.txt.gz")
    assert list(plain.pieces()) == list(packed.pieces())
    assert plain.digest() == packed.digest()
    assert (plain.size, packed.size) == (1_400_000, None)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no gzip"])
def test_damaged_gzip_is_an_error_and_not_the_end(damage: str, tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(3000).hex().encode())
    flipped = whole[:900] + bytes([whole[900] ^ 0xFF]) + whole[901:]
    content = {"cut": whole[:-100], "flipped": flipped, "no gzip": b"just some text"}[damage]
    (tmp_path / "a.gz").write_bytes(content)
    assert "a.gz is damaged: after" in str(failure(corpus(tmp_path / "a.gz")))
