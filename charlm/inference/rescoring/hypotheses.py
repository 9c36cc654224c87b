"""Lists of hypotheses scored by a language model beside the scores they came with.

    total = given + lm_weight * ln p(text) + word_bonus * words

``given`` counts upwards (a cost has its sign changed first).  Every hypothesis is a stream of its
own, and what ends it is predicted as well, as ``</s>`` is elsewhere: a hypothesis that stops early
must not win for nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from charlm.data.formats.nbest import Hypothesis, NbestList
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.loading import Loaded
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.predictor import Predictor

__all__ = [
    "ENDS",
    "Ranked",
    "Rescored",
    "ScoredList",
    "Weights",
    "choose_end",
    "log_likelihoods",
    "rank",
    "score_lists",
]

ENDS = ("line", "boundary", "none")
SENTENCE = 100
"""Words; documents that are shorter on average are taken for sentences."""

LANES = 1024
LOGITS_AT_ONCE = 1 << 24
"""Most logits held at a time (64 MiB of float32); a large vocabulary has fewer lanes."""


@dataclass(frozen=True)
class Weights:
    """How much the model counts beside the given score, and what each word is worth, in nats."""

    lm: float = 1.0
    bonus: float = 0.0


@dataclass(frozen=True)
class ScoredList:
    """A list with ln p (n,) of each hypothesis, and how many of its tokens are unknown (n,)."""

    nbest: NbestList
    log_p: np.ndarray
    unknown: np.ndarray


@dataclass(frozen=True)
class Rescored:
    """A hypothesis with what is known of it; ``given`` and ``total`` count upwards."""

    hypothesis: Hypothesis
    given: float
    log_p: float
    words: int
    unknown: int
    total: float


@dataclass(frozen=True)
class Ranked:
    """A list of hypotheses with their totals, in the order of the file."""

    id: str
    rows: tuple[Rescored, ...]

    @property
    def best(self) -> int:
        """Which has the highest total; the first of equals."""
        return max(range(len(self.rows)), key=lambda at: self.rows[at].total)

    @property
    def best_given(self) -> int:
        """Which has the highest given score; the first of equals."""
        return max(range(len(self.rows)), key=lambda at: self.rows[at].given)


def choose_end(loaded: Loaded, end: str | None = None) -> tuple[str, np.ndarray]:
    """What ends a hypothesis, by name and as ids (n,): as asked for, or as the model has met it.

    A model of documents as short as sentences has learned to end them with the boundary.  Others
    know lines; if not even that, the boundary is all there is.
    """
    tokenizer = loaded.tokenizer
    line = tokenizer.encode("\n")
    if end is None:
        counts = loaded.run.origin.get("counts", {}).get("train", {})
        short = counts.get("words", 0) < SENTENCE * counts.get("documents", 0)
        known = len(line) > 0 and tokenizer.unknown_id not in line
        end = "line" if known and not short else "boundary"
    boundary = np.array([tokenizer.boundary_id], dtype=line.dtype)
    return end, {"line": line, "boundary": boundary, "none": line[:0]}[end]


def score_lists(
    model: Predictor, tokenizer: Tokenizer, end: np.ndarray, lists: Iterable[NbestList]
) -> Iterator[ScoredList]:
    """Score lists, as many together as there are lanes; ``end`` (n,) follows every hypothesis."""
    lanes = max(1, min(LANES, LOGITS_AT_ONCE // model.vocab_size))
    held: list[NbestList] = []
    for each in chain(lists, [None]):
        if held and (each is None or sum(len(one.hypotheses) for one in held) >= lanes):
            yield from score_some(model, tokenizer, end, held, lanes)
            held = []
        if each is not None:
            held.append(each)


def score_some(
    model: Predictor, tokenizer: Tokenizer, end: np.ndarray, lists: list[NbestList], lanes: int
) -> Iterator[ScoredList]:
    """Score these lists, with no more lanes than that at a time."""
    hypotheses = [hypothesis for each in lists for hypothesis in each.hypotheses]
    lines = [np.concatenate([tokenizer.encode(each.text), end]) for each in hypotheses]
    parts = [lines[begin : begin + lanes] for begin in range(0, len(lines), lanes)]
    log_p = np.concatenate([log_likelihoods(model, part) for part in parts])
    unknown = np.array([np.count_nonzero(line == tokenizer.unknown_id) for line in lines])
    begin = 0
    for each in lists:
        own = slice(begin, begin + len(each.hypotheses))
        begin = own.stop
        yield ScoredList(each, log_p[own], unknown[own])


def log_likelihoods(model: Predictor, lines: Sequence[np.ndarray]) -> np.ndarray:
    """ln p (n,) of lines (T,), each a stream of its own; what they begin with is read once.

    The lines are a tree, walked from the boundary down with a lane for each branch.
    """
    lengths = np.array([len(line) for line in lines])
    ids = np.zeros((len(lines), max(lengths, default=0)), dtype=np.int64)
    for row, line in zip(ids, lines, strict=True):
        row[: len(line)] = line
    total = np.zeros(len(lines))
    decoder = open_decoder(model)
    log_probs = decoder.advance(as_tensor(np.zeros((1, 1)), model))
    branch = np.zeros(len(lines), dtype=np.int64)  # in which lane each line is
    for depth in range(ids.shape[1]):
        going = np.flatnonzero(lengths > depth)
        edges = branch[going] * model.vocab_size + ids[going, depth]
        total[going] += edge_log_p(log_probs, edges)
        further = lengths[going] > depth + 1
        if not further.any():
            break
        distinct, branch[going[further]] = np.unique(edges[further], return_inverse=True)
        decoder.select(as_tensor(distinct // model.vocab_size, model))
        log_probs = decoder.advance(as_tensor(distinct % model.vocab_size, model)[:, None])
    return total


def edge_log_p(log_probs: Tensor, edges: np.ndarray) -> np.ndarray:
    """log_probs (B, V), edges (n,), lane * V + token -> ln p (n,) of the token in its lane."""
    log_p = log_probs.flatten()
    found: np.ndarray = log_p[torch.from_numpy(edges).to(log_p.device)].double().cpu().numpy()
    return found


def as_tensor(numbers: np.ndarray, model: Predictor) -> Tensor:
    """Lanes or tokens (B,) where the model's decoder takes them."""
    return torch.from_numpy(numbers.astype(np.int64)).to(model.device)


def rank(scored: ScoredList, weights: Weights, sign: int) -> Ranked:
    """Put totals to a list; ``sign`` is -1 where the given scores are costs."""
    figures = zip(
        scored.nbest.hypotheses, scored.log_p.tolist(), scored.unknown.tolist(), strict=True
    )
    rows = []
    for hypothesis, log_p, unknown in figures:
        given = sign * (hypothesis.given or 0.0)
        words = len(hypothesis.text.split())
        total = given + weights.lm * log_p + weights.bonus * words
        rows.append(Rescored(hypothesis, given, log_p, words, unknown, total))
    return Ranked(scored.nbest.id, tuple(rows))
