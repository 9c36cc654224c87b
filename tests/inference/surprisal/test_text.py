"""What a row of surprisals says: the probability of its text, however the tokens lie."""

import math
import random

import numpy as np
import pytest
import torch

from charlm.config import TokenizerConfig
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.predictors.reader import Reader
from charlm.inference.surprisal import text as surprisal
from charlm.inference.surprisal.text import surprisals
from tests.data.strings import FRAGMENTS
from tests.data.tokenizers.trained import train
from tests.inference.toys import (
    KINDS,
    MIXED,
    TEXT,
    TOYS,
    ToyModel,
    expectation,
    model_for,
    pieces_of,
    text_probability,
    trained,
)

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return trained(request.param)


@pytest.mark.parametrize("kind", list(TOYS))
@pytest.mark.parametrize("text", ["ab a b", "a bb ab", "bab a a"])
def test_a_words_surprisal_is_that_of_the_word_summed_over_all_that_may_follow_it(
    kind: str, text: str
) -> None:
    """P(word, space | text before) = P(text before, word, space) / P(text before)."""
    tokenizer = TOYS[kind]
    model = ToyModel(tokenizer.vocab_size)
    rows = list(surprisals(model, tokenizer, pieces_of(tokenizer, text), "word"))
    assert "".join(row.text for row in rows) == text
    read, before = "", 1.0
    for row in rows:
        read += row.text
        together = text_probability(tokenizer, read, length=len(read))
        assert row.nll == pytest.approx(-math.log(together / before), abs=1e-6)
        before = together


def test_all_words_and_the_end_of_the_text_are_all_that_can_come() -> None:
    """What the rule leaves to a word's end sums to one over all words with one or two letters."""
    tokenizer = TOYS["bpe"]
    words = ["a", "b", "aa", "ab", "ba", "bb"]
    ended = sum(text_probability(tokenizer, f"{word} ", 3) for word in words)
    longer = sum(text_probability(tokenizer, w + c, 3) for w in words[2:] for c in "ab")
    spaced = text_probability(tokenizer, " ", 3)
    over = [np.append(tokenizer.encode(word), 0) for word in ["", *words]]
    closed = sum(math.exp(-Reader(ToyModel(5)).nll(ids).sum()) for ids in over)
    assert ended + longer + spaced + closed == pytest.approx(1.0, abs=1e-9)


def test_how_the_next_word_is_spelled_does_not_change_the_end_of_a_word() -> None:
    """ " a" is one token and " b" two; the end of the word before is a space either way."""
    model = ToyModel(5)
    firsts, seconds = zip(
        *(
            surprisals(model, MIXED, pieces_of(MIXED, text), "word", top=5)
            for text in ("b a", "b b")
        ),
        strict=True,
    )
    after = expectation((0, 2), 5)
    space = np.logaddexp.reduce(after[[3, 4]])
    assert [row.nll for row in firsts] == pytest.approx([-expectation((0,), 5)[2] - space] * 2)
    spelled = -after[3] - expectation((0, 2, 3), 5)[2]
    assert seconds[0].nll == pytest.approx(-after[4] + space)
    assert seconds[1].nll == pytest.approx(spelled + space)
    assert seconds[0].entropy == pytest.approx(seconds[1].entropy)
    assert [row.text for row in (*firsts, *seconds)] == ["b ", "b ", "a", "b"]
    assert [row.tokens for row in (*firsts, *seconds)] == [1, 2, 1, 1]


def some_texts() -> list[str]:
    source = random.Random(5)
    parts = ["the", "cat", "'s", "é日", " ", " ", "  ", "\n", "\n\n", "\t", "\r\n", ".", *FRAGMENTS]
    made = ["".join(source.choices(parts, k=source.randint(1, 12))) for _ in range(300)]
    return [text for text in made if text.strip()][:200]


def test_words_of_two_hundred_texts_sum_to_the_total(tokenizer: Tokenizer) -> None:
    model, texts = model_for(tokenizer), some_texts()
    assert len(texts) == 200
    for text in texts:
        pieces = pieces_of(tokenizer, text)
        rows = list(surprisals(model, tokenizer, pieces, "word"))
        total = Reader(model).nll(pieces[0].ids).sum()
        assert sum(row.nll for row in rows) == pytest.approx(total, rel=1e-6)
        assert sum(row.tokens for row in rows) == len(pieces[0].ids)
        assert all(row.nll >= 0 for row in rows)
        words = [row.text.strip() for row in rows if row.text.strip()]
        if tokenizer.kind != "word":
            assert "".join(row.text for row in rows) == text  # what is unknown, too
            assert all(row.text[-1:].isspace() for row in rows[:-1])
        literal_end = tokenizer.kind == "word" and "<eos>" in text  # the line end itself
        if tokenizer.kind in ("byte", "char", "word") and not literal_end:
            assert words == text.split()


