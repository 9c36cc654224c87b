"""The most probable texts: beam search.

B hypotheses side by side, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.pieces import Sample, pieces_of
from charlm.inference.generation.sampling import Constraint, restrict
from charlm.inference.generation.symbols import widths_of
from charlm.inference.generation.text import (
    checked_stops,
    encode_prompt,
    refuse_beside_pattern,
    rules_for,
)
from charlm.inference.predictors.decoder import Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor

__all__ = ["PartialText", "Search", "beam_samples", "beam_search", "check_width", "extend"]

WIDEST = 4096
"""Most hypotheses side by side."""


class PartialText(NamedTuple):
    """Tokens, their log-probabilities in nats, and the states of constraints after them."""

    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    states: tuple[Any, ...] = ()

    @property
    def log_prob(self) -> float:
        """The log-probability of all tokens."""
        return sum(self.log_probs)


class Search(NamedTuple):
    """What a beam search of ``beam`` hypotheses keeps to: a text is over once its tokens'
    ``widths`` (V,) sum to ``length``, or with the boundary; ``power`` is the exponent of the length
    in its score.
    """

    beam: int
    bias: Tensor
    widths: Tensor
    length: float
    constraints: Sequence[Constraint] = ()
    power: float = 0.0

    def score(self, hypothesis: PartialText) -> float:
        """log-probability / (number of tokens)^power."""
        return float(hypothesis.log_prob / max(len(hypothesis.tokens), 1) ** self.power)


def beam_search(
    decoder: Decoder, search: Search, states: tuple[Any, ...] = ()
) -> list[PartialText]:
    """The best texts that follow what ``decoder``, with one lane, has read; the best first.

    Of the bias only minus infinity counts, because a search is for the model's probabilities.
    With a beam of at least the number of all texts this finds the best of all.
    """
    going, over = [PartialText(states=states)], list[PartialText]()
    if search.length <= 0:
        return going
    while going:
        candidates = extend(decoder.log_probs, going, search)
        rows, grown = [], []
        for row, hypothesis in candidates:
            length = float(search.widths[list(hypothesis.tokens)].sum())
            if hypothesis.tokens[-1] == 0 or length >= search.length:
                over.append(hypothesis)
            else:
                rows.append(row)
                grown.append(hypothesis)
        over = sorted(over, key=search.score, reverse=True)[: search.beam]
        going = grown
        # Without a power, further tokens only lower a score.
        if len(over) == search.beam and search.power == 0 and going:
            worst = search.score(over[-1])
            alive = [n for n, each in enumerate(going) if search.score(each) > worst]
            rows, going = [rows[n] for n in alive], [going[n] for n in alive]
        if going:
            decoder.select(torch.tensor(rows))
            decoder.advance(torch.tensor([[each.tokens[-1]] for each in going]))
    return over


def extend(
    log_probs: Tensor, going: Sequence[PartialText], search: Search
) -> list[tuple[int, PartialText]]:
    """The most probable hypotheses with one more token, each with the number of the one that
    it extends; ``log_probs`` (B, V) are those of the next tokens.
    """
    log_probs = log_probs.cpu().double()
    choice = log_probs.masked_fill(search.bias == -torch.inf, -torch.inf)
    for row, hypothesis in enumerate(going):
        for constraint, state in zip(search.constraints, hypothesis.states, strict=True):
            allowed = constraint.allowed(state)
            if allowed is not None:
                restrict(choice[row].numpy(), np.asarray(allowed), ends=False)
    before = torch.tensor([each.log_prob for each in going], dtype=torch.float64)
    totals = (choice + before[:, None]).flatten()
    best = totals.topk(min(search.beam, int((totals > -torch.inf).sum()))).indices.tolist()
    vocab, found = log_probs.shape[1], []
    for place in best:
        row, token = divmod(place, vocab)
        old = going[row]
        states = tuple(
            each.advance(state, token)
            for each, state in zip(search.constraints, old.states, strict=True)
        )
        log_prob = float(log_probs[row, token])
        found.append((row, PartialText((*old.tokens, token), (*old.log_probs, log_prob), states)))
    return found


def beam_samples(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str,
    config: GenerationConfig,
    *,
    width: int,
    count: int = 1,
    stop: Sequence[str] = (),
    past_end: bool = False,
    training_text: SuffixIndex | None = None,
) -> list[Sample]:
    """The ``count`` best texts that a beam of ``width`` hypotheses finds, the best first.

    Raises ``ConfigError`` for a length that is not in characters or tokens, and for a width out of
    range.
    """
    check_beam(config, width, count, past_end=past_end)
    stops = checked_stops(stop)
    if config.pattern:
        refuse_beside_pattern(stop=bool(stops))
    rules = rules_for(tokenizer, config, [prompt], training_text)
    widths = widths_of(tokenizer, config)
    search = Search(
        width, rules.logit_bias, widths, config.length, rules.constraints, config.length_penalty
    )
    ids = encode_prompt(tokenizer, prompt)
    decoder = open_decoder(model)
    decoder.advance(torch.tensor([[tokenizer.boundary_id, *ids]]))
    states = tuple(each.start(prompt) for each in rules.constraints)
    samples = []
    for hypothesis in beam_search(decoder, search, states)[:count]:
        block = list(zip(hypothesis.tokens, hypothesis.log_probs, strict=True))
        pieces = pieces_of(tokenizer, (prompt, ids), [block], Ending(config), stops)
        samples.append(Sample(prompt, None, pieces, constrained=bool(config.pattern)))
    return samples


def check_beam(config: GenerationConfig, width: int, count: int, *, past_end: bool) -> None:
    """Raise ``ConfigError`` for what a beam search cannot do."""
    check_width(width, count)
    if config.length < 0 or config.unit not in ("characters", "tokens") or config.whole != "none":
        raise ConfigError(
            "`beam` needs a `length` in characters or tokens",
            "give `length`, and leave `unit` and `whole` out",
        )
    if past_end:
        raise ConfigError("`past_end` does nothing with `beam`", "leave `past_end` out")


def check_width(width: int, count: int) -> None:
    """Raise ``ConfigError`` for a beam that is too narrow for ``count`` texts, or too wide."""
    if not max(1, count) <= width <= WIDEST:
        raise ConfigError(
            f"`beam` must be from `samples` ({count}) to {WIDEST}, got {width}", "change `beam`"
        )
