"""The arithmetic of other tools, on examples that can be computed by hand, and by the tools."""

import copy
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig, TokenizerConfig
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ConfigError, CorpusError
from charlm.inference.loading import Loaded
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.scoring import conventions, windows
from charlm.inference.scoring.conventions import (
    Convention,
    PageWords,
    ScoringOptions,
    figures,
    score,
)
from charlm.inference.texts import TextSource
from charlm.metrics import Score
from charlm.model.language_model import LanguageModel
from tests.data.tokenizers.trained import train
from tests.inference.bigram import Bigram

torch.set_num_threads(1)

SAMPLES = ("the cat sat\n", "a hat\n\non the mat é日 ", " the end of it\nwithout a break")


def loaded(model: Predictor, tokenizer: Tokenizer) -> Loaded:
    return Loaded(run=None, tokenizer=tokenizer, model=model, step=0)  # type: ignore[arg-type]


def scored(model: Predictor, tokenizer: Tokenizer, request: ScoringOptions, *texts: str) -> Score:
    """The score of texts, each a file of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conventions, "encode_documents", lambda *_: iter(pieces))
        patch.setattr(windows, "encode_documents", lambda *_: iter(pieces))
        raw = [text.encode() if tokenizer.kind == "byte" else text for text in texts]
        pieces = [EncodedPiece(tokenizer.encode(t), t, True, n) for n, t in enumerate(raw)]
        text = TextSource("texts", tuple(map(str, range(len(texts)))), None, None)  # type: ignore[arg-type]
        parts = score(loaded(model, tokenizer), text, request)
        return sum(parts, start=Score())


def network(tokenizer: Tokenizer) -> LanguageModel:
    return LanguageModel.create(ModelConfig(hidden_size=12), tokenizer.vocab_size, seed=3)


def naive_nll(network: LanguageModel, first: int, ids: list[int]) -> list[float]:
    """Nats of ids after ``first``, by the reference cells in double precision."""
    double = copy.deepcopy(network).double().eval()
    state, last, nll = double.zero_state(1), first, []
    with torch.no_grad():
        for token in ids:
            hidden, after = double.embedding(torch.tensor([[last]])), []
            for layer, before in zip(double.recurrent_layers(), state, strict=True):
                hidden, layer_state = layer.reference(hidden, before)
                after.append(layer_state)
            state, last = tuple(after), token
            nll.append(-double.head(hidden[0, 0]).log_softmax(-1)[token].item())
    return nll


@pytest.fixture(scope="module", params=["char", "byte", "word", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    size = 270 if request.param == "bpe" else None
    text = "".join(SAMPLES[:2])
    raw = text.encode() if request.param == "byte" else text
    return train(TokenizerConfig(kind=request.param, vocab_size=size), [Piece(raw, True)])[0]


def test_lm_eval_scores_each_document_from_the_boundary(tokenizer: Tokenizer) -> None:
    model = network(tokenizer)
    nll = sum(sum(naive_nll(model, 0, tokenizer.encode(text).tolist())) for text in SAMPLES)
    words = sum(len(re.split(r"\s+", text)) for text in SAMPLES)
    size = sum(len(text.encode()) for text in SAMPLES)
    found = figures(
        "lm-eval",
        scored(Recurrent(model), tokenizer, ScoringOptions(convention="lm-eval"), *SAMPLES),
    )
    assert found == {
        "word_perplexity": pytest.approx(math.exp(nll / words), rel=1e-6),
        "byte_perplexity": pytest.approx(math.exp(nll / size), rel=1e-6),
        "bits_per_byte": pytest.approx(nll / size / math.log(2), rel=1e-6),
    }


def test_kenlm_scores_each_line_with_its_end(tokenizer: Tokenizer) -> None:
    model = network(tokenizer)
    lines = [line for text in SAMPLES for line in text.removesuffix("\n").split("\n")]
    total, unknown, tokens, oovs = 0.0, 0.0, 0, 0
    for line in lines:
        ids = tokenizer.encode(line).tolist()
        log10 = [-nats / math.log(10) for nats in naive_nll(model, 0, [*ids, 0])]
        missing = [each for each, id in zip(log10, ids, strict=False) if id == tokenizer.unknown_id]
        total, unknown = total + sum(log10), unknown + sum(missing)
        tokens, oovs = tokens + len(ids) + 1, oovs + len(missing)
    found = figures(
        "kenlm", scored(Recurrent(model), tokenizer, ScoringOptions(convention="kenlm"), *SAMPLES)
    )
    assert found == {
        "Perplexity including OOVs": pytest.approx(10 ** (-total / tokens), rel=1e-6),
        "Perplexity excluding OOVs": pytest.approx(
            10 ** (-(total - unknown) / (tokens - oovs)), rel=1e-6
        ),
        "OOVs": oovs,
        "Tokens": tokens,
    }


@pytest.mark.parametrize("size", [1, 4, 7, 256])
def test_nanogpt_scores_windows_without_what_was_before(tokenizer: Tokenizer, size: int) -> None:
    model = network(tokenizer)
    data = np.concatenate([part for text in SAMPLES for part in (tokenizer.encode(text), [0])])[:-1]
    losses: list[float] = []
    for i in range(0, len(data) - 1, size):
        x, y = data[i : i + size], data[i + 1 : i + 1 + size]
        losses += naive_nll(model, int(x[0]), y.tolist())
    request = ScoringOptions(convention="nanogpt", window=size)
    found = scored(Recurrent(model), tokenizer, request, *SAMPLES)
    assert found.tokens == len(losses) == len(data) - 1
    assert figures("nanogpt", found)["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert len(found.blocks) == -(-len(losses) // size)


def test_windows_longer_than_a_batch_cover_a_text_once() -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab", True)])[0]
    table = np.random.default_rng(1).dirichlet(np.ones(4), 4)
    text = "".join(np.random.default_rng(2).choice(["a", "b"], 1000))
    found = scored(Bigram(table), tokenizer, ScoringOptions(convention="nanogpt", window=3), text)
    ids = tokenizer.encode(text)
    assert found.nll == pytest.approx(-np.log(table[ids[:-1], ids[1:]]).sum(), rel=1e-6)


def test_nanogpt_has_nothing_to_score_in_one_token() -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab", True)])[0]
    with pytest.raises(CorpusError, match="the text has one token"):
        scored(Bigram(np.full((4, 4), 0.25)), tokenizer, ScoringOptions(convention="nanogpt"), "a")


PAGES = ["a b", " a b", "a b ", "\n", "  a\n\n b\x1cc\t", "a", "é\u00a0日\u3000x ", "\u2028a"]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("cut", [1, 2, 100])
def test_words_of_pages_are_those_of_the_regular_expression(raw: bool, cut: int) -> None:
    words = PageWords()
    pieces = []
    for page in PAGES:
        text: str | bytes = page.encode() if raw else page
        parts = [text[at : at + cut] for at in range(0, len(text), cut)]
        pieces += [EncodedPiece(np.empty(0), part, not at) for at, part in enumerate(parts)]
    assert len(list(words.count_in(pieces))) == len(pieces)
    assert words.count == sum(len(re.split(r"\s+", page)) for page in PAGES)


def test_a_worked_example_by_hand() -> None:
    """Two lines, "a b" and "?": p(a) = 1/2, p(b | a) = 1/4, p(</s> | b) = 1/8; 1/16 and 1/2."""
    tokenizer = WordTokenizer(["a", "b"], end_of_line=False)
    table = np.full((4, 4), 1e-9)
    table[[0, 2, 3, 0, 1], [2, 3, 0, 1, 0]] = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 2]
    found = figures(
        "kenlm", scored(Bigram(table), tokenizer, ScoringOptions(convention="kenlm"), "a b\n?\n")
    )
    assert found["Perplexity including OOVs"] == pytest.approx(2 ** ((1 + 2 + 3 + 4 + 1) / 5))
    assert found["Perplexity excluding OOVs"] == pytest.approx(2 ** ((1 + 2 + 3 + 1) / 4))
    assert (found["OOVs"], found["Tokens"]) == (1, 5)


@pytest.mark.parametrize("convention", ["lm-eval", "kenlm", "nanogpt"])
def test_a_convention_says_itself_where_the_state_starts_anew(convention: Convention) -> None:
    with pytest.raises(ConfigError, match="says itself where"):
        ScoringOptions(convention=convention, reset="line")


ARPA = """\\data\\
ngram 1=5
ngram 2=6