@pytest.mark.parametrize("together", [1, 5, 8192])
def test_rows_of_documents_and_lines_sum_to_those_read_by_themselves(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """However many are read side by side, and whichever are too long for that."""
    monkeypatch.setattr(surprisal, "TOGETHER", together)
    model = model_for(tokenizer)
    texts = ["the cat\nsat on\n\nthe", "and the hat\n"]
    pieces = pieces_of(tokenizer, *texts)
    for reset, parts in (
        ("document", texts),
        ("line", [line for text in texts for line in text.splitlines(keepends=True)]),
    ):
        rows = list(surprisals(model, tokenizer, pieces, "word", reset=reset))
        apart = sum(Reader(model).nll(tokenizer.encode(part)).sum() for part in parts)
        assert sum(row.nll for row in rows) == pytest.approx(apart, rel=1e-6)
        assert [row.index for row in rows] == list(range(len(rows)))
        assert [row.document for row in rows] == sorted(row.document for row in rows)
        assert sum(row.position == 0 for row in rows) == len(parts)


@pytest.mark.parametrize("together", [1, 5, 8192])
def test_lines_are_found_across_the_borders_of_pieces(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(surprisal, "TOGETHER", together)
    model = model_for(tokenizer)
    whole = pieces_of(tokenizer, "the cat\nsat on\nthe mat\n")
    parts = [
        EncodedPiece(tokenizer.encode(text), text, not at)
        for at, text in enumerate(["the cat\nsat", " on\n", "the mat\n"])
    ]
    one, other = (
        list(surprisals(model, tokenizer, pieces, "word", reset="line"))
        for pieces in (whole, parts)
    )
    assert [row.text for row in one] == [row.text for row in other]
    assert [row.nll for row in one] == pytest.approx([row.nll for row in other], rel=1e-5)


def test_a_document_without_tokens_is_still_a_document() -> None:
    tokenizer = train(TokenizerConfig(kind="word", end_of_line=False), [Piece(TEXT, True)])[0]
    model = model_for(tokenizer)
    rows = list(surprisals(model, tokenizer, pieces_of(tokenizer, "the", "\n", "cat"), "word"))
    the, cat = tokenizer.encode("the cat")
    nll = Reader(model).nll(np.array([the, 0, 0, cat]))
    assert [row.nll for row in rows] == pytest.approx(nll[[0, 3]], rel=1e-5)
    assert [row.document for row in rows] == [0, 2]


def by_hand(log_probs: np.ndarray, token: int) -> tuple[float, int]:
    """Entropy in nats and rank."""
    probs = np.exp(log_probs)
    entropy = -sum(p * math.log(p) for p in probs if p)
    return entropy, 1 + sum(probs > probs[token])


@pytest.mark.parametrize("kind", list(TOYS))
def test_entropy_rank_and_guesses_are_those_of_the_distribution(kind: str) -> None:
    tokenizer = TOYS[kind]
    size = tokenizer.vocab_size
    pieces = pieces_of(tokenizer, "ab a")
    rows = list(surprisals(ToyModel(size), tokenizer, pieces, "token", top=2))
    history, before = (0,), 0.0
    for row, token in zip(rows, pieces[0].ids.tolist(), strict=True):
        log_probs = expectation(history, size)
        entropy, rank = by_hand(log_probs, token)
        assert (row.entropy, row.rank) == (pytest.approx(entropy), rank)
        assert row.reduction == pytest.approx(max(0, before - entropy) if row.index else 0)
        best = np.argsort(-log_probs)[:2]
        names = [tokenizer.table[id].decode() or "<|boundary|>" for id in best]
        assert [text for text, _ in row.guesses] == names
        assert [p for _, p in row.guesses] == pytest.approx(np.exp(log_probs[best]))
        history, before = (*history, token), entropy


def test_what_is_expected_of_a_word_is_expected_once_its_space_has_come() -> None:
    """The second word's piece is measured among those that begin with a space."""
    tokenizer = TOYS["bpe"]
    rows = list(surprisals(ToyModel(5), tokenizer, pieces_of(tokenizer, "a b"), "word", top=5))
    spaced = expectation((0, 1), 5)[[3, 4]]
    spaced = spaced - np.logaddexp.reduce(spaced)
    entropy, rank = by_hand(spaced, 1)
    assert (rows[1].entropy, rows[1].rank) == (pytest.approx(entropy), rank)
    assert {text for text, _ in rows[1].guesses} == {" a", " b"}
    assert rows[1].nll == pytest.approx(-spaced[1])


class Sure(ToyModel):
    """Sees nothing but the end coming."""

    def advance(self, tokens, state):  # type: ignore[no-untyped-def]
        row = [0.0, *[-math.inf] * (self.vocab_size - 1)]
        return torch.tensor(row).expand(*tokens.shape, -1), state


@pytest.mark.parametrize("kind", list(TOYS))
def test_a_probability_of_zero_neither_spoils_the_entropy_nor_is_hidden(kind: str) -> None:
    tokenizer = TOYS[kind]
    pieces = pieces_of(tokenizer, "a b")
    first, second = surprisals(Sure(tokenizer.vocab_size), tokenizer, pieces, "word", top=3)
    assert (first.entropy, first.nll, first.rank) == (0.0, math.inf, 2)
    assert first.guesses == (("<|boundary|>", 1.0),)
    assert second.entropy == 0.0


def test_lines_that_the_tokens_do_not_tell_are_refused() -> None:
    config = TokenizerConfig(kind="word", end_of_line=False)
    tokenizer = train(config, [Piece(TEXT, True)])[0]
    with pytest.raises(ConfigError, match="`by='line'` needs tokens that end lines"):
        next(surprisals(model_for(tokenizer), tokenizer, [], "line"))


def test_lines_that_the_tokens_do_not_tell_are_streams_by_the_text() -> None:
    config = TokenizerConfig(kind="word", end_of_line=False)
    tokenizer = train(config, [Piece(TEXT, True)])[0]
    model = model_for(tokenizer)
    rows = list(surprisals(model, tokenizer, pieces_of(tokenizer, "the cat\nsat\n"), "word",
                           reset="line"))  # fmt: skip
    assert [(row.sentence, row.position, row.text) for row in rows] == [
        (0, 0, "the"), (0, 1, "cat"), (1, 0, "sat"),
    ]  # fmt: skip
    alone = Reader(model).nll(tokenizer.encode("sat"))
    assert rows[2].nll == pytest.approx(alone[0], rel=1e-5)
