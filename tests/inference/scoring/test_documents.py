"""Scores are sums over the text, independent of pieces; surprisals of all units add up to them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig, TokenizerConfig
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.streams import RESETS, Reset
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, CorpusError
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.scoring import scorer
from charlm.inference.scoring.curve import Curve
from charlm.inference.scoring.documents import score_documents
from charlm.inference.scoring.scorer import StreamOptions
from charlm.inference.surprisal.text import UNITS, Surprisal, surprisals
from charlm.metrics import Score
from charlm.model.language_model import LanguageModel
from tests.data.tokenizers.trained import train
from tests.inference.bigram import Bigram
from tests.inference.toys import score_ids, score_text

torch.set_num_threads(1)
TEXT = "the cat sat on the mat,\nand the dog  ate the cat's hat.\n\n so it goes é日\n" * 6
KINDS = ("byte", "char", "word", "bpe", "unigram")


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    size = 300 if request.param in ("bpe", "unigram") else None
    text = TEXT.encode() if request.param == "byte" else TEXT
    config = TokenizerConfig(kind=request.param, vocab_size=size)
    return train(config, [Piece(text, True)])[0]


def model_for(tokenizer: Tokenizer) -> Recurrent:
    config = ModelConfig(hidden_size=12)
    return Recurrent(LanguageModel.create(config, tokenizer.vocab_size, seed=3))


def pieces_of(tokenizer: Tokenizer, *texts: str, starts: bool = True) -> list[EncodedPiece]:
    raw = [text.encode() if tokenizer.kind == "byte" else text for text in texts]
    return [
        EncodedPiece(tokenizer.encode(text), text, starts or not i) for i, text in enumerate(raw)
    ]


def total(model: Recurrent, tokenizer: Tokenizer, pieces: list[EncodedPiece]) -> Score:
    return sum(score_documents(model, tokenizer, pieces), start=Score())


def test_a_score_is_the_summed_nll_of_the_tokens_of_the_text(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    ids = tokenizer.encode(TEXT.encode() if tokenizer.kind == "byte" else TEXT)
    score = total(model, tokenizer, pieces_of(tokenizer, TEXT))
    assert score.nll == pytest.approx(Reader(model).nll(ids).sum(), rel=1e-9)
    assert score.tokens == len(ids)
    assert (score.chars, score.bytes, score.words) == (
        len(TEXT),
        len(TEXT.encode()),
        len(TEXT.split()),
    )


def test_pieces_of_one_document_score_as_the_whole(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    lines = TEXT.splitlines(keepends=True)
    parts = total(model, tokenizer, pieces_of(tokenizer, *lines, starts=False))
    whole = total(model, tokenizer, pieces_of(tokenizer, TEXT))
    assert parts.nll == pytest.approx(whole.nll, rel=1e-6)
    assert (parts.tokens, parts.chars, parts.words) == (whole.tokens, whole.chars, whole.words)


def test_documents_are_one_stream_with_boundaries_kept_apart(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    documents = TEXT.splitlines(keepends=True)[:3]
    score = total(model, tokenizer, pieces_of(tokenizer, *documents))
    encoded = [piece.ids for piece in pieces_of(tokenizer, *documents)]
    stream = np.concatenate([part for ids in encoded for part in (ids, [0])])
    nll = Reader(model).nll(stream)
    assert score.nll == pytest.approx(nll[stream != 0].sum(), rel=1e-6)
    assert score.boundary_nll == pytest.approx(nll[stream == 0].sum(), rel=1e-6)
    assert score.boundaries == 3


@pytest.mark.parametrize("unit", UNITS)
def test_surprisals_of_every_unit_sum_to_the_nll_of_the_text(
    tokenizer: Tokenizer, unit: str
) -> None:
    if unit == "char" and tokenizer.kind not in ("char", "byte"):
        with pytest.raises(ConfigError, match="`by='char'` needs"):
            list(surprisals(model_for(tokenizer), tokenizer, [], unit))
        return
    model = model_for(tokenizer)
    pieces = pieces_of(tokenizer, *TEXT.splitlines(keepends=True)[:4], starts=False)
    rows = list(surprisals(model, tokenizer, pieces, unit))
    score = total(model, tokenizer, pieces)
    assert sum(row.nll for row in rows) == pytest.approx(score.nll, rel=1e-6)
    assert [row.index for row in rows] == list(range(len(rows)))
    if tokenizer.kind != "word":
        assert "".join(row.text for row in rows if unit != "token") in (
            "",
            "".join(TEXT.splitlines(keepends=True)[:4]),
        )


def texts(rows: list[Surprisal]) -> list[str]:
    return [row.text for row in rows]


@pytest.mark.parametrize("kind", ["byte", "char", "bpe", "unigram"])
def test_words_end_with_their_white_space(kind: str) -> None:
    size = 300 if kind in ("bpe", "unigram") else None
    sample = TEXT.encode() if kind == "byte" else TEXT
    tokenizer = train(TokenizerConfig(kind=kind, vocab_size=size), [Piece(sample, True)])[0]
    model = model_for(tokenizer)
    rows = list(surprisals(model, tokenizer, pieces_of(tokenizer, " the cat  sat\non"), "word"))
    assert texts(rows) == [" the ", "cat  ", "sat\n", "on"]


def test_words_of_a_word_tokenizer_are_its_tokens_with_their_line_ends() -> None:
    tokenizer = train(TokenizerConfig(kind="word"), [Piece(TEXT, True)])[0]
    rows = list(
        surprisals(model_for(tokenizer), tokenizer, pieces_of(tokenizer, "the cat\nsat"), "word")
    )
    assert [row.tokens for row in rows] == [1, 2, 1]


def test_the_spaces_share_of_the_next_token_goes_to_the_word_that_ends() -> None:
    """With p(this space comes) known exactly: a bpe word's surprisal has its end in it."""
    tokenizer = train(TokenizerConfig(kind="bpe", vocab_size=300), [Piece(TEXT, True)])[0]
    model = model_for(tokenizer)
    piece = pieces_of(tokenizer, "the cat sat")[0]
    ids = piece.ids
    log_probs = Reader(model).log_probs(ids)
    beginnings = [tokenizer.token_bytes(token)[:1] for token in range(tokenizer.vocab_size)]
    spaces = [token for token, byte in enumerate(beginnings) if byte == b" "]
    ends = next(t for t in range(1, len(ids)) if int(ids[t]) in spaces)
    first = -sum(log_probs[t, ids[t]].item() for t in range(ends))
    expected = first - log_probs[ends, spaces].logsumexp(0).item()
    row = next(surprisals(model, tokenizer, [piece], "word"))
    assert row.nll == pytest.approx(expected, rel=1e-5)


