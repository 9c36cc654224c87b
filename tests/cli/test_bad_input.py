"""Whatever is wrong: one line of cause, one of remedy, exit 1 or 2, and nothing is harmed."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, call, failed, tree

Trained = Callable[[str], Path]


@pytest.fixture(autouse=True)
def things(book: Path, run: Path, trained: Trained) -> None:
    """What the commands below are given; all in the working folder."""
    shutil.copytree(trained("byte"), "byte-run")
    shutil.copytree(trained("bpe"), "bpe-run")
    Path("empty.txt").touch()
    Path("one.txt").write_text("a")
    Path("spaces.txt").write_text(" \n\t\n" * 500)
    Path("latin1.txt").write_bytes(b"voil\xe0 le caf\xe9\n" * 100)
    Path("utf16.txt").write_text("some text\n" * 50, encoding="utf-16")
    Path("binary.txt").write_bytes(bytes(range(256)) * 20)
    Path("packed.gz").write_bytes(b"this is not gzip")
    Path("no-text").mkdir()
    Path("no-text/image.bin").write_bytes(b"\x89PNG\0\0\0\0" * 10)
    Path("empty-folder").mkdir()
    Path("full-folder").mkdir()
    Path("full-folder/letter.txt").write_text("dear")
    Path("link").symlink_to("nowhere")
    Path("broken.toml").write_text("[model\n")
    Path("loose.toml").write_text("hidden_size = 3\n")
    Path("settings.toml").write_text("[model]\nhiden_size = 3\n")
    Path("table.csv").write_text("title,body\na,b\n")


TEXTS = [
    ("missing.txt", "no file, folder or corpus called missing.txt", "check the path"),
    ("It was a day.", "no file, folder or corpus called It was", "read from standard input"),
    ("tinyshakespear", "no file, folder or corpus called", "tinyshakespeare"),
    ("empty.txt", "empty.txt is empty", "words"),
    ("one.txt", "one.txt is too small", "give more text"),
    ("spaces.txt", "nothing but white space", "words"),
    ("no-text", "holds 1 file, none of them text", "text files"),
    ("empty-folder", "holds no files", "text files"),
    ("*.nothing", "*.nothing matches no file", "pattern"),
    ("latin1.txt", "byte 0xe0 at offset 4 ", "like --encoding latin-1; models of bytes"),
    ("utf16.txt", "at offset 0 ", "--encoding utf-16"),
    ("binary.txt", "looks like a binary file", "models of bytes, --tokenizer byte, take any file"),
    ("packed.gz", "packed.gz is damaged", "again"),
    ("table.csv", "text", ""),
    ("wikitext-2", "has not been fetched", "charlm corpora fetch wikitext-2"),
]


@pytest.mark.parametrize(("source", "cause", "remedy"), TEXTS, ids=[text[0] for text in TEXTS])
def test_text_that_cannot_be_trained_on(source: str, cause: str, remedy: str) -> None:
    before = tree(Path())
    failed(call("train", source, "--out", "new", *SMALL), 1, cause, remedy)
    assert tree(Path()) == before


@pytest.mark.parametrize("command", ["perplexity", "score"])
@pytest.mark.parametrize(
    ("source", "cause", "remedy"),
    [text for text in TEXTS if text[0] not in ("one.txt", "wikitext-2", "tinyshakespear")],
)
def test_text_that_cannot_be_scored(command: str, source: str, cause: str, remedy: str) -> None:
    before = tree(Path())
    failed(call(command, "run", source), 1, cause, remedy)
    assert tree(Path()) == before


WRONG = [
    ("train", "nothing to train on", "name a text, like book.txt, or a corpus"),
    ("train book.txt --split 90", "two or three positive shares", "--split 90,10"),
    ("train book.txt --split 90,-10", "two or three positive shares", "--split 90,10"),
    ("train book.txt --split 90,inf", "two or three positive shares", "--split 90,10"),
    ("train book.txt --split 90,x", "no list of numbers like 90,5,5", "charlm train --help"),
    ("train book.txt --split 9,1 --valid book.txt", "--split and --valid contradict", "leave out"),
    ("train book.txt --vocab-size 3", "--vocab-size must be at least 4", "--vocab-size"),
    ("train book.txt --minutes 0", "--minutes must be more than 0, got 0", "--minutes"),
    ("train book.txt --minutes nan", "--minutes must be finite, got nan", "--minutes"),
    ("train book.txt --minutes inf", "--minutes must be finite, got inf", "--minutes"),
    ("train book.txt --epochs -1", "--epochs must be more than 0", "--epochs"),
    ("train book.txt --steps 0", "--steps must be at least 1", "--steps"),
    ("train book.txt --steps 1 --minutes 1", "contradict each other", "leave out"),
    ("train book.txt --dropout 1", "--dropout must be", "--dropout"),
    ("train book.txt --hidden-size x", "'x' is not a valid integer", "charlm train --help"),
    ("train book.txt --cell lst", "'lst' is not one of", "charlm train --help"),
    ("train book.txt --device gpu", "no device 'gpu'", "--device auto"),
    ("train book.txt --encoding klingon", "--encoding must be", "utf-8"),
    ("train book.txt --set model.hiden_size=3", "setting model.hiden_size", "model.hidden_size"),
    ("train book.txt --set modle.cell=gru", "section modle", "model"),
    ("train book.txt --set kind=3", "kind could be tokenizer.kind or model.kind", "section too"),
    ("train book.txt --set lr=1e-3", "unknown setting lr", "training.learning_rate"),
    ("train book.txt --set model.hidden_size=big", "must be a whole number", "hidden_size"),
    ("train book.txt --set model.connections=skip", "nothing with --num-layers 1", "--num-layers"),
    ("train book.txt --set training.random_bptt=true --set training.bptt=5", "got 5", "longer"),
    ("train book.txt --set training.accumulate=99 --steps 1", "more than --batch-size 32", "lane"),
    ("train book.txt --config missing.toml", "missing.toml cannot be read", "check the path"),
    ("train book.txt --config broken.toml", "cannot be read as TOML", "check the file"),
    ("train book.txt --config loose.toml", "hidden_size is not in a section", "[model]"),
    ("train book.txt --config settings.toml", "model.hiden_size", "model.hidden_size"),
    ("train book.txt --stepz 3", "No such option '--stepz'", "--steps"),
    ("trian book.txt", "unknown command trian", "train"),
    ("--nonsense", "No such option '--nonsense'", "charlm --help"),
    ("generate", "Missing argument 'RUN'", "charlm generate --help"),
    ("generate run --temperature -1", "--temperature must be at least 0", "--temperature"),
    ("generate run --temperature nan", "--temperature must be finite", "--temperature"),
    ("generate run --top-k -1", "--top-k must be at least 0", "--top-k"),
    ("generate run --top-k 1.5", "'1.5' is not a valid integer", "charlm generate --help"),
    ("generate run --top-p 0", "--top-p must be at most 1 and more than 0", "--top-p"),
    ("generate run --min-p 2", "--min-p must be at least 0 and at most 1", "--min-p"),
    ("generate run --length -2", "--length must be at least -1", "--length"),
    ("generate run --samples 0", "not in the range", "charlm generate --help"),
    ("generate run --seed -1", "not in the range", "charlm generate --help"),
    ("generate run --stop=", "--stop must not be empty", "leave it out"),
    ("generate run --device gpu", "no device 'gpu'", "--device auto"),
    ("perplexity run", "a text to measure or a --part", "--part test"),
    ("perplexity run book.txt --part test", "a text to measure or a --part", "--part test"),
    ("perplexity run --part test --encoding latin-1", "nothing with --part", "--help"),
    ("perplexity byte-run book.txt --encoding latin-1", "no encoding", "leave --encoding out"),
    ("score bpe-run book.txt --by char", "needs a char or byte tokenizer", "--by token"),
    ("score run book.txt --by sentence", "'sentence' is not one of", "charlm score --help"),
    ("corpora shw", "No such command 'shw'", "show"),
    ("corpora make markov --out m.txt --set order", "given as name=value", "order=3"),
    ("corpora make markov --out m.txt --set ordr=2", "parameter ordr", "order"),
    ("completion tcsh", "'tcsh' is not one of", "charlm completion --help"),
    ("demo --minutes 0", "--minutes must be more than 0", "minutes"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "cause", "remedy"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_wrong_use_exits_with_two(command: str, cause: str, remedy: str) -> None:
    before = tree(Path())
    failed(call(*command.split()), 2, cause, remedy)
    assert tree(Path()) == before


def test_unknown_characters_of_a_text_are_counted_and_named_and_scored_with_and_without() -> None:
    Path("odd.txt").write_text("ba co ЖЖ ŁŁŁ lo\n")
    found = json.loads(call("perplexity", "run", "odd.txt", "--json").out)
    assert (found["oov"], found["unknown"]) == (5, {"Ж": 2, "Ł": 3})
    assert found["perplexity_without_oov"] < found["perplexity"]
    shown = call("perplexity", "run", "odd.txt").out.splitlines()
    assert shown[-2].endswith("never seen in training: 'Ł' (3x), 'Ж' (2x)")
    assert shown[-1].split()[:3] == ["perplexity", "without", "them"]
    rows = csv.DictReader(io.StringIO(call("score", "run", "odd.txt").out), delimiter="\t")
    assert sum(int(row["oov"]) for row in rows) == 5


def test_unknown_characters_of_a_prompt_are_refused_before_anything_is_printed() -> None:
    done = call("generate", "run", "--prompt", "ba ŁЖŁ")
    failed(done, 1, "never seen: 'Ł' (2x), 'Ж' (1x)", "--replace-unknown")
    assert done.out == ""
    again = call("generate", "run", "--prompt", "ba Ł", "--replace-unknown", "Ж")
    failed(again, 1, "does not know the replacement 'Ж' either", "another one")


def test_a_prompt_that_is_no_text_is_refused() -> None:
    done = call("generate", "run", "--prompt", "-", stdin=b"ba \xff")
    failed(done, 1, "byte 0xff at offset 3", "utf-8")


def test_a_made_text_overwrites_nothing() -> None:
    before = tree(Path())
    done = call("corpora", "make", "markov", "--out", "book.txt", "--chars", 100)
    failed(done, 1, "book.txt exists already", "another file")
    assert tree(Path()) == before


def test_a_real_text_in_another_encoding_is_read_when_its_name_is_given(shared_data: Path) -> None:
    source = shared_data / "dickens-excerpt.not-utf8"
    done = call("train", source, "--out", "new", *SMALL)
    failed(done, 1, "is not utf-8 text: byte 0x", "--encoding latin-1")
    assert not Path("new").exists()
    assert call("train", source, "--out", "new", "--encoding", "cp1252", "--dry-run").code == 0
    assert call("train", source, "--out", "new", "--tokenizer", "byte", "--dry-run").code == 0


@pytest.mark.parametrize(
    "command",
    ["generate {}", "compress byte-run {}", "train one.txt --out {}"],
)
def test_an_empty_path_is_not_the_current_folder(command: str) -> None:
    outcome = call(*(word.format("") for word in command.split()))
    assert outcome.code == 2
    assert "empty" in outcome.err[0]


@pytest.mark.parametrize(
    "command",
    [
        "generate byte-run --seed 1 --seed 2",
        "train --steps 1 --steps 2",
        "train --set model.dropout=0 --set model.dropout=1",
        "corpora make markov --out x --set order=1 --set order=2",
    ],
)
def test_an_option_given_twice_is_refused(command: str) -> None:
    outcome = call(*command.split())
    assert outcome.code == 2
    assert "given more than once" in outcome.err[0]


def test_a_text_in_place_of_a_name_is_shortened(run: Path) -> None:
    done = call("perplexity", "run", "a long text " * 100)
    assert done.code == 1
    assert "a long text a long" in done.err[0]
    assert len(done.err[0]) < 200
