"""``charlm compress`` and ``decompress``: what goes in comes out, or nothing is written."""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.inference.adaptation.dynamic import DynamicPredictor
from charlm.inference.compression.fixed_point import FixedPointNetwork
from tests.cli.conftest import KINDS, call, failed, tree

Trained = Callable[[str], Path]


def compressed(*arguments: object) -> dict[str, object]:
    """The figures of a file that was compressed."""
    done = call("compress", *arguments, "--json")
    assert (done.code, done.err) == (0, [])
    figures = json.loads(done.out)
    assert isinstance(figures, dict)
    return figures


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_comes_back_under_its_own_name(kind: str, trained: Trained, book: Path) -> None:
    content = book.read_bytes()[:3000]
    Path("text.txt").write_bytes(content)
    figures = compressed(trained(kind), "text.txt")
    packed = Path("text.txt.charlm")
    assert figures["bytes_in"] == len(content)
    assert figures["bytes_out"] == packed.stat().st_size < 0.7 * len(content)
    assert figures["bits_per_byte"] == 8 * packed.stat().st_size / len(content)
    Path("text.txt").unlink()
    assert call("decompress", packed).code == 0
    assert Path("text.txt").read_bytes() == content


def test_the_size_is_that_of_the_perplexity_to_a_fifth_of_a_percent(
    trained: Trained, book: Path
) -> None:
    Path("text.txt").write_bytes(book.read_bytes()[:6000])
    perplexity = json.loads(call("perplexity", trained("byte"), "text.txt", "--json").out)
    bits = perplexity["bpb"] * perplexity["bytes"]
    figures = compressed(trained("byte"), "text.txt", "--lanes", 1)
    assert figures["coded_bits"] == pytest.approx(bits, rel=2e-3)
    assert figures["bytes_out"] - figures["coded_bits"] / 8 < 85 + len(str(trained("byte")))
    several = compressed(trained("byte"), "text.txt", "--lanes", 4, "--force")
    assert several["model_bits"] == pytest.approx(bits, rel=0.02)


def test_a_model_that_learns_as_it_codes(trained: Trained, book: Path) -> None:
    Path("text.txt").write_bytes(book.read_bytes()[:1200].swapcase())
    static = compressed(trained("byte"), "text.txt", "--lanes", 1)
    learned = compressed(trained("byte"), "text.txt", "--adapt", "--force")
    assert (static["mode"], learned["mode"]) == ("static", "adaptive")
    assert learned["coded_bits"] != static["coded_bits"]
    assert call("decompress", "text.txt.charlm", "--out", "again").code == 0
    assert Path("again").read_bytes() == Path("text.txt").read_bytes()


def test_counts_of_ngrams_compress_too_but_do_not_learn(book: Path) -> None:
    assert call("train", book, "--out", "grams", "--model", "ngram").code == 0
    Path("text.txt").write_bytes(book.read_bytes()[:3000])
    figures = compressed("grams", "text.txt")
    assert figures["bytes_out"] < 1000
    assert call("decompress", "text.txt.charlm", "--out", "again").code == 0
    assert Path("again").read_bytes() == Path("text.txt").read_bytes()
    refused(
        *("compress", "grams", "text.txt", "--adapt", "--force"),
        cause="no recurrent network",
        remedy="--model recurrent",
    )


def test_through_pipes(run: Path) -> None:
    content = b"lo ba\r\n\xff\0 co"
    packed = call("compress", run, "-", stdin=content)
    assert packed.code == 0
    assert packed.err[0].startswith("12 bytes -> ")
    again = call("decompress", "-", "--run", run, stdin=packed.raw)
    assert (again.code, again.raw) == (0, content)
    assert again.err == ["12 bytes, SHA-256 as before"]


def test_the_run_is_found_beside_the_file(run: Path) -> None:
    Path("text.txt").write_text("ba co")
    compressed("run", "text.txt")
    Path("elsewhere").mkdir()
    shutil.move("run", "elsewhere/run")
    shutil.move("text.txt.charlm", "elsewhere/text.txt.charlm")
    assert call("decompress", "elsewhere/text.txt.charlm").code == 0
    assert Path("elsewhere/text.txt").read_text() == "ba co"


def test_figures_for_people(run: Path) -> None:
    Path("empty").touch()
    lines = call("compress", run, "empty").out.splitlines()
    titles = ["file", "model", "compressed", "bits", "checked"]
    assert [line.split()[0] for line in lines] == titles
    lines = call("decompress", "empty.charlm", "--out", "again").out.splitlines()
    assert [line.split()[0] for line in lines] == ["file", "from"]
    assert Path("again").read_bytes() == b""
    done = json.loads(call("decompress", "empty.charlm", "--out", "third", "--json").out)
    assert done["bytes_out"] == 0


