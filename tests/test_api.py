"""The front door: what Python offers is what the command line does."""

import inspect
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm import CharlmError, Model, api
from charlm.errors import CharlmWarning
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
    names = ["CharlmError", "Model", "compare", "export_model", "export_page", "import_model",
             "load", "pull", "push", "report", "train"]  # fmt: skip
    assert f"{names} load True" in shown


def test_importing_sets_openmp_as_the_program_does() -> None:
    environment = {name: own for name, own in os.environ.items() if name != "GOMP_SPINCOUNT"}
    for module in ("charlm", "charlm.cli.main"):
        code = f"import os, {module}; print(os.environ['GOMP_SPINCOUNT'])"
        command = [sys.executable, "-c", code]
        assert subprocess.check_output(command, text=True, env=environment) == "2000\n"


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
    long = name in ("train", "find_units")
    (tmp_path / "book.txt").write_text("ba co. Loba\ndi fu.\n" * (300 if long else 20))
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


def test_a_stream_may_be_closed_in_the_middle(model: Model) -> None:
    stream = model.stream("ba", seed=3, length=50)
    next(stream)
    stream.close()
    assert list(stream) == []
    assert stream.finish is None


def test_a_stream_that_has_been_read_says_so(model: Model) -> None:
    stream = model.stream("ba", seed=3, length=5)
    assert len("".join(stream)) == 5
    with pytest.raises(CharlmError, match="read to its end") as caught:
        list(stream)
    assert "`seed=3`" in caught.value.hint
    assert next(stream, None) is None


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
    assert repr(model.tokenizer) == f"<CharTokenizer: char, vocabulary {size}>"
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
    (lambda m: charlm.train("runs/book"), "runs/book is a run, not a text", "`out='runs/book'`"),
    (lambda m: charlm.train(3), "`sources` must be names of texts", "sources"),
    (lambda m: charlm.train([3]), "this cannot be a source: 3", ""),
    (lambda m: charlm.report([], "a.html"), "no run was given", "runs/NAME"),
    (lambda m: charlm.report([5], "a.html"), "`of` must be a str or a Path, got 5", "of"),
    (lambda m: charlm.report("runs/book", 5), "`out` must be a str or a Path, got 5", "out"),
    (lambda m: charlm.import_model(5, "a"), "`file` must be a str or a Path", "file"),
    (lambda m: charlm.import_model("book.txt", 5), "`out` must be a str or a Path", "out"),
    (lambda m: charlm.import_model("book.txt", "a", vocab=5), "`vocab` must be a str", "vocab"),
    (lambda m: charlm.export_model(5, "onnx", "a"), "`run` must be a str or a Path", "run"),
    (lambda m: charlm.export_page("runs/book", 5), "`out` must be a str or a Path", "out"),
    (lambda m: charlm.export_page(5, "a.html"), "`run` must be a str or a Path", "run"),
    (lambda m: charlm.push(5, "a/b"), "`run` must be a str or a Path", "run"),
    (lambda m: charlm.push("runs/book", 5), "5 is no name of a repository", "owner/name"),
    (lambda m: charlm.pull("a/b", 5), "`out` must be a str or a Path", "out"),
    (lambda m: m.generate(beam=3, temperature=0.5), "`temperature` does nothing with", "leave"),
    (lambda m: m.generate(best_of=3, length=-1), "`length=-1` has no end", "length"),
    (lambda m: m.fill("ba ___", pattern="a"), "`pattern` does nothing with `fill`", "leave"),
    (lambda m: m.generate(3), "`prompt` must be a str, or a list of them, got 3", "prompt"),
    (lambda m: m.generate([3]), "`prompt` must be a str, or a list of them, got 3", "prompt"),
    (lambda m: m.generate(temprature=1), "argument `temprature` of generate", "temperature"),
    (lambda m: m.generate(temperature=-1), "temperature` must be", "temperature"),
    (lambda m: m.generate(temperature="hot"), "temperature` must be a number", "temperature"),
    (lambda m: m.generate(length=-5), "length` must be", "length"),
    (lambda m: m.generate(stop=5), "`stop` must be a str, or a list of them, got 5", "stop"),
    (lambda m: m.generate(stop=["a", None]), "`stop` must be a str, or a list", "stop"),
    (lambda m: m.generate(past_end="no"), "`past_end` must be True or False, got 'no'", ""),
    (lambda m: m.generate(replace_unknown=5), "`replace_unknown` must be a str or None", ""),
    (lambda m: m.perplexity("a", window=1.5), "`window` must be a whole number or None", ""),
    (lambda m: m.perplexity("a", convention="nanogpt", window=0), "must be at least 1", "window"),
    (lambda m: m.score("\ud800"), "half a surrogate pair", "mend"),
    (lambda m: m.pairs([("\ud800", "a")]), "half a surrogate pair", "mend"),
    (lambda m: m.adapt(dynamic={5: 1}), "unknown setting `dynamic.5`", "known"),
    (lambda m: charlm.train("book.txt", out="\0"), "`out` must be the folder of a run", "out"),
    (lambda m: m.adapt(tune_on=5), "`tune_on` must be", "tune_on"),
    (lambda m: m.rescore("n.txt", refs=5), "`refs` must be the name of a file", "refs"),
    (lambda m: m.rescore("n.txt", lm_weight="a"), "`lm_weight` must be a number, got 'a'", ""),
    (lambda m: m.compress(b"a", lanes=10**9), "`lanes` must be from 1 to 1024", "lanes"),
    (lambda m: charlm.train("book.txt", out=5), "`out` must be the folder of a run", "out"),
    (lambda m: charlm.train("book.txt", recipe=5), "`recipe` must be a name", "recipe"),
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
    assert traceback.format_exception(caught.value)[-1] == f"  try: {caught.value.hint}\n"
    assert not re.search(r"(^|\s)--\w", str(caught.value) + caught.value.hint)


