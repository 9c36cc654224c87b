"""The texts that every Python carries."""

import ast
from pathlib import Path

import pytest

from charlm.config import DataConfig
from charlm.data.sources import embedded
from charlm.data.sources.corpora import open_corpus
from charlm.errors import CorpusError


def paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n")]


def test_the_help_topics_are_prose_in_the_order_of_their_names() -> None:
    from pydoc_data.topics import topics

    text = open_corpus(["python-docs"], DataConfig())
    pieces = list(text.pieces())
    in_order = iter([topics[name] for name in sorted(topics)])
    for piece in pieces:  # each from one topic, and the topics in their order
        assert any(set(paragraphs(piece.text)) <= set(paragraphs(topic)) for topic in in_order)
    assert all(piece.starts for piece in pieces)
    assert sum(len(piece.text) for piece in pieces) > 250_000
    assert text.digest() == open_corpus(["python-docs"], DataConfig()).digest()


def test_no_paragraph_of_the_help_topics_comes_twice() -> None:
    """What a model has been trained on cannot be held out."""
    text = "\n\n".join(embedded.python_docs())
    seen = [part for part in paragraphs(text) if len(part) >= embedded.SHORTEST_REPEAT]
    assert len(seen) == len(set(seen))


def test_the_standard_library_is_source_without_its_tests() -> None:
    texts = list(embedded.python_stdlib())
    assert sum(map(len, texts)) > 5_000_000
    assert Path(ast.__file__).read_bytes().decode() in texts
    for name in ["idlelib/run.py", "test/test_ast.py", "unittest/test/__init__.py"]:
        path = Path(ast.__file__).parent / name
        assert not path.is_file() or path.read_text(encoding="utf-8") not in texts
    assert texts == list(embedded.python_stdlib())


def test_files_that_are_not_utf_8_and_tests_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["b.py", "a/z.py", "test/c.py", "a/tests/d.py", "site-packages/e.py", "f.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() + b"\r\n")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9")
    monkeypatch.setattr(embedded.sysconfig, "get_path", lambda name: str(tmp_path))
    assert list(embedded.python_stdlib()) == ["a/z.py\r\n", "b.py\r\n"]


def test_a_python_without_them_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded.EMBEDDED, "python-docs", lambda: iter(()))
    with pytest.raises(CorpusError, match="this Python carries no text"):
        list(open_corpus(["python-docs"], DataConfig()).pieces())


def test_raw_reading_gives_bytes() -> None:
    piece = next(open_corpus(["python-docs"], DataConfig(), raw=True).pieces())
    assert isinstance(piece.text, bytes)
