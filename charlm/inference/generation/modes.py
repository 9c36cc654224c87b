"""Whole requests for texts: at several temperatures, the best of several, with a saved state."""

import dataclasses
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from charlm.config import GenerationConfig
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.pieces import Finish, Sample, Written
from charlm.inference.generation.search.beam import beam_samples
from charlm.inference.generation.states import read_state, state_after, write_state
from charlm.inference.generation.text import warn_of_stops, write_samples
from charlm.inference.predictors.predictor import Predictor

__all__ = ["refuse_idle", "refuse_rivals", "write_texts"]

USED = {
    "fill": {"banned", "allowed", "max_copy"},
    "beam": {"length", "unit", "whole", "pattern", "banned", "allowed", "length_penalty"},
}
"""The settings of generation that these ways to write use.  A run may hold others, but who gives
one expects it to do something."""


def refuse_idle(mode: str | None, given: Iterable[str]) -> None:
    """Raise ``ConfigError`` for a name in ``given`` that does nothing with ``mode``: one of
    ``USED``, or None where tokens are sampled.
    """
    for name in given:
        if mode and name not in USED[mode]:
            raise ConfigError(f"`{name}` does nothing with `{mode}`", f"leave out `{name}`")
        if not mode and name == "length_penalty":
            raise ConfigError(f"`{name}` does nothing without `beam`", "give `beam=10`")


def write_texts(
    model: Predictor,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: GenerationConfig,
    *,
    seeds: Sequence[int],
    temperatures: Sequence[float] = (),
    best_of: int = 1,
    beam: int = 0,
    state: Path | None = None,
    stop: Sequence[str] = (),
    past_end: bool = False,
    training_text: SuffixIndex | None = None,
) -> list[Sample]:
    """A text for each prompt, seed and temperature, in this order, made while it is iterated.

    With ``best_of`` each is the most probable of so many, whose seeds follow ``seeds``; with
    ``beam`` the most probable that a search of this width finds.  A text goes on from the file
    ``state``, if it exists, which then keeps the state after the text.  Raises ``ConfigError`` for
    what contradicts itself, and what ``write_samples`` raises.
    """
    compared = {"best_of": best_of > 1, "temperatures": bool(temperatures)}
    require_end(config, **compared)
    refuse_rivals(beam=beam > 0, **compared, state=state is not None)
    warn_of_stops(tokenizer, stop)
    how: dict[str, Any] = {"stop": stop, "past_end": past_end, "training_text": training_text}
    if beam:
        search = partial(beam_samples, model, tokenizer, width=beam, count=len(seeds), **how)
        return [sample for prompt in prompts for sample in search(prompt=prompt, config=config)]
    write = partial(write_samples, model, tokenizer, prompts, **how)
    if state is not None:
        return [with_state(write, model, tokenizer, config, seeds, state)]
    if best_of > 1:
        every = write(config=config, seeds=range(seeds[0], seeds[0] + len(seeds) * best_of))
        return best_samples(every, best_of)
    if temperatures:
        return at_temperatures(write, config, seeds, temperatures)
    return write(config=config, seeds=seeds)


def require_end(config: GenerationConfig, **compared: bool) -> None:
    """Raise ``ConfigError`` for texts without an end where they are to be compared."""
    for name, is_given in compared.items():
        if is_given and config.length < 0 and not config.pattern:
            raise ConfigError(
                f"`{name}` compares texts that have ended, and `length=-1` has no end",
                "give a `length`",
            )


def refuse_rivals(**given: bool) -> None:
    """Raise ``ConfigError`` where more than one of these was given."""
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise ConfigError(
            f"`{names[0]}` and `{names[1]}` contradict each other", f"leave out `{names[1]}`"
        )


def at_temperatures(
    write: Callable[..., list[Sample]],
    config: GenerationConfig,
    seeds: Sequence[int],
    temperatures: Sequence[float],
) -> list[Sample]:
    """A text for each prompt, seed and temperature, in this order."""
    columns = []
    for temperature in temperatures:
        samples = write(config=dataclasses.replace(config, temperature=temperature), seeds=seeds)
        for sample in samples:
            sample.temperature = temperature
        columns.append(samples)
    return [sample for row in zip(*columns, strict=True) for sample in row]


def best_samples(samples: Sequence[Sample], best_of: int) -> list[Sample]:
    """Of every ``best_of`` texts the one whose tokens have the largest mean log-probability.

    All are finished when this returns, and those that are returned can be iterated again.
    """
    for sample in samples:
        for _ in sample:
            pass
    groups = [samples[begin : begin + best_of] for begin in range(0, len(samples), best_of)]
    return [rewound(max(group, key=mean_log_prob)) for group in groups]


def mean_log_prob(sample: Sample) -> float:
    """The mean log-probability in nats of a text's tokens; an empty text has none to choose by."""
    return sample.log_prob / len(sample.written) if sample.written else float("-inf")


def rewound(sample: Sample) -> Sample:
    """A sample that has ended, made ready to be iterated again."""
    written, finish = sample.written, sample.finish
    assert finish is not None

    def pieces() -> Generator[list[Written], None, Finish]:
        yield from ([token] for token in written)
        return finish

    sample.pieces, sample.written, sample.finish = pieces(), [], None
    return sample


def with_state(
    write: Callable[..., list[Sample]],
    model: Predictor,
    tokenizer: Tokenizer,
    config: GenerationConfig,
    seeds: Sequence[int],
    path: Path,
) -> Sample:
    """A text that goes on from the state in a file, and keeps the state after it there."""
    if not path.absolute().parent.is_dir():
        raise ConfigError(
            f"there is no folder {path.parent}", "make it, or give another file for `state`"
        )
    before = read_state(path, model)
    if before is not None and config.max_copy and not before.knows(config.max_copy):
        raise ConfigError(
            f"{path} holds too little of its text to go on with `max_copy={config.max_copy}`",
            "leave `max_copy` out, or begin a new file",
        )
    sample, *others = write(config=config, seeds=seeds, state=before)
    if others:
        raise ConfigError(
            "`state` keeps the state of one text, not of several",
            "leave out `samples` and `prompts`",
        )
    made = sample.pieces

    def pieces() -> Generator[list[Written], None, Finish]:
        finish = yield from made
        text = sample.prompt + "".join(token.text for token in sample.written)
        # The prompt has been checked, and a word that the length has cut may be an unknown one.
        write_state(path, model, state_after(model, tokenizer, text, before))
        return finish

    sample.pieces = pieces()
    return sample