def test_training_yields_reports_and_ends_with_done(folder: Path) -> None:
    reports = list(charlm.train("book.txt", out="runs/again", **SMALL))
    assert type(reports[-1]).__name__ == "Done"
    assert charlm.load("runs/again").generate(seed=2) == charlm.load("runs/book").generate(seed=2)
    resumed = list(charlm.train(out="runs/again"))
    assert resumed[-1].step == reports[-1].step == 20  # type: ignore[union-attr]
    assert max(len(str(report)) for report in reports) < 400


SENTENCE = "ba co. Loba\ndi fu.\n"


def test_a_score_is_that_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE * 30)
    found = json.loads(call("perplexity", "runs/book", "sentence.txt", "--json").out)
    for text in (SENTENCE * 30, Path("sentence.txt"), [Path("sentence.txt")]):
        score = model.score(text)
        assert (score.nll, score.tokens, score.bpc) == (found["nll"], found["tokens"], found["bpc"])
        assert list(score.perplexity_interval) == found["perplexity_interval"]
    part = json.loads(call("perplexity", "runs/book", "--part", "test", "--json").out)
    assert model.score(part="test").perplexity == part["perplexity"]
    apart = json.loads(
        call("perplexity", "runs/book", "sentence.txt", "--reset", "line", "--json").out
    )
    assert model.score(SENTENCE * 30, reset="line").nll == apart["nll"] != found["nll"]


def test_a_table_of_perplexities_is_that_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE * 30)
    options = ("sentence.txt", "book.txt", "--baselines", "--json")
    shown = json.loads(call("perplexity", "runs/book", *options).out)
    table = model.perplexity([Path("sentence.txt"), Path("book.txt")], baselines=True)
    found = json.loads(json.dumps(table.record()))
    for record in (shown, found):
        assert record.pop("tokens_per_second") > 0
    assert found == shown


def test_a_text_that_is_the_name_of_a_file_is_measured_with_a_warning(model: Model) -> None:
    for text in ("book.txt", ["ba", "book.txt"]):
        with pytest.warns(CharlmWarning, match=r"Path\('book.txt'\)") as caught:
            score = model.score(text)
        assert score.chars == len("".join(text))
        assert caught[0].filename == __file__