\\1-grams:
-1.7	<unk>	0
0	<s>	-0.31
-0.8	</s>	0
-0.55	a	-0.25
-0.43	b	-0.4

\\2-grams:
-0.35	<s> a
-0.6	<s> b
-0.2	a b
-0.9	a </s>
-0.5	b a
-0.7	b </s>

\\end\\
"""
SENTENCES = "a b a\n\nb b zzz a\na a a b\nqq\nb\n"


def bigram_of(arpa: str) -> Bigram:
    """The same model over the ids <s> or </s>, <unk>, a, b; backing off as ARPA files define."""
    names = ["</s>", "<unk>", "a", "b"]
    rows = [line.split("\t") for line in arpa.splitlines() if "\t" in line]
    single = {row[1]: float(row[0]) for row in rows if " " not in row[1]}
    backoff = {row[1]: float(row[2]) for row in rows if len(row) == 3}
    pairs = {tuple(row[1].split()): float(row[0]) for row in rows if " " in row[1]}
    table = np.zeros((4, 4))
    for i, before in enumerate(["<s>", *names[1:]]):
        for j, word in enumerate(names):
            table[i, j] = pairs.get((before, word), backoff[before] + single[word])
    return Bigram(10.0**table)


def test_kenlm_itself_gives_the_same(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="pip install kenlm")
    (tmp_path / "model.arpa").write_text(ARPA)
    theirs = kenlm.Model(str(tmp_path / "model.arpa"))
    words = [word for line in SENTENCES.splitlines() for word in theirs.full_scores(line)]
    total, unknown = (sum(w[0] for w in words if w[2] or not only) for only in (False, True))
    oovs = sum(word[2] for word in words)
    tokenizer = WordTokenizer(["a", "b"], end_of_line=False)
    request = ScoringOptions(convention="kenlm")
    found = figures("kenlm", scored(bigram_of(ARPA), tokenizer, request, SENTENCES))
    assert found == {
        "Perplexity including OOVs": pytest.approx(10 ** (-total / len(words)), rel=1e-6),
        "Perplexity excluding OOVs": pytest.approx(
            10 ** (-(total - unknown) / (len(words) - oovs)), rel=1e-6
        ),
        "OOVs": oovs,
        "Tokens": len(words),
    }
    for line in filter(None, SENTENCES.splitlines()):
        own = scored(bigram_of(ARPA), tokenizer, request, line)
        assert own.perplexity == pytest.approx(theirs.perplexity(line), rel=1e-6)


def lm_eval(module: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(f"lm_eval.api.{module}", reason="pip install lm_eval")


def test_lm_eval_itself_gives_the_same() -> None:
    metrics, task = lm_eval("metrics"), lm_eval("task").PerplexityTask
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("".join(SAMPLES), True)])[0]
    model = network(tokenizer)
    likelihoods = [-sum(naive_nll(model, 0, tokenizer.encode(t).tolist())) for t in SAMPLES]
    words = list(zip(likelihoods, map(task.count_words, SAMPLES), strict=True))
    sizes = list(zip(likelihoods, map(task.count_bytes, SAMPLES), strict=True))
    found = figures(
        "lm-eval",
        scored(Recurrent(model), tokenizer, ScoringOptions(convention="lm-eval"), *SAMPLES),
    )
    assert found == {
        "word_perplexity": pytest.approx(metrics.weighted_perplexity(words), rel=1e-6),
        "byte_perplexity": pytest.approx(metrics.weighted_perplexity(sizes), rel=1e-6),
        "bits_per_byte": pytest.approx(metrics.bits_per_byte(sizes), rel=1e-6),
    }
