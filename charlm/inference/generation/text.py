"""Text that a model writes."""

import math
import re
import secrets
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Literal, Self

import torch

from charlm.config import GenerationConfig
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, TokenizerError
from charlm.inference.generation.lanes import sample_tokens
from charlm.inference.predictors.predictor import Predictor

__all__ = [
    "Finish",
    "Sample",
    "generate",
    "name_unknown",
    "random_seed",
    "replace_symbols",
    "stream",
    "write_samples",
]

Finish = Literal["length", "stop", "end"]
"""Why a text is over: its length is reached, a stop string came, or the document ended."""

DEFAULTS = GenerationConfig()

SEEDS, RANDOM_SEEDS = 1 << 63, 1 << 31
"""Seeds are whole numbers below the first; random ones below the second, short to write down."""


class Sample:
    """One text in the making: an iterator over the pieces of what follows the prompt.

    A piece is the text of one token, or of a few where characters or stop strings need several;
    it always holds whole characters.  ``finish`` is None until the iterator has ended, after which
    it can be iterated no more.
    """

    def __init__(self, prompt: str, seed: int, pieces: Generator[str, None, Finish]) -> None:
        self.prompt, self.seed = prompt, seed
        self.pieces = pieces
        self.finish: Finish | None = None

    def __iter__(self) -> Self:
        """Raises ``ConfigError`` for a text that has come to its end, which would seem empty."""
        if self.finish is not None:
            raise ConfigError(
                f"this text has been read to its end (seed {self.seed})",
                f"generate it again, with `seed={self.seed}` for the same text",
            )
        return self

    def __next__(self) -> str:
        try:
            return next(self.pieces)
        except StopIteration as end:
            self.finish = end.value or self.finish
            raise

    def close(self) -> None:
        """End the text here; ``finish`` stays None."""
        self.pieces.close()

    def __repr__(self) -> str:
        return f"Sample(prompt={self.prompt!r}, seed={self.seed}, finish={self.finish!r})"


def generate(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str | Sequence[str] = "",
    config: GenerationConfig = DEFAULTS,
    *,
    samples: int | None = None,
    seed: int | None = None,
    stop: Sequence[str] = (),
    past_end: bool = False,
) -> str | list[Any]:
    """The prompt and what the model writes after it.

    With ``samples`` a list of so many texts, of the seeds ``seed``, ``seed + 1``, ...; for a list
    of prompts a list with what each of them alone would give.  Raises what ``write_samples`` does.
    """
    first = random_seed() if seed is None else seed
    if isinstance(prompt, Sequence) and not isinstance(prompt, str):
        return [
            generate(
                model, tokenizer, check_prompt(one), config,
                samples=samples, seed=first, stop=stop, past_end=past_end,
            )
            for one in prompt
        ]  # fmt: skip
    count = 1 if samples is None else samples
    if count < 1:
        raise ConfigError(f"`samples` must be 1 or more, got {count}", "leave `samples` out")
    written = write_samples(
        model, tokenizer, prompt, config,
        seeds=range(first, first + count), stop=stop, past_end=past_end,
    )  # fmt: skip
    texts = [prompt + "".join(sample) for sample in written]
    return texts[0] if samples is None else texts


def stream(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str = "",
    config: GenerationConfig = DEFAULTS,
    *,
    seed: int | None = None,
    stop: Sequence[str] = (),
    past_end: bool = False,
) -> Sample:
    """What the model writes after ``prompt``, piece by piece.

    Raises what ``write_samples`` does.
    """
    seeds = [random_seed() if seed is None else seed]
    (sample,) = write_samples(
        model, tokenizer, prompt, config, seeds=seeds, stop=stop, past_end=past_end
    )
    return sample


