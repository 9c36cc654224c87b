"""The front door: what Python offers is what the command line does."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm import CharlmError, Model, api
from tests.cli.conftest import book_text, call

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 4, "bptt": 16, "steps": 20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a book and a run of it, made through the front door."""
    made = tmp_path_factory.mktemp("front")
    (made / "book.txt").write_text(book_text(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(made / "cache"))
        for _ in charlm.train(made / "book.txt", out=made / "runs/book", **SMALL):
            pass
    return made


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests work beside the run, with the cache it was trained with."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CHARLM_CACHE", str(folder / "cache"))


@pytest.fixture
def model() -> Model:
    return charlm.load("runs/book")


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    return done.stdout


def test_importing_loads_nothing_and_using_loads_what_is_needed() -> None:
    shown = python(
        "import sys, charlm\n"
        "light = {'torch', 'numpy', 'charlm.api', 'charlm.config'} & set(sys.modules)\n"
        "names = [name for name in dir(charlm) if not name.startswith('_')]\n"
        "print(light or '', names, charlm.load.__name__, 'torch' in sys.modules)"
    )
    assert shown.split("[")[0].strip() == ""
    assert "['CharlmError', 'Model', 'compare', 'load', 'train'] load True" in shown


def test_what_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'charlm' has no attribute 'lood'"):
        charlm.lood  # noqa: B018


def test_help_names_all_that_is_offered() -> None:
    shown = python(
        "import pydoc, charlm; print(pydoc.render_doc(charlm, renderer=pydoc.plaintext))"
    )
    for name in ("load(run", "train(sources", "compare(a", "generate(self", "stream(self"):
        assert name in shown


def public(kind: Any) -> Iterator[tuple[str, Any]]:
    return ((name, each) for name, each in inspect.getmembers(kind) if not name.startswith("_"))


def test_everything_public_is_documented_and_calls_have_an_example() -> None:
    calls = [api.load, api.train, api.compare, *(e for _, e in public(Model) if callable(e))]
    for each in [*calls, Model, *(e for _, e in public(Model))]:
        assert inspect.getdoc(each), each
    for each in calls:
        assert "Example::" in (inspect.getdoc(each) or ""), each.__name__
        assert inspect.signature(each).return_annotation is not inspect.Signature.empty


def examples() -> Iterator[tuple[str, str]]:
    calls = [("load", api.load), *public(Model), ("compare", api.compare), ("train", api.train)]
    for name, each in calls:
        parts = (inspect.getdoc(each) or "").split("Example::\n\n")
        if len(parts) == 2:
            yield name, textwrap.dedent(parts[1])


