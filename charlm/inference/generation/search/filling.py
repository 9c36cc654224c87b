"""Gaps in a text, filled with what makes the whole text most probable.

B hypotheses side by side, T tokens that follow the gap.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch

from charlm.config import GenerationConfig
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, counted
from charlm.inference.generation.constraints.copying import CopyLimit, copies_more, copy_limits
from charlm.inference.generation.sampling import Constraint
from charlm.inference.generation.search.beam import PartialText, Search, check_width, extend
from charlm.inference.generation.symbols import bias_of, widths_of
from charlm.inference.generation.text import encode_prompt
from charlm.inference.predictors.predictor import Predictor, State

__all__ = ["Filled", "fill"]

GAP = re.compile("_{3,}")

LONGEST = 200
"""Most characters of a gap."""

FOLLOWING = 256
"""How many of the tokens after a gap decide about it."""


class Filled(NamedTuple):
    """A text without gaps: what stands in each, and the log-probability in nats of what stands in
    the last one and of what follows it.
    """

    text: str
    fills: tuple[str, ...]
    log_prob: float


def fill(
    model: Predictor,
    tokenizer: Tokenizer,
    text: str,
    config: GenerationConfig,
    training_text: SuffixIndex | None = None,
    *,
    gap_length: int = 20,
    width: int = 50,
    count: int = 1,
) -> list[Filled]:
    """``text`` with each gap, ``___``, filled by 1 to ``gap_length`` characters; the best
    ``count`` ways to fill the last one, the best first.

    Gaps are filled from left to right.  Of the ``width`` most probable beginnings at each length
    the one is taken that makes itself and what follows, up to the next gap, most probable; with
    enough of them that is the best of all.  With ``config.max_copy``, which needs the index of the
    ``training_text``, what stands in a gap goes on no longer copy, together with what surrounds it.
    Raises ``ConfigError`` for a text without a gap and for numbers out of range.
    """
    first, *others = GAP.split(text)
    check_gaps(others, gap_length)
    check_width(width, count)
    limits = copy_limits(tokenizer, config, training_text)
    config = GenerationConfig(length=gap_length, banned=config.banned, allowed=config.allowed)
    bias = bias_of(tokenizer, config)
    bias[tokenizer.boundary_id] = -torch.inf
    search = Search(width, bias, widths_of(tokenizer, config), gap_length, limits)
    found = [Filled(first, (), 0.0)]
    for number, after in enumerate(others, 1):
        last = number == len(others)
        wanted = count if last else 1
        found = fill_next(model, tokenizer, found[0], after, search, wanted, last=last)
    return found


def fill_next(
    model: Predictor,
    tokenizer: Tokenizer,
    left: Filled,
    after: str,
    search: Search,
    count: int,
    *,
    last: bool,
) -> list[Filled]:
    """What is ``left`` of a gap, filled that gap in the best ``count`` ways, and the text ``after``
    it; the best first.  After the ``last`` gap of a text, nothing but its end may follow.
    """
    ids = [tokenizer.boundary_id, *encode_prompt(tokenizer, left.text)]
    following = encode_prompt(tokenizer, after)[:FOLLOWING]
    if last and not after:
        following = [tokenizer.boundary_id]
    states = tuple(limit.start(left.text) for limit in search.constraints)
    ranked = candidates(model, tokenizer, ids, following, search, states)
    ways = (
        Filled(joined(tokenizer, left.text, content, after), (*left.fills, content), log_prob)
        for content, log_prob in ranked
    )
    fine = (way for way in ways if not copies(tokenizer, left, way, after, search.constraints))
    found = list(islice(fine, count))
    if not found:
        raise ConfigError(
            f"nothing of up to {counted(search.length, 'character')} fits into gap "
            f"{len(left.fills) + 1}",
            "give a longer `gap_length`, or loosen `banned`, `allowed` and `max_copy`",
        )
    return found


def copies(
    tokenizer: Tokenizer, left: Filled, way: Filled, after: str, limits: Sequence[Constraint]
) -> bool:
    """Whether what stands in the last gap of ``way`` goes on a copy that is too long, together with
    what was ``left`` of it and comes ``after`` it.
    """
    end = len(joined(tokenizer, left.text, way.fills[-1]))
    return any(
        copies_more(limit.training_text, way.text, len(left.text), end, limit.most)
        for limit in limits
        if isinstance(limit, CopyLimit)
    )


def check_gaps(others: Sequence[str], gap_length: int) -> None:
    """Raise ``ConfigError`` for a text without a gap and for numbers out of range."""
    if not others:
        raise ConfigError("the text has no gap", "mark it with three underscores: to ___ or not")
    if not 1 <= gap_length <= LONGEST:
        raise ConfigError(
            f"`gap_length` must be from 1 to {LONGEST} characters, got {gap_length}",
            "let the model write longer parts with `prompt`",
        )


def candidates(
    model: Predictor,
    tokenizer: Tokenizer,
    ids: Sequence[int],
    following: Sequence[int],
    search: Search,
    states: tuple[Any, ...],
) -> list[tuple[str, float]]:
    """What may stand between ``ids`` and ``following``, and its log-probability with ``following``
    in nats; the most probable first.  ``states`` are those of the search's constraints before it.
    """
    *before, last = ids
    state: State = model.start()
    if before:
        _, state = model.nll(on_device(model, [[*before, last]]), state)
    going, ends = [PartialText(states=states)], [last]
    found: dict[str, float] = {}
    while going:
        log_probs, state = model.advance(on_device(model, [[end] for end in ends]), state)
        grown = [
            (row, each)
            for row, each in extend(log_probs[:, -1], going, search)
            if float(search.widths[list(each.tokens)].sum()) <= search.length
        ]
        if not grown:
            break
        going = [each for _, each in grown]
        ends = [each.tokens[-1] for each in going]
        state = model.select(state, torch.tensor([row for row, _ in grown], device=model.device))
        nll = following_nll(model, ends, following, state)
        for each, rest in zip(going, nll.tolist(), strict=True):
            content = text_of(tokenizer, each.tokens)
            if content is not None:
                total = each.log_prob - rest
                found[content] = max(total, found.get(content, total))
    return sorted(found.items(), key=lambda item: -item[1])


def following_nll(
    model: Predictor, ends: Sequence[int], following: Sequence[int], state: State
) -> np.ndarray:
    """The nll (B,) of what follows each of the tokens ``ends``, which ``state`` has not read."""
    if not following:
        return np.zeros(len(ends))
    nll, _ = model.nll(on_device(model, [[end, *following] for end in ends]), state)
    total: np.ndarray = nll.sum(axis=1)
    return total


def on_device(model: Predictor, rows: list[list[int]]) -> torch.Tensor:
    """Tokens where the model takes them."""
    return torch.tensor(rows, device=model.device)


def text_of(tokenizer: Tokenizer, tokens: Sequence[int]) -> str | None:
    """The text of tokens; None where they end within a character."""
    try:
        return tokenizer.decode_bytes(list(tokens)).decode("utf-8")
    except UnicodeDecodeError:
        return None


def joined(tokenizer: Tokenizer, *given: str) -> str:
    """The parts as one text; between words stands white space."""
    parts = [part for part in given if part]
    text = parts[0]
    for part in parts[1:]:
        apart = tokenizer.kind == "word" and not (text[-1].isspace() or part[0].isspace())
        text += " " * apart + part
    return text
