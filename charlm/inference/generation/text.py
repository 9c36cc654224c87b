"""Text that a model writes."""

import re
import secrets
import warnings
from collections.abc import Sequence
from typing import Any

from charlm.config import GenerationConfig
from charlm.config.generation import LARGEST_SEED
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CharlmWarning, ConfigError, TokenizerError
from charlm.inference.generation.constraints.copying import copy_limits
from charlm.inference.generation.constraints.patterns import Pattern
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.lanes import sample_tokens
from charlm.inference.generation.pieces import Sample, pieces_of
from charlm.inference.generation.sampling import Constraint, Rules, Start
from charlm.inference.generation.states import SavedState, text_after
from charlm.inference.generation.symbols import bias_of, breakers_of, widths_of
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.predictor import Predictor

__all__ = [
    "Sample",
    "check_count",
    "encode_prompt",
    "grouped",
    "name_unknown",
    "random_seed",
    "replace_symbols",
    "seeds_for",
    "stream",
    "warn_of_stops",
    "write_samples",
]

DEFAULTS = GenerationConfig()

NAMED = 8
"""Unknown characters or words that a message names at most."""

RANDOM_SEEDS = 1 << 31
"""Random seeds are below it, so that they are short to write down."""


def check_count(samples: int | None) -> int:
    """How many texts each prompt gets.  Raises ``ConfigError`` for less than 1."""
    if samples is not None and samples < 1:
        raise ConfigError(f"`samples` must be 1 or more, got {samples}", "leave `samples` out")
    return samples or 1


def seeds_for(seed: int | None, samples: int | None) -> range:
    """The seeds of the texts of a prompt: ``seed``, ``seed + 1``, ..., or random ones.

    Raises ``ConfigError`` for less than 1 of ``samples``.
    """
    first = random_seed() if seed is None else seed
    return range(first, first + check_count(samples))


def grouped(written: Sequence[Sample], samples: int | None) -> list[Any]:
    """For each prompt its text, or with ``samples`` the list of its texts; prompts included."""
    texts = [sample.prompt + "".join(sample) for sample in written]
    if samples is None:
        return list(texts)
    return [texts[begin : begin + samples] for begin in range(0, len(texts), samples)]


def stream(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str = "",
    config: GenerationConfig = DEFAULTS,
    *,
    seed: int | None = None,
    **how: Any,
) -> Sample:
    """What the model writes after ``prompt``, piece by piece.

    ``how`` is what ``write_samples`` takes; raises what it does.
    """
    seeds = seeds_for(seed, None)
    (sample,) = write_samples(model, tokenizer, prompt, config, seeds=seeds, **how)
    return sample


def write_samples(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str | Sequence[str] = "",
    config: GenerationConfig = DEFAULTS,
    *,
    seeds: Sequence[int],
    stop: str | Sequence[str] = (),
    past_end: bool = False,
    state: SavedState | None = None,
    training_text: SuffixIndex | None = None,
) -> list[Sample]:
    """One sample for each seed, or for each prompt and seed, made side by side where that is
    faster, while they are iterated.

    A sample depends on its prompt and seed alone.  The prompt follows a boundary, or the text of a
    saved ``state``, and is not repeated.  A sample ends after ``config.length`` characters or other
    units, before the first of the ``stop`` strings, or where the model ends the document; with
    ``past_end`` another one follows there, on a new line.  ``config.max_copy`` needs the index of
    the ``training_text``.

    Raises ``TokenizerError`` for a prompt with unknown characters or words, and ``ConfigError``
    for an empty stop string, a seed out of range and a prompt that is no text.
    """
    prompts, stops = checked_prompts(prompt), checked_stops(stop)
    check_seeds(seeds)
    if config.pattern:
        refuse_beside_pattern(stop=bool(stops), past_end=past_end, state=state is not None)
    rules = rules_for(tokenizer, config, prompts, training_text, past_end=past_end)
    begin = open_decoder(model, state=None if state is None else state.state)
    texts = [each for each in prompts for _ in seeds]
    starts = starts_for(tokenizer, prompts, rules, seeds, state)
    samples = []
    for each, start, blocks in zip(texts, starts, sample_tokens(begin, rules, starts), strict=True):
        after = each, start.ids[1:]
        pieces = pieces_of(tokenizer, after, blocks, Ending(config), stops, past_end=past_end)
        samples.append(Sample(each, start.seed, pieces, constrained=bool(config.pattern)))
    return samples