def test_unknown_characters_are_counted_named_and_kept_apart() -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("abc abc", True)])[0]
    model = model_for(tokenizer)
    scored = list(score_documents(model, tokenizer, pieces_of(tokenizer, "abz zq")))
    score = sum(scored, start=Score())
    assert score.oov == 3
    assert sum((part.unknown for part in scored[1:]), start=scored[0].unknown) == {"z": 2, "q": 1}
    nll = Reader(model).nll(tokenizer.encode("abz zq"))
    assert score.oov_nll == pytest.approx(nll[[2, 4, 5]].sum())
    assert score.perplexity_without_oov == pytest.approx(math.exp(nll[[0, 1, 3]].mean()))


def test_no_text_is_an_error_with_a_remedy() -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab", True)])[0]
    with pytest.raises(CorpusError, match="no text to score"):
        score_text(model_for(tokenizer), tokenizer, "")


def test_blocks_cover_every_token_once() -> None:
    nll = np.random.default_rng(1).random(1000)
    ids = np.ones(1000, dtype=np.uint8)
    ids[::10] = 0
    score = score_ids(nll, ids, unknown_id=None)
    assert (score.tokens, score.boundaries) == (900, 100)
    assert score.blocks.tokens == (256, 256, 256, 132)
    assert score.blocks.nll[1] == pytest.approx(nll[ids != 0][256:512].sum())
    assert sum(score.blocks.nll) == pytest.approx(score.nll)
    assert score.nll == pytest.approx(nll[ids != 0].sum())


def reset_at(model: Predictor, tokenizer: Tokenizer, reset: Reset, *texts: str) -> Score:
    scored = score_documents(
        model, tokenizer, pieces_of(tokenizer, *texts), StreamOptions(reset=reset)
    )
    return sum(scored, start=Score())


DOCUMENTS = (TEXT, "the mat\n\nthe hat", TEXT[:300])


