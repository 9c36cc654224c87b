"""Small models: one whose probabilities can be summed over every continuation, and real ones."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charlm.config import ModelConfig, TokenizerConfig
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.scoring.documents import score_documents
from charlm.inference.scoring.scorer import CARRIED, StreamOptions, in_blocks, sums
from charlm.metrics import Score
from charlm.model.language_model import LanguageModel
from tests.data.tokenizers.trained import train

TEXT = "the cat sat on the mat,\nand the dog  ate the cat's hat.\n\n so it goes é日\n" * 6
KINDS = ("byte", "char", "word", "bpe", "unigram")


class ToyTokenizer(Tokenizer):
    """Longest match first over a handful of tokens; id 0 is the boundary."""

    def __init__(self, kind: str, tokens: Sequence[str]) -> None:
        self.kind = kind
        self.table = [b"", *(token.encode() for token in tokens)]

    def encode(self, text: str | bytes) -> np.ndarray:
        rest = text if isinstance(text, bytes) else text.encode()
        ids = []
        while rest:
            fitting = [id for id, token in enumerate(self.table) if id and rest.startswith(token)]
            ids.append(max(fitting, key=lambda id: len(self.table[id])))
            rest = rest[len(self.table[ids[-1]]) :]
        return np.array(ids, dtype=self.dtype)

    def definition(self) -> dict[str, Any]:
        return {"kind": self.kind}


CHARS = ToyTokenizer("char", ["a", "b", " "])
PIECES = ToyTokenizer("bpe", ["a", "b", " a", " b"])
TOYS = {"char": CHARS, "bpe": PIECES}
MIXED = ToyTokenizer("bpe", ["a", "b", " ", " a"])
"""Spells " b" in two tokens."""


@cache
def expectation(history: tuple[int, ...], size: int) -> np.ndarray:
    """Log-probabilities (V,) after a history: arbitrary, and different after each."""
    source = np.random.default_rng([size, *history])
    logits = 2 * source.standard_normal(size)
    return logits - np.logaddexp.reduce(logits)


class ToyModel(Predictor):
    """Any distribution after any history; the state is all histories."""

    def __init__(self, size: int) -> None:
        self.vocab_size = size

    def start(self, lanes: int = 1) -> list[tuple[int, ...]]:
        return [()] * lanes

    def advance(
        self, tokens: Tensor, state: list[tuple[int, ...]]
    ) -> tuple[Tensor, list[tuple[int, ...]]]:
        whole = [(*before, *own) for before, own in zip(state, tokens.tolist(), strict=True)]
        rows = [
            [
                expectation(history[:end], self.vocab_size)
                for end in range(len(before) + 1, len(history) + 1)
            ]
            for before, history in zip(state, whole, strict=True)
        ]
        return torch.from_numpy(np.array(rows)), whole

    def select(self, state: list[tuple[int, ...]], lanes: Tensor) -> list[tuple[int, ...]]:
        return [state[lane] for lane in lanes.tolist()]


def text_probability(tokenizer: Tokenizer, prefix: str, length: int) -> float:
    """The probability that a text begins with ``prefix``, summed over all continuations.

    Every sequence of up to ``length`` tokens that does not contradict it is gone through to its
    end; a boundary ends the text.
    """
    size, total = tokenizer.vocab_size, 0.0
    wanted = prefix.encode()
    left: list[tuple[tuple[int, ...], bytes, float]] = [((0,), b"", 0.0)]
    while left:
        history, text, log_prob = left.pop()
        if not (wanted.startswith(text) or text.startswith(wanted)):
            continue
        ended = len(history) > 1 and history[-1] == 0
        if ended or len(history) > length:
            total += float(np.exp(log_prob)) * text.startswith(wanted)
            continue
        after = expectation(history, size)
        left += [
            ((*history, token), text + tokenizer.table[token], log_prob + after[token])
            for token in range(size)
        ]
    return total


def trained(kind: str) -> Tokenizer:
    size = 300 if kind in ("bpe", "unigram") else None
    text = TEXT.encode() if kind == "byte" else TEXT
    return train(TokenizerConfig(kind=kind, vocab_size=size), [Piece(text, True)])[0]


def model_for(tokenizer: Tokenizer) -> Recurrent:
    config = ModelConfig(hidden_size=12)
    return Recurrent(LanguageModel.create(config, tokenizer.vocab_size, seed=3))


def pieces_of(tokenizer: Tokenizer, *texts: str) -> list[EncodedPiece]:
    return [EncodedPiece(tokenizer.encode(text), text, True) for text in texts]


def score_text(
    model: Predictor, tokenizer: Tokenizer, text: str, options: StreamOptions = CARRIED
) -> Score:
    """The score of one text."""
    pieces = pieces_of(tokenizer, text) if text else []
    return sum(score_documents(model, tokenizer, pieces, options), start=Score())


def score_ids(nll: np.ndarray, ids: np.ndarray, unknown_id: int | None) -> Score:
    """Sum nll (N,) of ids (N,), boundaries apart, in blocks; nothing is counted on the text."""
    counted = ids != 0
    return sums(nll, ids, in_blocks(counted), counted, unknown_id)
