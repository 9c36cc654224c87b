"""Two models on one text: exact differences, and units that sum to the whole."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.api.arguments import last_of
from charlm.config import Config, ModelConfig, TokenizerConfig
from charlm.data.preparation.counting import Counts
from charlm.data.sources.pieces import Piece
from charlm.data.synthetic.kinds import synthetic_source
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError, ModelError
from charlm.inference.comparison.difference import (
    BLOCK,
    Comparison,
    compare_pairing,
    compare_runs,
)
from charlm.inference.comparison.pairing import Pairing, pair_part
from charlm.inference.comparison.units import LONGEST, cut_units, pair_lines
from charlm.inference.loading import Loaded, load_run
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.training.launch import launch
from tests.data.tokenizers.trained import train
from tests.inference.fixed import fixed_model, fixed_run, loaded_with
from tests.inference.toys import score_text

torch.set_num_threads(1)
TEXT = "the cat sat on the mat,\nand the dog  ate the cat's hat.\n\n so it goes é日\n" * 20
KINDS = ("byte", "char", "word", "bpe", "unigram")


def tokenizer_of(kind: str, text: str = TEXT) -> Tokenizer:
    size = 300 if kind in ("bpe", "unigram") else None
    piece = Piece(text.encode() if kind == "byte" else text, True)
    return train(TokenizerConfig(kind=kind, vocab_size=size), [piece])[0]


def random_run(kind: str, seed: int = 3) -> Loaded:
    tokenizer = tokenizer_of(kind)
    network = LanguageModel.create(ModelConfig(hidden_size=12), tokenizer.vocab_size, seed=seed)
    return loaded_with(tokenizer, Recurrent(network), kind)


def compared(a: Loaded, b: Loaded, text: str, folder: Path, most: int = 3) -> Comparison:
    path = folder / "text.txt"
    path.write_bytes(text.encode())
    return last_of(compare_runs(a, b, path, most=most), Comparison)


def test_the_difference_of_two_known_models_is_exact(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("char", "ab")
    a = fixed_run(tokenizer, {"a": 12, "b": 2})  # 12/16 and 2/16
    b = fixed_run(tokenizer, {"a": 4, "b": 4, "\0": 4})  # 4/13 each; <unk> as well
    found = compared(a, b, "a" * 1000 + "ab" * 500, tmp_path)
    of_a = -(1500 * math.log(12 / 16) + 500 * math.log(2 / 16))
    of_b = -2000 * math.log(4 / 13)
    assert found.scores[0].nll == pytest.approx(of_a, rel=1e-6)
    assert found.difference.value == pytest.approx((of_a - of_b) / 2000, rel=1e-5)
    assert found.better == (1500, 500)
    assert found.units == 2000
    assert (found.blocks, found.block) == (8, 256)
    assert found.difference.low < found.difference.value < found.difference.high
    assert {each.text for each in found.examples} == {"a", "b"}


def test_lines_of_two_known_models_with_other_tokens_differ_exactly(tmp_path: Path) -> None:
    chars, octets = tokenizer_of("char", "ab\né"), tokenizer_of("byte")
    a, b = fixed_run(chars, {"a": 5}), fixed_run(octets, {"a": 3})
    found = compared(a, b, "aé\nb\n" * 300, tmp_path)
    line_a = (math.log(10 / 5) + 2 * math.log(10), 2 * math.log(10))  # V = 6, a counts 5
    line_b = (math.log(259 / 3) + 3 * math.log(259), 2 * math.log(259))
    assert found.unit == "line"
    assert found.units == 600
    value = sum(line_a) - sum(line_b)
    assert found.difference.value == pytest.approx(300 * value / (300 * 6), rel=1e-5)
    first = found.examples[0]
    assert (first.text, first.index) == ("aé\n", 0)
    assert (first.nll_a, first.nll_b) == pytest.approx((line_a[0], line_b[0]), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_beside_itself_differs_by_exactly_nothing(kind: str, tmp_path: Path) -> None:
    found = compared(random_run(kind), random_run(kind), TEXT, tmp_path)
    estimate = found.difference
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert (found.unit, found.better, found.examples) == ("token", (0, 0), ())


@pytest.mark.parametrize("kind_a", KINDS)
@pytest.mark.parametrize("kind_b", KINDS)
def test_both_scores_are_those_of_the_text_alone(kind_a: str, kind_b: str, tmp_path: Path) -> None:
    a, b = random_run(kind_a), random_run(kind_b, seed=4)
    found = compared(a, b, TEXT, tmp_path)
    for loaded, score in zip((a, b), found.scores, strict=True):
        alone = score_text(loaded.model, loaded.tokenizer, TEXT)
        assert score.nll == pytest.approx(alone.nll, rel=1e-6)
        assert (score.tokens, score.bytes, score.chars) == (alone.tokens, alone.bytes, alone.chars)
    value = found.scores[0].nll - found.scores[1].nll
    assert found.difference.value == pytest.approx(value / len(TEXT.encode()), rel=1e-6)
    assert found.unit == ("token" if kind_a == kind_b else "line")


def test_swapping_the_models_swaps_the_signs(tmp_path: Path) -> None:
    a, b = random_run("char"), random_run("bpe")
    forth, back = compared(a, b, TEXT, tmp_path), compared(b, a, TEXT, tmp_path)
    assert forth.difference.value == pytest.approx(-back.difference.value)
    assert forth.difference.low == pytest.approx(-back.difference.high, rel=0.02)
    assert forth.better == back.better[::-1]


LONG = {
    "words": "some words and  more of them " * 300,
    "one word": "abcdefghij" * 700,
    "a space and one word": "a b\n " + "xyz" * 1000,
    "lines": TEXT,
    "line breaks": "\n\n\na\n\n",
    "no last break": "a\nb",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["byte", "char", "bpe", "unigram"])
@pytest.mark.parametrize("name", list(LONG))
def test_cutting_loses_no_text_and_changes_no_token(kind: str, name: str) -> None:
    text, tokenizer = LONG[name], tokenizer_of(kind)
    units = cut_units(text)
    assert "".join(units) == text
    assert max(map(len, units)) <= LONGEST + 1
    encoded = np.concatenate([tokenizer.encode(unit) for unit in units])
    np.testing.assert_array_equal(encoded, tokenizer.encode(text))


def test_a_text_without_line_breaks_has_many_units(tmp_path: Path) -> None:
    found = compared(random_run("char"), random_run("bpe"), "the cat sat " * 2000, tmp_path)
    assert found.blocks > 20


def test_unknown_tokens_are_counted_for_each_and_left_out_beside(tmp_path: Path) -> None:
    """<unk> is cheap for A, which makes it look better than B; without those lines it is not."""
    ignorant, knowing = tokenizer_of("char", "ab\n"), tokenizer_of("char", "abz\n")
    a, b = fixed_run(ignorant, {"\0": 20}), fixed_run(knowing, {"a": 3})
    found = compared(a, b, "zzz\nab\n" * 1200, tmp_path)
    assert (found.scores[0].oov, found.scores[1].oov) == (3600, 0)
    assert found.with_unknown == 1200
    assert found.difference.high < 0 < found.known.low
    per_line = math.log(24**3) - (math.log(8 / 3) + 2 * math.log(8))
    assert found.known.value == pytest.approx(per_line / 3, rel=1e-5)


def test_documents_stay_apart() -> None:
    a, b = random_run("char"), random_run("byte")
    pieces = [Piece(text, True) for text in ("the cat\n", "sat on\n")]
    pairing = Pairing(
        "line", pair_lines(a, b, pieces, 0), ("text",), None, lambda: Counts(bytes=15)
    )
    *_, found = compare_pairing(a, b, pairing, 0)
    assert isinstance(found, Comparison)
    ids = [a.tokenizer.encode(str(piece.text)) for piece in pieces]
    nll = Reader(a.model).nll(np.concatenate([ids[0], [0], ids[1]]))
    expected = nll.sum() - nll[len(ids[0])]
    assert found.scores[0].nll == pytest.approx(expected, rel=1e-6)


def test_most_places_are_those_with_the_largest_differences(tmp_path: Path) -> None:
    a, b = random_run("char"), random_run("char", seed=9)
    text = "".join(np.random.default_rng(1).choice(list("the cat\né"), size=900))
    ids = a.tokenizer.encode(text)
    difference = Reader(a.model).nll(ids) - Reader(b.model).nll(ids)
    found = compared(a, b, text, tmp_path, most=4)
    for_b = [each for each in found.examples if each.difference > 0]
    assert [each.index for each in for_b] == np.argsort(-difference, kind="stable")[:4].tolist()
    first = for_b[0]
    begin = max(first.index - 40, 0)
    around = (text[begin : first.index], text[first.index], text[first.index + 1 :][:40])
    assert (first.before, first.text, first.after) == around
    assert len(found.examples) == 8


def test_no_text_is_an_error_with_a_remedy() -> None:
    a = random_run("char")
    with pytest.raises(CorpusError, match="no text to compare"):
        list(compare_pairing(a, a, Pairing("token", iter(()), ("text",), 0, Counts), 3))
    assert BLOCK == {"token": 256, "line": 1024}


def test_a_text_of_probability_zero_is_named(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("char", "ab\n")
    with np.errstate(divide="ignore"):
        b = loaded_with(tokenizer, fixed_model(np.array([1, 0, 1, 1, 1]) / 4))
    with pytest.raises(ModelError, match="token 5 of the text has probability zero for B"):
        compared(fixed_run(tokenizer, {}), b, "ab\nbz\n", tmp_path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Runs on one made text: of characters, trained shorter and longer, and of other tokens."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        text = synthetic_source("markov", order=2, alphabet=6).generate(40_000, seed=7)
        (folder / "text.txt").write_text(
            "\n".join(text[at : at + 60] for at in range(0, 40_000, 60))
        )
        settings = {"short": ("char", 10), "long": ("char", 60), "bytes": ("byte", 60)}
        settings["words"] = ("word", 2)
        for name, (kind, steps) in settings.items():
            tables = {
                "data": {"sources": [str(folder / "text.txt")], "split": [80, 20]},
                "tokenizer": {"kind": kind},
                "model": {"hidden_size": 32, "dropout": 0.0},
                "training": {"steps": steps, "batch_size": 16, "bptt": 32, "evaluations": 1},
            }
            for _ in launch(Config.from_tables(tables), folder / name):
                pass
        yield {name: folder / name for name in settings}


@pytest.mark.parametrize("better", ["long", "bytes"])
def test_training_longer_is_shown_to_be_better(
    runs: dict[str, Path], better: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(runs["long"].parent / "cache"))
    found = last_of(
        compare_runs(load_run(runs[better]), load_run(runs["short"]), part="valid", most=2),
        Comparison,
    )
    assert found.unit == ("token" if better == "long" else "line")
    assert found.difference.high < 0
    assert found.scores[0].bytes == found.scores[1].bytes > 0
    assert found.better[0] > found.better[1]


def test_a_part_and_its_text_give_the_same(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(runs["long"].parent / "cache"))
    a, b = load_run(runs["bytes"]), load_run(runs["short"])
    by_part = last_of(compare_runs(a, b, part="valid", most=1), Comparison)
    text = (runs["long"].parent / "text.txt").read_text()
    by_text = compared(a, b, text[int(len(text) * 0.8) :], tmp_path, most=1)
    assert by_part == replace(by_text, names=("the valid part",))


def test_a_part_that_no_tokenizer_keeps_is_refused(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_CACHE", str(runs["long"].parent / "cache"))
    short, words = load_run(runs["short"]), load_run(runs["words"])
    assert pair_part(words, words, "valid", 1).unit == "token"
    assert pair_part(words, short, "valid", 1).unit == "line"  # characters give it back
