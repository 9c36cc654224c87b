"""Text that a model writes."""

import math
import re
from collections.abc import Iterator, Sequence

import torch

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, TokenizerError
from charlm.inference.generation.filters import Sampling
from charlm.inference.generation.lanes import write
from charlm.inference.predictors.predictor import Predictor

__all__ = ["Sampling", "generate", "generate_each", "replace_symbols"]


def generate(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    length: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    seed: int = 1,
) -> Iterator[str]:
    """Yield the continuation of ``prompt`` piece by piece, whole characters only.

    Ends after ``length`` characters, before the first of the ``stop`` strings, or where the model
    ends the document.  The prompt follows a boundary and is not repeated.  Raises
    ``TokenizerError`` for a prompt with unknown characters or words, ``ConfigError`` for an empty
    stop string.
    """
    seeds = [seed]
    return generate_each(
        model, tokenizer, prompt, length=length, sampling=sampling, stop=stop, seeds=seeds
    )[seed]


def generate_each(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    length: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    seeds: Sequence[int],
) -> dict[int, Iterator[str]]:
    """The same for each seed, side by side where that is faster; a seed's text is the same."""
    if "" in stop:
        raise ConfigError("--stop must not be empty", "leave it out, or give the text to end at")
    unknown = tokenizer.unknown(prompt)
    if unknown:
        raise TokenizerError(
            f"the prompt has what the model has never seen: {name_unknown(unknown)}",
            "leave it out, or say what to put there with --replace-unknown",
        )
    ids = [tokenizer.boundary_id, *map(int, tokenizer.encode(prompt))]
    banned = torch.zeros(model.vocab_size, device=model.device)
    if tokenizer.unknown_id is not None:
        banned[tokenizer.unknown_id] = -math.inf  # it stands for no text
    written = write(model, torch.tensor(ids), banned, sampling or Sampling(), seeds)
    return {
        seed: cut(decode(tokenizer, ids[1:], blocks), length, tuple(stop))
        for seed, blocks in written.items()
    }


def decode(
    tokenizer: Tokenizer, prompt: Sequence[int], blocks: Iterator[list[int]]
) -> Iterator[str]:
    """Yield the text of tokens that follow a prompt, up to the first boundary."""
    text = tokenizer.stream()
    for token in prompt:
        text.push(token)  # half a character at the prompt's end is completed by what follows
    for block in blocks:
        if tokenizer.boundary_id in block:
            block = block[: block.index(tokenizer.boundary_id)]
            yield "".join(map(text.push, block)) + text.flush()
            return
        yield "".join(map(text.push, block))


def cut(pieces: Iterator[str], length: int, stop: Sequence[str]) -> Iterator[str]:
    """The first ``length`` characters, ending before the first stop string."""
    held, emitted = "", 0
    for piece in pieces:
        held += piece
        found = [held.find(text) for text in stop if text in held]
        if found:
            yield held[: min(found)][: length - emitted]
            return
        # What might be the beginning of a stop string waits.
        ready = held[: len(held) - overlap(held, stop)]
        if emitted + len(held) >= length:
            yield held[: length - emitted]
            return
        if ready:
            yield ready
            held, emitted = held[len(ready) :], emitted + len(ready)
    yield held


def overlap(text: str, stop: Sequence[str]) -> int:
    """The longest end of ``text`` with which some stop string begins."""
    longest = min(len(text), max((len(s) - 1 for s in stop), default=0))
    sizes = range(longest, 0, -1)
    return next((n for n in sizes if any(s.startswith(text[-n:]) for s in stop)), 0)


def name_unknown(unknown: dict[str, int], most: int = 8) -> str:
    """Unknown characters or words with how often they occur, the most frequent first."""
    ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{symbol!r} ({count}x)" for symbol, count in ordered[:most])
    return named + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def replace_symbols(tokenizer: Tokenizer, prompt: str, replacement: str | None) -> str:
    """``prompt`` with ``replacement`` for every unknown character; as it is if that is None.

    Raises ``TokenizerError`` if the replacement itself is unknown.
    """
    unknown = tokenizer.unknown(prompt)
    if replacement is None or not unknown:
        return prompt
    if tokenizer.unknown(replacement):
        raise TokenizerError(
            f"the model does not know the replacement {replacement!r} either",
            "choose another one; an empty one leaves the unknown out",
        )
    if tokenizer.kind == "word":
        return re.sub(r"\S+", lambda word: replacement if word[0] in unknown else word[0], prompt)
    return "".join(replacement if char in unknown else char for char in prompt)