def test_a_list_is_several_texts(model: Model) -> None:
    first, second = model.score("ba co."), model.score("di fu.")
    both = model.score(["ba co.", "di fu."])
    assert both.nll == pytest.approx(first.nll + second.nll)
    assert both.tokens == first.tokens + second.tokens
    assert model.score(text for text in ("ba co.", "di fu.")) == both
    words = model.surprisal(["ba co.", "di fu."], by="word")
    assert [(word.document, word.text) for word in words] == [
        (0, "ba "), (0, "co."), (1, "di "), (1, "fu."),
    ]  # fmt: skip
    assert sum(word.nll for word in words) == pytest.approx(both.nll, rel=1e-5)


def test_surprisals_are_those_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE)
    printed = call("score", "runs/book", "sentence.txt", "--top", 2, "--json").out.splitlines()
    rows, words = [json.loads(line) for line in printed], model.surprisal(SENTENCE, top=2)
    assert [(row["text"], row["surprisal_bits"], row["guess_1"], row["p_2"]) for row in rows] == [
        (word.text, word.bits, word.guesses[0][0], word.guesses[1][1]) for word in words
    ]


def test_a_comparison_is_that_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE * 30)
    other = model.adapt(temperature=1.5)
    same = charlm.compare(model, "runs/book", Path("sentence.txt"))
    assert (same.bpb.value, same.verdict) == (0, None)
    shown = json.loads(call("compare", "runs/book", "runs/book", "sentence.txt", "--json").out)
    assert json.loads(json.dumps(same.record()))["bpb_difference"] == shown["bpb_difference"]
    assert "better: not shown" in repr(same)
    short = charlm.compare(model, "runs/book", "ba")
    assert "too little text for an interval" in repr(short)
    assert "nan" not in repr(short)
    found = charlm.compare(model, other, part="test")
    assert found.scores[0].nll == model.score(part="test").nll
    assert found.scores[1].nll == pytest.approx(other.score(part="test").nll)


def test_methods_and_mixtures_make_other_models_and_leave_this_one(model: Model) -> None:
    before = model.score(SENTENCE).nll
    adapted = model.adapt(dynamic={"lr": 0.002}, cache=True)
    assert "dynamic+cache" in repr(adapted)
    assert adapted.score(SENTENCE).nll != before
    options = ("--dynamic", "lr=0.002", "--cache", "--json")
    Path("sentence.txt").write_text(SENTENCE)
    shown = json.loads(call("perplexity", "runs/book", "sentence.txt", *options).out)
    assert adapted.perplexity(SENTENCE).whole.nll == shown["nll"]
    mixed = model.mix("runs/book", 0.5)
    assert mixed.score(SENTENCE).nll == pytest.approx(before)
    assert model.score(SENTENCE).nll == before


def test_tuning_chooses_what_is_left_open(model: Model) -> None:
    tuned = model.adapt(temperature=True, tune_on="valid")
    evaluation = tuned.loaded.evaluation  # type: ignore[attr-defined]
    assert evaluation.temperature.value != 1
    refused = "the text to tune on and the text to score are the same"
    for tuned_on_valid in (tuned, model.mix("runs/book")):
        for measure in (tuned_on_valid.score, tuned_on_valid.perplexity):
            with pytest.raises(CharlmError, match=refused):
                measure(part="valid")
        with pytest.raises(CharlmError, match=refused):
            tuned_on_valid.surprisal(book_text())
        with pytest.raises(CharlmError, match=refused):
            charlm.compare(model, tuned_on_valid, part="valid")
    plain, better = model.score(part="valid"), tuned.score(part="test")
    assert plain.tokens > 0
    assert better.nll <= model.score(part="test").nll * 1.01


def test_pairs_are_tuples_or_a_file(model: Model) -> None:
    Path("pairs.tsv").write_text("ba co\tco ba\ndi fu\tfu di\n")
    given = model.pairs([("ba co", "co ba"), ("di fu", "fu di")])
    for named in ("pairs.tsv", Path("pairs.tsv")):
        assert model.pairs(named) == given
    lone = model.score("ba co")
    assert given[0].good == pytest.approx(-lone.nll)


