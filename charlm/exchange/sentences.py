"""A run behind the methods of two other tools, so that programs written for them can use it.

KenLM scores a sentence in log10, its end included; minicons gives nats or bits, token by token.
Here a sentence is plain text, which the run's tokenizer cuts, and every one follows a boundary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID
from charlm.errors import ConfigError
from charlm.inference.loading import Loaded
from charlm.inference.predictors.lines import measure_lines, nll_of_lines
from charlm.inference.surprisal.measures import Measures, measures

__all__ = ["KenlmScorer", "MiniconsScorer"]


class KenlmScorer:
    """A run with the methods of ``kenlm.Model``, in log10; the boundary is ``<s>`` and ``</s>``.

    ``order`` is that of an n-gram run, and infinite for a network.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.model, self.tokenizer = loaded.model, loaded.tokenizer
        config = loaded.run.config.model
        self.order: float = (config.order if config.kind == "ngram" else None) or math.inf

    def __contains__(self, word: str) -> bool:
        """Whether the vocabulary has every token of ``word``."""
        return self.tokenizer.unknown_id not in self.tokenizer.encode(word)

    def score(self, sentence: str, bos: bool = True, eos: bool = True) -> float:
        """Log10 of the probability of a sentence, and with ``eos`` of its end.

        Raises ``ConfigError`` for ``bos=False``.
        """
        return sum(p for p, _, _ in self.full_scores(sentence, bos, eos))

    def full_scores(
        self, sentence: str, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """For each token log10 of its probability, on how many tokens at most it depends, itself
        and the boundary included, and whether it is not in the vocabulary.

        Raises ``ConfigError`` for ``bos=False``.
        """
        if not bos:
            raise ConfigError("every sentence follows a boundary, `bos`", "leave `bos` out")
        ids = self.tokenizer.encode(sentence)
        ids = np.append(ids, BOUNDARY_ID) if eos else ids
        (nll,) = nll_of_lines(self.model, [ids])
        for place, (id, own) in enumerate(zip(ids.tolist(), nll.tolist(), strict=True)):
            known = id != self.tokenizer.unknown_id
            yield -own / math.log(10), int(min(place + 2, self.order)), not known

    def perplexity(self, sentence: str) -> float:
        """The perplexity of a sentence per token, its end being one."""
        scores = [p for p, _, _ in self.full_scores(sentence)]
        return float(10 ** (-sum(scores) / len(scores)))


def mean(log_probs: Tensor) -> float:
    """The mean of log-probabilities (n,), which is minicons' default.

    Raises ``ConfigError`` for those of a text without tokens.
    """
    if not len(log_probs):
        raise ConfigError("an empty text has no mean", "leave it out, or give a `reduction`")
    return log_probs.mean().item()


class MiniconsScorer:
    """A run with the methods of minicons' ``IncrementalLMScorer``, in nats or (``base_two``) bits.

    A batch is a text or a list of texts.  The first token of a text is scored too, as minicons does
    with ``bos_token=True``.  ``reduction`` makes a number of the log-probabilities (n,) of a text's
    tokens.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.model, self.tokenizer = loaded.model, loaded.tokenizer

    def token_score(
        self, batch: str | Sequence[str], surprisal: bool = False, prob: bool = False,
        base_two: bool = False, rank: bool = False,
    ) -> list[list[tuple[str, float] | tuple[str, float, int]]]:  # fmt: skip
        """For each text its tokens with their log-probabilities, surprisals or probabilities
        (``prob``), and with ``rank`` their ranks, 1 for the most probable token.
        """
        if prob and (surprisal or base_two):
            raise ConfigError("`prob` goes with neither `surprisal` nor `base_two`", "choose one")
        unit = (1 if surprisal else -1) / (math.log(2) if base_two else 1)
        scored: list[list[tuple[str, float] | tuple[str, float, int]]] = []
        for ids, found in self.measure(batch):
            names = [self.tokenizer.token_bytes(id).decode(errors="replace") for id in ids.tolist()]
            values = [math.exp(-each.nll) if prob else each.nll * unit for each in found]
            pairs = zip(names, values, strict=True)
            scored.append(
                [(*pair, each.rank) for pair, each in zip(pairs, found, strict=True)]
                if rank else list(pairs)
            )  # fmt: skip
        return scored

    def sequence_score(
        self, batch: str | Sequence[str], reduction: Callable[[Tensor], float] = mean,
        base_two: bool = False,
    ) -> list[float]:  # fmt: skip
        """For each text its log-probabilities, reduced to a number."""
        unit = math.log(2) if base_two else 1
        return [
            reduction(-torch.tensor([each.nll for each in found], dtype=torch.float64) / unit)
            for _, found in self.measure(batch)
        ]

    def measure(self, batch: str | Sequence[str]) -> Iterator[tuple[np.ndarray, list[Measures]]]:
        """The ids (n,) of each text, and what the model predicted in their places."""
        texts = [batch] if isinstance(batch, str) else batch
        lines = [self.tokenizer.encode(text) for text in texts]
        return zip(lines, measure_lines(self.model, lines, partial(measures, top=0)), strict=True)