def test_lines_scored_together_are_lines_scored_one_by_one(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    score = reset_at(model, tokenizer, "line", *DOCUMENTS)
    lines = [line for text in DOCUMENTS for line in text.splitlines(keepends=True)]
    each = [score_text(model, tokenizer, line) for line in lines]
    assert score.nll == pytest.approx(sum(one.nll for one in each), rel=1e-6)
    assert score.boundary_nll == pytest.approx(sum(one.boundary_nll for one in each), rel=1e-6)
    assert score.blocks.nll == pytest.approx([one.nll for one in each if one.tokens], abs=1e-5)
    assert (score.chars, score.words) == (sum(map(len, DOCUMENTS)), sum(o.words for o in each))


def test_documents_scored_together_are_documents_scored_one_by_one(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    score = reset_at(model, tokenizer, "document", *DOCUMENTS)
    each = [score_text(model, tokenizer, text) for text in DOCUMENTS]
    assert score.nll == pytest.approx(sum(one.nll for one in each), rel=1e-6)
    assert score.blocks.nll == pytest.approx([one.nll for one in each], rel=1e-6)


@pytest.mark.parametrize("reset", ["document", "line"])
def test_small_windows_and_long_lines_change_nothing(
    tokenizer: Tokenizer, reset: Reset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_for(tokenizer)
    whole = reset_at(model, tokenizer, reset, *DOCUMENTS)
    monkeypatch.setattr(scorer, "GATHERED", 40)
    monkeypatch.setattr(scorer, "AT_ONCE", 16)
    parts = reset_at(model, tokenizer, reset, *DOCUMENTS)
    assert parts.nll == pytest.approx(whole.nll, rel=1e-6)
    assert parts.boundary_nll == pytest.approx(whole.boundary_nll, rel=1e-6)
    assert (parts.tokens, parts.boundaries) == (whole.tokens, whole.boundaries)


class Counting(Bigram):
    """Remembers the most tokens that it was ever given at once."""

    most = 0

    def nll(self, tokens: Tensor, state: None) -> tuple[np.ndarray, None]:
        Counting.most = max(Counting.most, tokens[:, 1:].numel())
        return super().nll(tokens, state)


def test_a_line_without_end_is_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "AT_ONCE", 64)
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab\n", True)])[0]
    model = Counting(np.full((tokenizer.vocab_size, tokenizer.vocab_size), 0.2))
    lines = ("ab" * 500, "ab" * 500, "ab\nab\n", "ab" * 500)
    pieces = pieces_of(tokenizer, *lines, starts=False)
    scored = score_documents(model, tokenizer, pieces, StreamOptions(reset="line"))
    score = sum(scored, start=Score())
    assert (score.tokens, score.boundaries) == (sum(map(len, lines)), 3)
    assert score.nll == pytest.approx(score.tokens * math.log(5))
    assert Counting.most == 64


@pytest.mark.parametrize("reset", ["never", "document", "line"])
def test_a_token_without_probability_is_named_with_its_line(reset: Reset) -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab\n", True)])[0]
    table = np.full((tokenizer.vocab_size, tokenizer.vocab_size), 0.25)
    table[:, tokenizer.unknown_id] = 0
    pieces = pieces_of(tokenizer, "ab\nab\n", "a\nb\nba?\n")
    with pytest.raises(CorpusError) as caught:
        list(
            score_documents(Bigram(table), tokenizer, pieces, StreamOptions(reset=reset), ["a.txt"])
        )
    assert str(caught.value) == (
        "a.txt, document 2, line 3: the model gives '<unk>' no probability"
    )


def test_a_boundary_without_probability_does_not_matter() -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab\n", True)])[0]
    table = np.full((tokenizer.vocab_size, tokenizer.vocab_size), 0.25)
    table[:, 0] = 0
    for reset in RESETS:
        score = reset_at(Bigram(table), tokenizer, reset, "ab\n", "b")
        assert score.perplexity == pytest.approx(4)


def test_the_curve_holds_every_token_at_its_distance_from_the_start() -> None:
    tokenizer = train(TokenizerConfig(kind="char"), [Piece("ab\n", True)])[0]
    size = tokenizer.vocab_size
    table = np.full((size, size), 1 / 4)
    table[0] = 1 / 8  # after the boundary
    pieces = pieces_of(tokenizer, "abababab\nab\nababa\n")
    scored = score_documents(
        Bigram(table), tokenizer, pieces, StreamOptions(reset="line", curve=True)
    )
    curve = sum((part.curve for part in scored), start=Curve())
    rows = [(row.first, row.last, row.tokens) for row in curve.rows()]
    assert rows == [(1, 1, 3), (2, 2, 3), (3, 4, 5), (5, 8, 6), (9, 16, 1)]
    nll = [row.nll for row in curve.rows()]
    assert nll == pytest.approx([math.log(8)] + 4 * [math.log(4)])


@pytest.mark.parametrize("reset", ["never", "line"])
def test_the_curve_adds_up_to_the_score(tokenizer: Tokenizer, reset: Reset) -> None:
    scored = list(
        score_documents(
            model_for(tokenizer), tokenizer, pieces_of(tokenizer, *DOCUMENTS),
            StreamOptions(reset=reset, curve=True),
        )
    )  # fmt: skip
    score = sum(scored, start=Score())
    rows = list(sum((part.curve for part in scored), start=Curve()).rows())
    assert sum(row.tokens for row in rows) == score.tokens
    assert sum(row.nll * row.tokens for row in rows) == pytest.approx(score.nll)