EXAMPLES = dict(examples())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_of_a_docstring_runs(
    name: str, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    for each in ("other", "book") if name != "train" else ("other",):
        (tmp_path / "runs" / each).symlink_to(Path("runs/book").absolute())
    (tmp_path / "book.txt").write_text("ba co. Loba\ndi fu.\n" * 300)
    (tmp_path / "pairs.tsv").write_text("ba co\tco ba\ndi fu\tfu di\n")
    (tmp_path / "nbest.txt").write_text("a-1 -2.5 ba co\na-2 -2.4 co ba\n")
    monkeypatch.chdir(tmp_path)
    code = re.sub("It was[ a-z]*", "ba co", EXAMPLES[name])
    exec(code, {"charlm": charlm, "model": model, "Path": Path})


def test_generating_gives_what_the_command_prints(model: Model) -> None:
    prompt = "ba co"
    printed = call("generate", "runs/book", "--prompt", prompt, "--seed", 1)
    assert model.generate(prompt, seed=1) == printed.out
    assert printed.out.startswith(prompt)
    assert len(printed.out) == len(prompt) + 500
    options = ("--temperature", 0.5, "-n", 40, "--top-k", 3, "--stop", "lo", "--samples", 3)
    printed = call("generate", "runs/book", "--seed", 7, *options)
    texts = model.generate(seed=7, temperature=0.5, length=40, top_k=3, stop=["lo"], samples=3)
    assert "\n\n".join(texts) == printed.out
    assert texts == [
        model.generate(seed=seed, temperature=0.5, length=40, top_k=3, stop="lo")
        for seed in (7, 8, 9)
    ]


def test_a_stream_is_the_continuation_in_whole_characters(model: Model) -> None:
    stream = model.stream("mé", seed=3, length=60)
    pieces = list(stream)
    assert "mé" + "".join(pieces) == model.generate("mé", seed=3, length=60)
    assert len(pieces) > 20
    assert (stream.seed, stream.finish) == (3, "length")


def test_several_prompts_give_a_list(model: Model) -> None:
    both = model.generate(["ba", "co"], seed=1, length=9)
    assert both == [model.generate(prompt, seed=1, length=9) for prompt in ("ba", "co")]
    nested = model.generate(["ba", "co"], seed=1, length=9, samples=2)
    assert [texts[0] for texts in nested] == both
    assert [len(texts) for texts in nested] == [2, 2]
    assert model.generate([]) == []


def test_without_a_seed_texts_differ_and_say_how_to_get_them_again(model: Model) -> None:
    assert model.generate(length=80) != model.generate(length=80)
    stream = model.stream(length=40)
    text = "".join(stream)
    assert model.generate(length=40, seed=stream.seed) == text


def test_a_model_may_be_used_by_several_threads(model: Model) -> None:
    alone = [model.generate("ba", seed=seed, length=300) for seed in range(4)]
    found: dict[int, str] = {}

    def write(seed: int) -> None:
        found[seed] = "ba" + "".join(model.stream("ba", seed=seed, length=300))

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == alone


def test_two_streams_in_turn_do_not_disturb_each_other(model: Model) -> None:
    pieces: dict[int, list[str]] = {1: [], 2: []}
    streams = {seed: model.stream("co", seed=seed, length=50) for seed in pieces}
    for _ in range(50):
        for seed, stream in streams.items():
            pieces[seed].append(next(stream, ""))
    for seed, written in pieces.items():
        assert "co" + "".join(written) == model.generate("co", seed=seed, length=50)


def test_a_model_says_what_it_is_in_a_line(model: Model) -> None:
    size = model.tokenizer.vocab_size
    assert repr(model) == (
        f"<charlm.Model runs/book: lstm 1x16, char, vocabulary {size}, step {model.step}>"
    )
    assert model.config.model.hidden_size == 16
    assert model.run == Path("runs/book")
    assert model.name == f"runs/book, step {model.step}"
    assert sum(p.numel() for p in model.network.parameters()) > 0


def test_a_path_is_as_good_as_a_str() -> None:
    assert repr(charlm.load(Path("runs/book"))) == repr(charlm.load("runs/book"))
    step = charlm.load("runs/book").step
    assert charlm.load("runs/book", step=step).step == step


WRONG: list[tuple[Any, str, str]] = [
    (lambda m: charlm.load("nothing"), "nothing does not exist", "runs/NAME"),
    (lambda m: charlm.load("boook"), "boook does not exist", "runs/book"),
    (lambda m: charlm.load(3), "`run` must be the folder of a run, a str or a Path, got 3", "run"),
    (lambda m: charlm.load(None), "`run` must be the folder of a run, a str or a Path", "run"),
    (lambda m: charlm.load("runs/book", step="best"), "`step` must be a whole number", "step"),
    (lambda m: charlm.load("runs/book", step=7), "no checkpoint of step 7", "choose one of"),
    (lambda m: charlm.load("runs/book", stp=7), "unknown argument `stp` of load", "step"),
    (lambda m: charlm.load("runs/book", device="gpu"), "no device 'gpu'", "auto"),
    (lambda m: charlm.train("a text\nof two lines"), "`sources` names files, but a text", "file"),
    (lambda m: charlm.train("book.txt", hiden_size=3), "hiden_size", "hidden_size"),
    (lambda m: charlm.train("book.txt", hidden_size="big"), "must be a whole number", "hidden"),
    (lambda m: charlm.train("book.txt", minutes=1, steps=3), "both given", "one way only"),
    (lambda m: charlm.train(out="nothing"), "nothing does not exist", "runs/NAME"),
    (lambda m: charlm.train(), "there is nothing to train on", "name a text"),
    (lambda m: charlm.train(3), "`sources` must be names of texts", "sources"),
    (lambda m: charlm.train([3]), "must be a str or a Path", "name files"),
    (lambda m: m.generate(3), "`prompt` must be a str, or a list of them, got 3", "prompt"),
    (lambda m: m.generate([3]), "`prompt` must be a str, or a list of them, got 3", "prompt"),
    (lambda m: m.generate(temprature=1), "argument `temprature` of generate", "temperature"),
    (lambda m: m.generate(temperature=-1), "temperature` must be", "temperature"),
    (lambda m: m.generate(temperature="hot"), "temperature` must be a number", "temperature"),
    (lambda m: m.generate(length=-5), "length` must be", "length"),
    (lambda m: m.generate(samples=0), "`samples` must be 1 or more", "samples"),
    (lambda m: m.generate(samples=1.5), "`samples` must be a whole number", "samples"),
    (lambda m: m.generate(seed="x"), "`seed` must be a whole number", "seed"),
    (lambda m: m.generate(stop=""), "`stop` must not be empty", "leave"),
    (lambda m: m.generate("ba Ж"), "never seen: 'Ж' (1x)", "`replace_unknown`"),
    (lambda m: m.generate("Ж", replace_unknown="Ł"), "does not know the replacement", "another"),
    (lambda m: m.generate(precision="float8"), "float8", "float32"),
    (lambda m: m.stream(["ba"]), "`prompt` must be a str", "prompt"),
    (lambda m: m.stream(samples=3), "argument `samples` of stream", ""),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_mistake_is_answered_in_words_of_python(number: int, model: Model) -> None:
    attempt, cause, hint = WRONG[number]
    with pytest.raises(CharlmError) as caught:
        attempt(model)
    assert cause in str(caught.value)
    assert hint in caught.value.hint
    assert not re.search(r"(^|\s)--\w", str(caught.value) + caught.value.hint)


def test_training_yields_reports_and_ends_with_done(folder: Path) -> None:
    reports = list(charlm.train("book.txt", out="runs/again", **SMALL))
    assert type(reports[-1]).__name__ == "Done"
    assert charlm.load("runs/again").generate(seed=2) == charlm.load("runs/book").generate(seed=2)
    resumed = list(charlm.train(out="runs/again"))
    assert resumed[-1].step == reports[-1].step == 20  # type: ignore[union-attr]