@pytest.fixture
def packed(run: Path) -> Path:
    """A compressed file; what it was made from is gone."""
    Path("text.txt").write_text("ba co lo mé")
    compressed("run", "text.txt")
    Path("text.txt").unlink()
    return Path("text.txt.charlm")


def refused(*command: object, cause: str, remedy: str, code: int = 1) -> None:
    """Assert that a command fails in two lines and changes nothing."""
    before = tree(Path())
    failed(call(*command), code, cause, remedy)
    assert tree(Path()) == before


def test_files_that_are_not_what_they_should_be(packed: Path, book: Path) -> None:
    content = packed.read_bytes()
    refused("decompress", book, "--out", "x", cause="is no file that charlm", remedy="name one")
    for number, damaged in enumerate((content[:-9], content[:30] + b"?" + content[31:])):
        path = Path(f"damaged{number}.charlm")
        path.write_bytes(damaged)
        refused("decompress", path, cause="damaged or cut short", remedy="restore it")
    Path("short.charlm").write_bytes(content[:7])
    refused("decompress", "short.charlm", cause="is no file that charlm", remedy="name one")
    refused("decompress", "none.charlm", cause="No such file", remedy="check the path")
    refused("compress", "run", "none.txt", cause="No such file", remedy="check the path")
    refused("compress", "run", ".", "--out", "x", cause="directory", remedy="check the path")


def test_runs_that_are_not_what_they_should_be(packed: Path, trained: Trained) -> None:
    other = trained("byte")
    refused("decompress", packed, "--run", other, cause="another model than", remedy="--run RUN")
    shutil.move("run", "gone")
    refused("decompress", packed, cause="with the run run, which is not here", remedy="--run")
    refused(
        "compress", "run", packed, cause="run does not exist", remedy="name the folder of a run"
    )


def test_targets_that_cannot_be(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("text.txt").write_text("keep me")
    refused("compress", "run", "text.txt", cause="text.txt.charlm exists already", remedy="--force")
    refused("decompress", packed, cause="text.txt exists already", remedy="--force")
    refused("decompress", packed, "--out", "run", cause="run is a folder", remedy="name a file")
    refused("decompress", packed, "--out", "no/x", cause="no folder no", remedy="make it")
    shutil.copy(packed, "packed")
    refused("decompress", "packed", cause="does not end in .charlm", remedy="--out", code=2)
    refused("compress", "run", "text.txt", "--lanes", 0, cause="range", remedy="--help", code=2)
    both = "would both go to standard output"
    refused("compress", "run", "-", "--json", cause=both, remedy="--help", code=2)
    assert call("decompress", packed, "--force").code == 0
    assert Path("text.txt").read_text() == "ba co lo mé"


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_device_or_a_pipe_is_written_into_and_never_replaced(
    run: Path, options: tuple[str, ...]
) -> None:
    Path("text.txt").write_text("ba co lo")
    Path("null").symlink_to("/dev/null")
    os.mkfifo("pipe")
    packed: list[bytes] = []
    reader = threading.Thread(target=lambda: packed.append(Path("pipe").read_bytes()))
    reader.start()
    assert call("compress", run, "text.txt", "--out", "pipe", *options).code == 0
    reader.join()
    assert call("compress", run, "text.txt", "--out", "null", *options).code == 0
    Path("text.txt.charlm").write_bytes(packed[0])
    assert call("decompress", "text.txt.charlm", "--out", "null", *options).code == 0
    assert Path("pipe").is_fifo()
    assert Path("null").is_char_device()
    assert call("decompress", "text.txt.charlm", "--out", "again").code == 0
    assert Path("again").read_text() == "ba co lo"


def test_without_constriction_two_lines_say_how_to_get_it(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    missing, remedy = "needs the package constriction", "pip install"
    refused("decompress", packed, cause=missing, remedy=remedy)
    refused("compress", "run", packed, "--out", "x", cause=missing, remedy=remedy)


@pytest.mark.parametrize(
    ("options", "steps"), [((), FixedPointNetwork), (("--adapt",), DynamicPredictor)]
)
@pytest.mark.parametrize("at", [3, 13])
def test_an_interruption_leaves_nothing(
    options: tuple[str, ...], steps: type, at: int, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it codes (the trial and eight tokens) and while it checks."""
    Path("text.txt").write_text("ba co lo")
    work, calls = steps.advance, []
    before = tree(Path())

    def interrupted_work(self: object, tokens: object, state: object) -> object:
        calls.append(tokens)
        if len(calls) == (at + 16 * (steps is FixedPointNetwork)):
            signal.raise_signal(signal.SIGINT)
        return work(self, tokens, state)

    monkeypatch.setattr(steps, "advance", interrupted_work)
    done = call("compress", "run", "text.txt", *options)
    assert (done.code, done.err, done.out) == (130, ["interrupted"], "")
    assert tree(Path()) == before
