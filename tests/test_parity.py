"""For each command that gives numbers or text: the call in Python gives exactly those."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm import Model
from charlm.console.streams import finite
from charlm.inference.demonstration import Sampled
from charlm.training.reports import Done, Saved
from tests.cli.conftest import book_text, call

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 4, "bptt": 16, "steps": 20}
TEXT = "ba co. Loba\ndi zz\u00a0fu.\n" * 20
MIXED = {"mix": "runs/second", "mix-weight": 0.3}
"""Options of a mixture; in Python, ``model.mix``."""


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a text and two runs, in which the tests work."""
    made = tmp_path_factory.mktemp("parity")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(made / "cache"))
        patch.chdir(made)
        Path("book.txt").write_text(book_text(1500), encoding="utf-8")
        Path("text.txt").write_text(TEXT, encoding="utf-8")
        Path("items.csv").write_text("item,region,text\n1,a,ba co\n1,b,di fu.\n2,a,Loba\n")
        Path("pairs.tsv").write_text("ba co\tco ba\ndi fu\tfu di\n")
        Path("nbest.txt").write_text("a-1 -2.5 ba co\na-2 -2.4 co ba\n")
        for name, seed in (("first", 1), ("second", 2)):
            for _ in charlm.train("book.txt", out=f"runs/{name}", seed=seed, **SMALL):
                pass
        yield made


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return charlm.load("runs/first")


def shown(command: str, *arguments: object, **options: object) -> list[Any]:
    """The JSON objects that a command prints for the first run."""
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    done = call(command, "runs/first", *arguments, "--json", *given)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def plain(record: Any) -> Any:
    """A record as it is read back from JSON, without what depends on the clock."""
    found = json.loads(json.dumps(finite(record)))
    return {name: value for name, value in found.items() if "second" not in name}


@pytest.mark.parametrize("mixed", [{}, MIXED])
def test_generate(model: Model, mixed: dict[str, Any]) -> None:
    model = model.mix("runs/second", weight=0.3) if mixed else model
    found = shown("generate", samples=3, seed=5, prompt="ba", length=40, **mixed)
    texts = model.generate("ba", samples=3, seed=5, length=40)
    assert [each["prompt"] + each["text"] for each in found] == texts


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, {}),
        ({"reset": "line"}, {"reset": "line"}),
        ({"convention": "nanogpt", "window": 7}, {"convention": "nanogpt", "window": 7}),
        ({"convention": "kenlm"}, {"convention": "kenlm"}),
    ],
)
def test_perplexity(model: Model, options: dict[str, Any], arguments: dict[str, Any]) -> None:
    (found,) = shown("perplexity", "text.txt", "book.txt", "--curve", "--baselines", **options)
    table = model.perplexity(
        [Path("text.txt"), Path("book.txt")], curve=True, baselines=True, **arguments
    )
    assert plain(table.record()) == plain(found)


def test_perplexity_of_a_part_with_methods_and_of_a_mixture(model: Model) -> None:
    (found,) = shown("perplexity", part="test", temperature=1.1, cache="share=0.2")
    adapted = model.adapt(temperature=1.1, cache={"share": 0.2})
    assert adapted.score(part="test").nll == found["nll"]
    (found,) = shown("perplexity", "text.txt", **MIXED)
    mixture = model.mix("runs/second", weight=0.3)
    assert plain(mixture.perplexity(Path("text.txt")).record()) == plain(found)


def test_perplexity_of_a_mixture_with_methods_shows_what_is_static(model: Model) -> None:
    adapted = model.adapt(temperature=1.1, cache={"share": 0.2})
    for table, options in (
        (adapted.perplexity(Path("text.txt")), {}),
        (adapted.mix("runs/second", weight=0.3).perplexity(Path("text.txt")), MIXED),
    ):
        (found,) = shown("perplexity", "text.txt", temperature=1.1, cache="share=0.2", **options)
        del found["evaluation"]["options"]  # the command's own spelling
        assert plain(table.record()) == plain(found)


