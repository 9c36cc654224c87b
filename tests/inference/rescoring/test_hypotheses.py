"""Hypotheses get the probability that they have alone, and totals that follow from it."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig, TokenizerConfig
from charlm.data.formats.nbest import Hypothesis, NbestList
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer, train
from charlm.errors import ModelError
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.rescoring import hypotheses as rescoring
from charlm.inference.rescoring.files import open_reranking, rerank
from charlm.inference.rescoring.hypotheses import (
    ScoredList,
    Weights,
    choose_end,
    log_likelihoods,
    rank,
    score_lists,
)
from charlm.model.language_model import LanguageModel
from tests.inference.fixed import fixed_model, fixed_run, loaded_with

torch.set_num_threads(1)


def char_tokenizer(text: str = "abc de\n") -> Tokenizer:
    return train(TokenizerConfig(kind="char"), [Piece(text, True)])[0]


def random_model(vocab_size: int, cell: str = "lstm") -> Recurrent:
    config = ModelConfig(cell=cell, hidden_size=16, num_layers=2, embedding_size=16)
    return Recurrent(LanguageModel.create(config, vocab_size, seed=2))


def nbest(*texts: str, given: float | None = None, id: str = "u") -> NbestList:
    return NbestList(id, tuple(Hypothesis(id, text, given, at) for at, text in enumerate(texts)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_tree_gives_what_each_line_gets_alone(cell: str) -> None:
    source = np.random.default_rng(6)
    model = random_model(9, cell)
    lines = [source.integers(0, 3, size=source.integers(0, 25)) for _ in range(150)]
    lines += [np.array([1, 2, 2]), np.array([1, 2, 2]), np.array([1]), np.array([], dtype=int)]
    alone = [-Reader(model).nll(line).sum() for line in lines]
    np.testing.assert_allclose(log_likelihoods(model, lines), alone, rtol=0, atol=1e-5)


def test_no_lines_and_empty_lines_have_probability_one() -> None:
    model = random_model(5)
    assert log_likelihoods(model, []).shape == (0,)
    assert log_likelihoods(model, [np.array([], dtype=int)]).tolist() == [0.0]


def test_what_lists_begin_with_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, steps = random_model(9), []
    whole = type(open_decoder(model)).advance

    def counted(self: object, tokens: torch.Tensor) -> torch.Tensor:
        steps.append(len(tokens))
        return whole(self, tokens)

    monkeypatch.setattr(type(open_decoder(model)), "advance", counted)
    lines = [np.array([3, 4, 5, last, 0]) for last in (6, 7, 8)]
    log_likelihoods(model, lines)
    assert steps == [1, 1, 1, 1, 3]  # boundary, 3, 4, 5, the three; what ends them is not read


@pytest.mark.parametrize("lanes", [1, 3, 1000])
def test_the_number_of_lanes_changes_nothing(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = char_tokenizer()
    model = random_model(tokenizer.vocab_size)
    lists = [nbest("abc", "abd", "ab", id="u"), nbest("de", id="v"), nbest(*"abcdeabc", id="w")]
    end = tokenizer.encode("\n")
    monkeypatch.setattr(rescoring, "LANES", lanes)
    found = list(score_lists(model, tokenizer, end, lists))
    assert [each.nbest.id for each in found] == ["u", "v", "w"]
    for each in found:
        texts = [hypothesis.text for hypothesis in each.nbest.hypotheses]
        alone = [-Reader(model).nll(tokenizer.encode(text + "\n")).sum() for text in texts]
        np.testing.assert_allclose(each.log_p, alone, atol=1e-5)


def test_probabilities_are_those_of_a_known_model_with_the_end() -> None:
    tokenizer = char_tokenizer("ab\n")  # boundary, <unk>, three characters
    run = fixed_run(tokenizer, {"a": 4})  # a 4/8, the others 1/8
    lists = [nbest("aa", "b", "z", "")]
    (line,) = score_lists(run.model, tokenizer, choose_end(run, "line")[1], lists)
    expected = [2 * math.log(1 / 2) + math.log(1 / 8), *[2 * math.log(1 / 8)] * 2, math.log(1 / 8)]
    np.testing.assert_allclose(line.log_p, expected, atol=1e-6)
    assert line.unknown.tolist() == [0, 0, 1, 0]
    (none,) = score_lists(run.model, tokenizer, choose_end(run, "none")[1], lists)
    np.testing.assert_allclose(none.log_p - line.log_p, math.log(8), atol=1e-6)


def test_totals_add_the_score_the_model_and_the_words() -> None:
    scored = ScoredList(
        nbest("one two", "one", given=3.0), np.array([-10.0, -6.0]), np.zeros(2, dtype=int)
    )
    ranked = rank(scored, Weights(lm=0.5, bonus=1.5), sign=1)
    assert [row.total for row in ranked.rows] == [3 - 5 + 3, 3 - 3 + 1.5]
    assert (ranked.best, ranked.best_given) == (1, 0)
    costs = rank(scored, Weights(lm=0.5, bonus=2.5), sign=-1)
    assert [row.total for row in costs.rows] == [-3 - 5 + 5, -3 - 3 + 2.5]
    assert costs.best == 0


ENDINGS = [
    ("running text with lines", "ab\n", {"documents": 2, "words": 1000}, "line"),
    ("sentences, each a document", "ab\n", {"documents": 100, "words": 1000}, "boundary"),
    ("text without lines", "ab ", {"documents": 1, "words": 1000}, "boundary"),
]


@pytest.mark.parametrize(("about", "text", "counts", "end"), ENDINGS, ids=[e[0] for e in ENDINGS])
def test_the_end_is_what_the_model_has_met(
    about: str, text: str, counts: dict[str, int], end: str
) -> None:
    tokenizer = char_tokenizer(text)
    run = loaded_with(tokenizer, random_model(tokenizer.vocab_size), **counts)
    name, ids = choose_end(run)
    assert name == end
    assert ids.tolist() == (tokenizer.encode("\n").tolist() if end == "line" else [0])


def test_a_text_of_probability_zero_is_named(tmp_path: Path) -> None:
    tokenizer = char_tokenizer("ab\n")
    with np.errstate(divide="ignore"):
        run = loaded_with(tokenizer, fixed_model(np.array([1, 0, 1, 1, 1]) / 4))
    path = tmp_path / "n.txt"
    path.write_text("u 1 ab\nu 2 az\n")
    with pytest.raises(ModelError, match=r"n\.txt line 2 has probability zero"):
        list(rerank(run, open_reranking(run, str(path))))