def test_rescoring_and_compression_are_calls_too(model: Model) -> None:
    pytest.importorskip("constriction")
    Path("nbest.txt").write_text("a-1 -2.5 ba co\na-2 -2.4 co ba\n")
    lists, summary = model.rescore("nbest.txt", lm_weight=2)
    totals = [row.given + 2 * row.log_p for row in lists[0].rows]
    assert lists[0].best == totals.index(max(totals))
    assert summary.lists == 1
    content = SENTENCE.encode() * 20
    assert model.decompress(model.compress(content).content) == content


MEASURED_WRONG: list[tuple[Any, str, str]] = [
    (lambda m: m.score(), "give either a text or a `part`", "`part='test'`"),
    (lambda m: m.score("ba", part="test"), "give either a text or a `part`", "`part='test'`"),
    (lambda m: m.score(part="tset"), "unknown `part`: 'tset'", "did you mean test?"),
    (lambda m: m.score(b"ba"), "a text must be a str, or the Path of a file", "Path"),
    (lambda m: m.score(3), "a text must be a str, or the Path of a file", "Path"),
    (lambda m: m.score([]), "no text was given", "a list"),
    (lambda m: m.score(Path("nothing.txt")), "no file, folder or corpus called nothing", "path"),
    (lambda m: m.score("ba", reset="lines"), "reset", "line"),
    (lambda m: m.score(io.StringIO("ba")), "a text must be a str", "read it first"),
    (lambda m: m.score(iter([])), "no text was given", "a list"),
    (lambda m: m.surprisal("ba", by="sentence"), "`by` must be one of", "by"),
    (lambda m: m.surprisal("ba", top=-1), "`top`", "top"),
    (lambda m: m.surprisal("ba", top="3"), "`top`", "top"),
    (lambda m: m.perplexity("ba", convention="kenml"), "kenml", "kenlm"),
    (lambda m: m.perplexity("ba", window=3), "`window", "convention"),
    (lambda m: m.pairs([("ba",)]), "a pair is (good, bad)", "tuples"),
    (lambda m: m.pairs("nothing.tsv"), "nothing.tsv", "path"),
    (lambda m: m.pairs(3), "`pairs` must be tuples (good, bad), or the name", "pairs"),
    (lambda m: m.mix("runs/book", 1.5), "weight", "leave `weight` out"),
    (lambda m: m.adapt(temperature=1e-46), "`temperature` must be at least 0.01", "`temperature`"),
    (lambda m: m.surprisal("ba", by="region"), "`text` must be the Path of a table", "text"),
    (lambda m: m.mix(3), "`other` must be a Model or the folder of a run", "other"),
    (lambda m: m.adapt(dynamic={"rl": 1}), "dynamic.rl", "dynamic.lr"),
    (lambda m: m.adapt(dynamic="lr=1"), "`dynamic` must be True or a table", "dynamic"),
    (lambda m: m.adapt(temperature=True), "`temperature` lacks its value", "tune_on"),
    (lambda m: m.adapt(tune_on="valid"), "`tune_on` has nothing to choose", "`dynamic=True`"),
    (lambda m: m.compress("ba"), "`content` must be bytes, or the Path of a file", "content"),
    (lambda m: m.decompress(b"ba"), "the content", ""),
    (lambda m: m.rescore("nothing.txt"), "nothing.txt", "path"),
    (lambda m: m.rescore(["a", "b"]), "`nbest` must be the name of a file", "nbest"),
    (lambda m: m.rescore("book.txt", refs=["a"]), "`refs` must be the name of a file", "refs"),
    (lambda m: charlm.compare(m, "nothing", "ba"), "nothing does not exist", ""),
    (lambda m: charlm.compare(m, m), "give either a text", "part"),
    (lambda m: charlm.compare(m, m, part="all"), "unknown `part`: 'all'", "did you mean"),
    (lambda m: charlm.compare(m, 3, "ba"), "must be the folder of a run", ""),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MEASURED_WRONG)))
def test_a_mistake_in_measuring_is_answered_in_words_of_python(number: int, model: Model) -> None:
    attempt, cause, hint = MEASURED_WRONG[number]
    with pytest.raises(CharlmError) as caught:
        attempt(model)
    assert cause in str(caught.value)
    assert hint in caught.value.hint
    assert not re.search(r"(^|\s)--\w", str(caught.value) + caught.value.hint)