@pytest.mark.parametrize("by", ["token", "char", "word", "line"])
def test_score(model: Model, by: str) -> None:
    found = shown("score", "text.txt", "--more", by=by, top=2, unit="nats")
    rows = model.surprisal(Path("text.txt"), by=by, top=2, more=True)
    names = ("text", "tokens", "oov", "rank", "surprisal_nats", "entropy_nats", "guess_2", "p_2")
    given = [
        (row.text, row.tokens, row.oov, row.rank, row.nll, row.entropy, *row.guesses[1])
        for row in rows
    ]
    assert given == [tuple(row[name] for name in names) for row in found]
    assert [row.unigram for row in rows] == [row["unigram_surprisal_nats"] for row in found]


def test_score_of_regions(model: Model) -> None:
    found = shown("score", "items.csv", by="region", unit="nats")
    rows = model.surprisal(Path("items.csv"), by="region")
    assert [row.nll for row in rows] == [row["surprisal_nats"] for row in found]
    assert [row.text for row in rows] == [row["text"] for row in found]


def test_pairs(model: Model) -> None:
    found = shown("pairs", "pairs.tsv", "--each")
    given = [(pair.good, pair.bad, int(pair.correct)) for pair in model.pairs("pairs.tsv")]
    assert given == [(row["good_nats"], row["bad_nats"], row["correct"]) for row in found]


def test_compare(model: Model) -> None:
    (found,) = shown("compare", "runs/second", "text.txt")
    assert plain(charlm.compare(model, "runs/second", Path("text.txt")).record()) == plain(found)


def test_rescore(model: Model) -> None:
    *found, summary = shown("rescore", "nbest.txt", "--all", **{"lm-weight": 2})
    lists, own = model.rescore("nbest.txt", lm_weight=2)
    given = [(row.log_p, row.total) for ranked in lists for row in ranked.rows]
    assert given == [(row["log_p"], row["total"]) for row in found]
    assert own.record() == summary


def test_compress_and_decompress(model: Model) -> None:
    pytest.importorskip("constriction")
    shown("compress", "text.txt", lanes=2)
    packed = model.compress(Path("text.txt"), lanes=2).content
    assert packed == Path("text.txt.charlm").read_bytes()
    assert call("decompress", "text.txt.charlm", "--out", "back.txt").code == 0
    assert (
        model.decompress(packed) == Path("back.txt").read_bytes() == Path("text.txt").read_bytes()
    )


def test_train() -> None:
    options = [
        part for name, value in SMALL.items() for part in ("--" + name.replace("_", "-"), value)
    ]
    done = call("train", "book.txt", "--out", "runs/twin", *options, "--json")
    assert done.code == 0, done.err
    first, twin = (
        Path(run, "checkpoints", "step-00000020", "model.safetensors").read_bytes()
        for run in ("runs/first", "runs/twin")
    )
    assert first == twin


def test_samples_come_between_the_reports_of_a_training() -> None:
    from charlm.api.samples import with_samples

    *records, last = with_samples(charlm.train("book.txt", out="runs/watched", **SMALL))
    samples = [record for record in records if isinstance(record, Sampled)]
    assert samples
    assert isinstance(records[records.index(samples[0]) - 1], Saved)
    assert isinstance(last, Done)
    steps = {record.step for record in records if isinstance(record, Saved)}
    assert len(samples) <= len(steps)


def test_notebooks_show_tables_without_markup_of_the_text(model: Model) -> None:
    mixture = model.mix("runs/second", weight=0.3)
    shown = {
        "runs/first": model,
        "0.3 x runs/first": mixture,
        "perplexity per token": model.score("ba <b>co</b>"),
        "text.txt": model.perplexity([Path("text.txt"), "<b>ba</b>"]),
        "&lt;b&gt;co": model.surprisal("ba <b>co</b>"),
        "1 of 1 pairs": model.pairs([("ba co <b>", "fu fu fu fu <b>")]),
        "A - B": charlm.compare(model, "runs/second", Path("text.txt")),
    }
    for part, record in shown.items():
        table = record._repr_html_()
        assert part in table
        assert "</table>" in table
        assert "<b>" not in table.partition("</div>")[2]
    assert "0.3 x runs/first" in repr(mixture)
    units = model.surprisal(TEXT * 5, by="char")
    assert units._repr_html_().count("<tr>") == 201
    assert f"and {len(units) - 200:,} more" in units._repr_html_()
