"""Where text comes from: every byte arrives, in order, or the error says where it does not."""

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from charlm.data.cache import cache_folder
from charlm.data.sources.spool import spool
from charlm.durable import TEMPORARY_MARK
from charlm.errors import CorpusError
from tests.data.texts import corpus, documents, failure


def test_real_texts_arrive_whole(shared_data: Path) -> None:
    for path in [*(shared_data / "unicode").iterdir(), shared_data / "alice29.txt"]:
        text = corpus(path)
        assert documents(text) == [path.read_bytes().decode("utf-8")]
        assert text.size == path.stat().st_size
        assert text.digest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_corpus_can_be_read_twice_and_sent_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("some text")
    text = corpus(tmp_path / "a")
    assert documents(text) == documents(text) == documents(pickle.loads(pickle.dumps(text)))


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ["b.txt", "a/z.md", "a/y/x.py", "c", ".hidden", ".git/config", "d.gz"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(b"d.gz") if "gz" in name else name.encode())
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "empty").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    text = corpus(tmp_path)
    assert documents(text) == ["a/y/x.py", "a/z.md", "b.txt", "c", "d.gz"]
    assert all(name.startswith(str(tmp_path)) for name in text.names)


def test_a_text_with_a_wrong_byte_is_not_skipped_as_binary(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"good")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    assert "b.txt is not utf-8" in str(failure(corpus(tmp_path)))


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no files"):
        corpus(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"\0\1\2")
    with pytest.raises(CorpusError, match="holds 1 file, none of them text"):
        corpus(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.txt").write_text("text")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # Simulated, because root may read everything.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CorpusError, match="closed cannot be read: Permission denied") as caught:
        corpus(tmp_path)
    assert "permissions" in caught.value.hint


def test_run_folders_caches_and_unfinished_work_are_no_text_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("runs/a/run.toml", "runs/a/log.jsonl", "cache/tokens/store.json", "b/c.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    Path(f"a.txt{TEMPORARY_MARK}1-ab").write_text("half")
    text = corpus(".")
    assert documents(text) == ["b/c.txt"]
    assert text.notes == (".: left out cache, runs/a",)


def test_a_folder_read_as_bytes_leaves_out_what_is_binary(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.bin").write_bytes(b"a\0b")
    found = corpus(tmp_path, raw=True)
    assert [piece.text for piece in found.pieces()] == [b"caf\xe9"]


def test_a_broken_table_in_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.jsonl").write_text('{"text": "a"')
    with pytest.raises(CorpusError, match=r"b\.jsonl is no JSON: line 1"):
        corpus(tmp_path)


def test_a_folder_says_what_was_binary(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    for name in "bcdef":
        (tmp_path / name).write_bytes(b"\0")
    assert corpus(tmp_path).notes == (f"{tmp_path}: left out b, c, d and 2 more",)


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_an_empty_name_is_not_the_current_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("text")
    with pytest.raises(CorpusError, match="a name without anything in it"):
        corpus(name)


def test_a_text_given_as_a_source_is_shortened_in_the_error() -> None:
    for text, message in (
        ("It was the age of wisdom,\n" * 999, "there is no file, folder or corpus called It was"),
        ("hf:" + "x y " * 999, "is no name of a Hub dataset"),
        ("Was it? " * 999, "matches no file"),
    ):
        with pytest.raises(CorpusError, match=message) as caught:
            corpus(text)
        assert len(str(caught.value)) < 150
        assert "\n" not in str(caught.value)
        assert text[:20] in str(caught.value)


def test_a_file_name_that_is_not_utf_8_can_be_read_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    Path(name).write_text("text")
    Path(name + ".csv").write_text("body\ntext\n")
    assert documents(corpus(name)) == ["text"]
    assert documents(corpus(name + ".csv", text_column="body")) == ["text"]
    text = corpus(tmp_path)
    assert text.names == (f"{tmp_path}/caf\\xe9",)
    assert text.notes == (f"{tmp_path}: left out caf\\xe9.csv",)
    for source in (name + "x", name + "*x", name + ".csv"):
        with pytest.raises(CorpusError, match=r"caf\\xe9") as caught:
            corpus(source)
        assert str(caught.value).isascii()


def test_globs_name_files_and_a_name_with_signs_in_it_is_itself(tmp_path: Path) -> None:
    for name in ["a1.txt", "a2.txt", "b.md", "below/a3.txt", "a[1].txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert documents(corpus(f"{tmp_path}/a?.txt")) == ["a1.txt", "a2.txt"]
    assert documents(corpus(f"{tmp_path}/below/../**/*3.txt")) == ["below/a3.txt"]
    assert documents(corpus(tmp_path / "a[1].txt")) == ["a[1].txt"]
    with pytest.raises(CorpusError, match="matches no file"):
        corpus(f"{tmp_path}/*.nothing")
    with pytest.raises(CorpusError, match="matches only folders"):
        corpus(f"{tmp_path}/bel*")


def test_several_sources_keep_their_order_and_each_file_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A")
    (tmp_path / "b").write_text("B")
    text = corpus(tmp_path / "b", tmp_path / "a", tmp_path / "b")
    assert documents(text) == ["B", "A", "B"]
    assert text.size == 3


def test_the_digest_depends_on_documents_and_their_order_but_not_on_names(tmp_path: Path) -> None:
    for name, content in {"a": "x", "b": "yz", "c": "xy", "d": "z", "e": "x"}.items():
        (tmp_path / name).write_text(content)

    def digest(*names: str, **options: str) -> str:
        return corpus(*(tmp_path / name for name in names), **options).digest()

    assert digest("a") == digest("e") == hashlib.sha256(b"x").hexdigest()
    assert digest("a", "b") == digest("e", "b")
    different = [digest("a", "b"), digest("b", "a"), digest("c", "d"), digest("a", "b", "a")]
    assert len(set(different)) == len(different)
    assert digest("a", encoding="UTF8") == digest("a")
    assert digest("a", encoding="latin-1") == digest("a", encoding="iso-8859-1") != digest("a")


def test_standard_input_is_kept_and_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\r\ntext")))
    first, second = corpus("-"), corpus("-")
    assert documents(first) == documents(first) == documents(second) == ["piped\r\ntext"]
    assert first.names == ("standard input",)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"another")))
    assert documents(corpus("-")) == ["another"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "standard input is empty" in str(failure(corpus("-")))


def test_what_a_killed_process_spooled_is_removed_by_the_next_one(own_cache: Path) -> None:
    script = "import os, io; from charlm.data.sources.spool import spool\n"
    script += "spool(io.BytesIO(b'private'), 'x'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    (left,) = (own_cache / "spool").iterdir()
    assert left.stat().st_mode & 0o777 == 0o600
    kept = spool(io.BytesIO(b"mine"), "x")
    assert list((own_cache / "spool").iterdir()) == [kept]
    assert kept.read_bytes() == b"mine"


def test_what_was_spooled_is_removed_at_exit(own_cache: Path) -> None:
    code = (
        "from charlm.config import DataConfig\n"
        "from charlm.data.sources.corpora import open_corpus\n"
        "c = open_corpus(['-'], DataConfig()); print(c.origins[0].path.is_file(), c.digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"hello", capture_output=True, timeout=60, check=True
    )
    assert done.stdout.split() == [b"True", hashlib.sha256(b"hello").hexdigest().encode()]
    assert list((own_cache / "spool").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read_once_and_kept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("from a pipe"))
    writer.start()
    text = corpus(tmp_path / "pipe")
    writer.join(timeout=10)
    assert documents(text) == documents(text) == ["from a pipe"]


def test_missing_sources_get_the_nearest_corpus_or_a_plain_hint(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"(?m)called tinyshakespear$") as caught:
        corpus("tinyshakespear")
    assert caught.value.hint == "did you mean the corpus tinyshakespeare?"
    with pytest.raises(CorpusError, match="no file, folder or corpus"):
        corpus(tmp_path / "missing.txt")
    with pytest.raises(CorpusError, match="no text was given"):
        corpus()
    with pytest.raises(CorpusError, match="neither a file nor a folder"):
        corpus("/dev/null")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_names_that_no_system_takes_are_refused(name: str) -> None:
    with pytest.raises(CorpusError):
        corpus(name)


def test_a_file_wins_over_a_corpus_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("enwik8").write_text("my own")
    assert documents(corpus("enwik8")) == ["my own"]


def test_empty_and_blank_texts_are_refused_and_one_character_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "blank").write_text(" \r\n\t\n" * 1000)
    (tmp_path / "one").write_text("x")
    for raw in (False, True):
        assert "empty is empty" in str(failure(corpus(tmp_path / "empty", raw=raw)))
        assert "nothing but white space" in str(failure(corpus(tmp_path / "blank", raw=raw)))
    assert documents(corpus(tmp_path / "one")) == ["x"]
    assert documents(corpus(tmp_path / "empty", tmp_path / "one")) == ["x"]


def test_the_cache_folder_can_be_chosen(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == own_cache
    monkeypatch.delenv("CHARLM_CACHE")
    assert cache_folder().name == "charlm"