def starts_for(
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    rules: Rules,
    seeds: Sequence[int],
    before: SavedState | None = None,
) -> list[Start]:
    """Where the texts of each prompt and seed begin: after a boundary or what came ``before``."""
    given = tokenizer.boundary_id if before is None else before.last
    earlier = tokenizer.encode(text_after(tokenizer, before, "")).tolist()[:-1]
    starts = []
    for prompt in prompts:
        ids = (given, *encode_prompt(tokenizer, prompt))
        text = text_after(tokenizer, before, prompt)
        states = tuple(constraint.start(text) for constraint in rules.constraints)
        starts += [Start(ids, seed, states, tuple(earlier)) for seed in seeds]
    return starts


def rules_for(
    tokenizer: Tokenizer,
    config: GenerationConfig,
    prompts: Sequence[str],
    training_text: SuffixIndex | None = None,
    *,
    past_end: bool = False,
) -> Rules:
    """How tokens are sampled, with the constraints that ``config`` asks for."""
    bias, widths, breakers = bias_of(tokenizer, config), None, None
    limits = copy_limits(tokenizer, config, training_text, past_end=past_end)
    constraints: list[Constraint] = [*limits]
    if config.pattern:
        constraints.append(Pattern(tokenizer, config, bias, prompts))
    if config.temperature_end is not None:
        widths = widths_of(tokenizer, config)
    if config.dry_multiplier and config.dry_breakers:
        breakers = breakers_of(tokenizer, config.dry_breakers)
    return Rules(config, bias, widths, breakers, constraints)


def refuse_beside_pattern(**given: bool) -> None:
    """Raise ``ConfigError`` for what would keep the whole text from matching a pattern."""
    for name, is_given in given.items():
        if is_given:
            raise ConfigError(
                f"`{name}` and `pattern` contradict each other: the whole text must match",
                f"leave `{name}` out, or put it into the expression",
            )


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The ids of a prompt.  Raises ``TokenizerError`` for what the model has never seen."""
    unknown = tokenizer.unknown(prompt)
    if unknown:
        what = "words" if tokenizer.kind == "word" else "characters"
        raise TokenizerError(
            f"the prompt contains {what} the model has never seen: {name_unknown(unknown)}",
            "leave them out, or say what to put there with `replace_unknown`",
        )
    ids: list[int] = tokenizer.encode(prompt).tolist()
    return ids


def warn_of_stops(tokenizer: Tokenizer, stop: Sequence[str]) -> None:
    """Warn of stop strings that can never come, because the model has no such characters."""
    for text in stop:
        unknown = tokenizer.unknown(text) if tokenizer.kind == "char" else None
        if unknown:
            warnings.warn(
                f"the text to stop at, {text!r}, contains characters the model has never seen: "
                f"{name_unknown(unknown)}; it cannot come",
                CharlmWarning,
                stacklevel=3,
            )


def checked_stops(stop: str | Sequence[str]) -> tuple[str, ...]:
    """The stop strings; a str is one.  Raises ``ConfigError`` for an empty one."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in stops:
        raise ConfigError("`stop` must not be empty", "leave it out, or give the text to end at")
    return stops


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise ``ConfigError`` for a seed out of range."""
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            cause = f"`seed` must be from 0 to {LARGEST_SEED}, got {seed}"
            raise ConfigError(cause, "change `seed`")


def random_seed() -> int:
    """A seed that nobody can foresee."""
    return secrets.randbelow(RANDOM_SEEDS)


def checked_prompts(prompt: str | Sequence[str]) -> list[str]:
    """The prompts; a str is one.  Raises ``ConfigError`` for what is no text."""
    single = isinstance(prompt, str) or not isinstance(prompt, Sequence)
    prompts: list[Any] = [prompt] if single else list(prompt)
    for each in prompts:
        if not isinstance(each, str):
            raise ConfigError(
                f"`prompt` must be a text, got {each!r}", "give a str, or a list of them"
            )
    return prompts


def name_unknown(unknown: dict[str, int]) -> str:
    """Unknown characters or words with how often they occur, the most frequent first."""
    ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{symbol!r} ({count}x)" for symbol, count in ordered[:NAMED])
    return named + (f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else "")


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