def write_samples(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str = "",
    config: GenerationConfig = DEFAULTS,
    *,
    seeds: Sequence[int],
    stop: Sequence[str] = (),
    past_end: bool = False,
) -> list[Sample]:
    """One sample for each seed, made side by side where that is faster, while they are iterated.

    A sample depends on its seed alone.  The prompt follows a boundary and is not repeated.  A
    sample ends after ``config.length`` characters, before the first of the ``stop`` strings, or
    where the model ends the document; with ``past_end`` another document follows there, on a new
    line.

    Raises ``TokenizerError`` for a prompt with unknown characters or words, and ``ConfigError``
    for an empty stop string, a seed out of range and a prompt that is no text.
    """
    check_prompt(prompt)
    stops = checked_stops(stop)
    check_seeds(seeds)
    unknown = tokenizer.unknown(prompt)
    if unknown:
        what = "words" if tokenizer.kind == "word" else "characters"
        raise TokenizerError(
            f"the prompt contains {what} the model has never seen: {name_unknown(unknown)}",
            "leave it out, or say what to put there with `replace_unknown`",
        )
    ids = [tokenizer.boundary_id, *map(int, tokenizer.encode(prompt))]
    bias = torch.zeros(model.vocab_size)
    if tokenizer.unknown_id is not None:
        bias[tokenizer.unknown_id] = -math.inf  # it stands for no text
    tokens = sample_tokens(model, torch.tensor(ids), bias, config, seeds)
    written = (decode(tokenizer, prompt, ids[1:], blocks, past_end=past_end) for blocks in tokens)
    return [
        Sample(prompt, seed, cut(pieces, config.length, stops))
        for seed, pieces in zip(seeds, written, strict=True)
    ]


def checked_stops(stop: str | Sequence[str]) -> tuple[str, ...]:
    """The stop strings; a str is one.  Raises ``ConfigError`` for an empty one."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in stops:
        raise ConfigError("`stop` must not be empty", "leave it out, or give the text to end at")
    return stops


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise ``ConfigError`` for a seed out of range."""
    for seed in seeds:
        if not 0 <= seed < SEEDS:
            raise ConfigError(f"`seed` must be from 0 to {SEEDS - 1}, got {seed}", "change `seed`")


def random_seed() -> int:
    """A seed that nobody can foresee."""
    return secrets.randbelow(RANDOM_SEEDS)


def check_prompt(prompt: object) -> str:
    """The prompt.  Raises ``ConfigError`` for what is no text."""
    if not isinstance(prompt, str):
        raise ConfigError(
            f"`prompt` must be a text, got {prompt!r}", "give a str, or a list of them"
        )
    return prompt


def decode(
    tokenizer: Tokenizer,
    prompt: str,
    ids: Sequence[int],
    blocks: Iterator[list[int]],
    *,
    past_end: bool = False,
) -> Iterator[str]:
    """Yield the text of tokens that follow a prompt of ``ids``, up to the first boundary.

    With ``past_end`` a boundary is a line break, unless one came just before.
    """
    text = tokenizer.stream()
    # Half a character at the prompt's end is completed by what follows.
    given = "".join(map(text.push, ids))
    # Words keep no white space: what the prompt ends with stands for the space before the next.
    spaced, last = prompt[-1:].isspace() and not given[-1:].isspace(), prompt[-1:]
    for token in (token for block in blocks for token in block):
        piece = text.push(token) if token != tokenizer.boundary_id else text.flush()
        if spaced and piece:
            piece, spaced = piece.removeprefix(" "), False
        last = piece[-1:] or last
        if token == tokenizer.boundary_id:
            if not past_end:
                yield piece
                return
            if last not in ("", "\n"):
                piece, last = piece + "\n", "\n"
        if piece:
            yield piece


def cut(pieces: Iterator[str], length: int, stop: Sequence[str]) -> Generator[str, None, Finish]:
    """The first ``length`` characters, ending before the first stop string; returns the reason."""
    held, emitted = "", 0
    if not length:
        return "length"
    for piece in pieces:
        held += piece
        found = [held.find(text) for text in stop if text in held]
        if found:
            yield held[: min(found)][: length - emitted]
            return "stop" if min(found) <= length - emitted else "length"
        # What might be the beginning of a stop string waits.
        ready = held[: len(held) - overlap(held, stop)]
        if emitted + len(held) >= length:
            yield held[: length - emitted]
            return "length"
        if ready:
            yield ready
            held, emitted = held[len(ready) :], emitted + len(ready)
    if held:
        yield held
    return "end"


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
