"""Whole requests for texts: at several temperatures, the best of several, with a saved state."""

import dataclasses
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from charlm.config import GenerationConfig
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.pieces import Finish, Sample, Written
from charlm.inference.generation.search import beam_samples
from charlm.inference.generation.states import SavedState, read_state, state_after, write_state
from charlm.inference.generation.text import warn_of_stops, write_samples
from charlm.inference.predictors.predictor import Predictor

__all__ = ["best_samples", "refuse_idle", "refuse_rivals", "write_texts"]

USED = {
    "fill": {"banned", "allowed", "max_copy"},
    "beam": {"length", "unit", "whole", "pattern", "banned", "allowed"},
}
"""The settings of generation that these ways to write use.  A run may hold others, but who gives
one expects it to do something."""


def refuse_idle(mode: str, given: Iterable[str]) -> None:
    """Raise ``ConfigError`` for a name in ``given`` that does nothing with ``mode``."""
    for name in given:
        if name not in USED[mode]:
            raise ConfigError(f"`{name}` does nothing with `{mode}`", f"leave out `{name}`")


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
    ``beam`` the most probable that a search of this width finds.  ``state`` is the file that the
    text goes on from, if it exists, and that keeps the state after it; ``training_text`` is what
    ``config.max_copy`` needs.  Raises ``ConfigError`` for what contradicts itself, and what
    ``write_samples`` raises.
    """
    if best_of > 1:
        require_end(config)
    ways = {"beam": beam > 0, "best_of": best_of > 1, "temperatures": bool(temperatures)}
    refuse_rivals(**ways, state=state is not None)
    warn_of_stops(tokenizer, stop)
    how: dict[str, Any] = {"stop": stop, "past_end": past_end, "training_text": training_text}
    if state is not None:
        return [with_state(model, tokenizer, prompts, config, state, seeds, **how)]
    if beam:
        how |= {"width": beam, "count": len(seeds)}
        found = [beam_samples(model, tokenizer, prompt, config, **how) for prompt in prompts]
        return [sample for samples in found for sample in samples]
    if best_of > 1:
        return best_samples(model, tokenizer, prompts, config, seeds, best_of, **how)
    if temperatures:
        return at_temperatures(model, tokenizer, prompts, config, seeds, temperatures, **how)
    return write_samples(model, tokenizer, prompts, config, seeds=seeds, **how)


def require_end(config: GenerationConfig) -> None:
    """Raise ``ConfigError`` for texts without an end, which ``best_of`` could not compare."""
    if config.length < 0 and not config.pattern:
        raise ConfigError(
            "`best_of` compares texts that have ended, and `length=-1` has no end",
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
    model: Predictor,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: GenerationConfig,
    seeds: Sequence[int],
    temperatures: Sequence[float],
    **how: Any,
) -> list[Sample]:
    """A text for each prompt, seed and temperature, in this order."""
    columns = []
    for temperature in temperatures:
        changed = dataclasses.replace(config, temperature=temperature)
        samples = write_samples(model, tokenizer, prompts, changed, seeds=seeds, **how)
        for sample in samples:
            sample.temperature = temperature
        columns.append(samples)
    return [sample for row in zip(*columns, strict=True) for sample in row]


def best_samples(
    model: Predictor,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: GenerationConfig,
    seeds: Sequence[int],
    best_of: int,
    **how: Any,
) -> list[Sample]:
    """For each prompt and each of the ``seeds`` the best of ``best_of`` texts: the one whose tokens
    have the largest mean log-probability.  They are finished when this returns.
    """
    first, count = seeds[0], len(seeds) * best_of
    samples = write_samples(
        model, tokenizer, prompts, config, seeds=range(first, first + count), **how
    )
    for sample in samples:
        for _ in sample:
            pass
    groups = [samples[begin : begin + best_of] for begin in range(0, len(samples), best_of)]
    return [again(max(group, key=mean_log_prob)) for group in groups]


def mean_log_prob(sample: Sample) -> float:
    """The mean log-probability in nats of a text's tokens; an empty text has none to choose by."""
    return sample.log_prob / len(sample.written) if sample.written else float("-inf")


def again(sample: Sample) -> Sample:
    """A sample that can be iterated, of one that has ended."""

    def pieces() -> Generator[list[Written], None, Finish]:
        yield from ([token] for token in sample.written)
        assert sample.finish is not None
        return sample.finish

    return Sample(sample.prompt, sample.seed, pieces())


def with_state(
    model: Predictor,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: GenerationConfig,
    path: Path,
    seeds: Sequence[int],
    **how: Any,
) -> Sample:
    """A text that goes on from the state in a file, and keeps the state after it there."""
    if len(prompts) > 1 or len(seeds) > 1:
        raise ConfigError(
            "`state` keeps the state of one text, not of several",
            "leave out `samples` and `prompts`",
        )
    if not path.absolute().parent.is_dir():
        raise ConfigError(
            f"there is no folder {path.parent}", "make it, or give another file for `state`"
        )
    before = read_state(path, model)
    (sample,) = write_samples(model, tokenizer, prompts, config, seeds=seeds, state=before, **how)
    sample.pieces = keep_state(sample.pieces, sample.prompt, model, tokenizer, before, path)
    return sample


def keep_state(
    pieces: Generator[list[Written], None, Finish],
    text: str,
    model: Predictor,
    tokenizer: Tokenizer,
    before: SavedState | None,
    path: Path,
) -> Generator[list[Written], None, Finish]:
    """The pieces that follow ``text``; at their end the state after them is written."""
    while True:
        try:
            tokens = next(pieces)
        except StopIteration as end:
            finish: Finish = end.value
            break
        text += "".join(token.text for token in tokens)
        yield tokens
    # The prompt has been checked, and a word that the length has cut may be an unknown one.
    saved = state_after(model, list(map(int, tokenizer.encode(text))), before)
    write_state(path, model, saved)
    return finish
