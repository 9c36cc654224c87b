"""A text that is tuned on is not scored: told by hashes of files and by names of parts."""

from pathlib import Path

import pytest

from charlm.config import Config
from charlm.errors import CorpusError
from charlm.inference.adaptation.overlap import refuse_overlap
from charlm.inference.loading import Loaded, load_part, load_run, open_for
from charlm.training.launch import launch

BOOK = "".join(f"ba co lo {number} me ne\n" for number in range(300))


def run_on(data: dict[str, object]) -> Loaded:
    """An n-gram model, which is trained in no time, of the texts that ``data`` names."""
    model = {"kind": "ngram", "order": 2}
    list(launch(Config.from_tables({"data": data, "model": model}), Path("run")))
    return load_run(Path("run"))


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "book.txt": BOOK,
        "copy.txt": BOOK,
        "other.txt": BOOK[:-1],
        "dev.txt": BOOK[:3000],
        "test.txt": BOOK[3000:],
    }.items():
        Path(name).write_text(text)


@pytest.fixture
def divided(texts: None) -> Loaded:
    """A run whose parts were cut from one file."""
    return run_on({"sources": ["book.txt"], "split": [80, 10, 10]})


@pytest.fixture
def separate(texts: None) -> Loaded:
    """A run whose validation and test texts are files of their own."""
    return run_on({"sources": ["book.txt"], "valid": ["dev.txt"], "test": ["test.txt"]})


def refused(loaded: Loaded, tuned_on: str, scored: str) -> bool:
    """Whether tuning and scoring these is refused; ``@`` before the name of a part of the run."""
    part = scored.startswith("@")
    content = load_part(loaded, scored[1:]) if part else open_for(loaded, tuple(scored.split()))
    try:
        refuse_overlap(loaded, tuned_on.split(), content)
    except CorpusError:
        return True
    return False


@pytest.mark.parametrize("scored", ["copy.txt", "other.txt copy.txt"])
def test_a_file_is_the_same_under_every_name_and_among_others(divided: Loaded, scored: str) -> None:
    assert refused(divided, "book.txt", scored)
    assert refused(divided, "other.txt book.txt", scored)
    assert not refused(divided, "dev.txt", scored)


def test_a_file_that_differs_in_one_character_is_another(divided: Loaded) -> None:
    assert not refused(divided, "book.txt", "other.txt")


def test_a_part_is_the_same_as_itself_and_as_the_file_it_was_cut_from(divided: Loaded) -> None:
    assert refused(divided, "valid", "@valid")
    assert refused(divided, "valid", "copy.txt")
    assert refused(divided, "book.txt", "@test")
    assert not refused(divided, "valid", "@test")
    assert not refused(divided, "valid", "other.txt")


def test_parts_that_are_files_are_only_the_same_as_those(separate: Loaded) -> None:
    assert refused(separate, "valid", "dev.txt")
    assert refused(separate, "dev.txt", "@valid")
    assert not refused(separate, "valid", "book.txt")
    assert not refused(separate, "valid", "test.txt")
    assert not refused(separate, "dev.txt", "@test")


def test_a_text_that_is_gone_cannot_be_told(separate: Loaded) -> None:
    Path("dev.txt").unlink()
    assert not refused(separate, "valid", "test.txt")
    assert refused(separate, "valid", "@valid")
