"""From minutes and a text to a model: how large, how much dropout, which learning rate.

A short probe says how many tokens this machine can process in the time; the rules say what the
best model for so many tokens of so long a text is.  They were read from a grid of trainings that
``benchmarks/budget_grid.py`` repeats; ``docs/budget.md`` has its table.
"""

import bisect
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from charlm.config import DEFAULT_MINUTES, Config, merge
from charlm.model.language_model import LanguageModel
from charlm.training.budget.probe import Probe

__all__ = ["FREE", "Decision", "decide"]

FREE = frozenset(
    {
        "model.hidden_size",
        "model.embedding_size",
        "model.adaptive_softmax",
        "model.dropout",
        "model.input_dropout",
        "model.embedding_dropout",
        "model.weight_drop",
        "training.batch_size",
        "training.learning_rate",
        "training.weight_decay",
        "training.most_epochs",
    }
)
"""The settings that are decided here, unless they were chosen."""

SIZES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
WEIGHTS_PER_TOKEN = 8
"""Recurrent weights for each token of the text, at most."""

FEW_PASSES = 4
"""Passes over the text up to which a model of two parameters for each of its tokens needs next to
no dropout."""

MOST_DROPOUT = 0.6
"""What is wanted beyond it is taken from the recurrent weights."""

MOST_WEIGHT_DROP = 0.5

DECAYING_PASSES = 2
"""Passes from which weight decay helps."""

FORGETTING_PASSES = 5
"""Passes in which weight decay makes weights forget what they learned: the time that counts, as in
Wang and Aitchison 2024 (arXiv:2405.13698)."""

MOST_WEIGHT_DECAY = 0.3

MOST_PASSES = 30
"""More of them over up to a million characters gained next to nothing, however much was dropped."""

MANY_PARAMETERS = 20
"""Parameters for each token of the text that are worth a warning."""

LARGE_VOCABULARY = 10_000
"""Tokens from which most of the time would go into the softmax and the embedding."""

WORD_DROPOUT = 0.1
"""What such a vocabulary wants beyond the dropout of a small one."""

WORD_TOKENS = 2
"""How many times as many processed tokens make a layer worth having with such a vocabulary."""

WORD_SHARES = {
    "model.input_dropout": 0.8,
    "model.embedding_dropout": 0.2,
    "model.weight_drop": 0.6,
}
"""What is dropped elsewhere, as a share of its dropout."""

SMALL_EMBEDDING = 256
"""The largest embedding of such a vocabulary."""

FEWEST_STEPS = 8
"""Segments that each lane should have in a pass: fewer lanes for a short text."""

FEWER_LANES = 16
"""Lanes for a text that is read often: twice as many steps predict better then."""

LEAST_SPEED = 0.75
"""What they must keep of the speed: on a GPU a step takes as long with half the lanes."""


@dataclass(frozen=True)
class Decision:
    """Settings, and why they are what they are, a line each."""

    config: Config
    reasons: tuple[str, ...]


def decide(config: Config, free: Collection[str], tokens: np.ndarray, vocab_size: int) -> Decision:
    """Fill in the ``free`` settings for the minutes of ``config`` and the text's tokens (N,)."""
    seconds = 60 * (config.training.minutes or DEFAULT_MINUTES)
    probe = Probe(tokens, vocab_size)
    large = vocab_size >= LARGE_VOCABULARY
    if "training.batch_size" in free:
        most = len(tokens) // (FEWEST_STEPS * config.training.bptt)
        lanes = max(config.training.accumulate, min(32, most))
        config = change(config, "training.batch_size", lanes)
    if "model.adaptive_softmax" in free and large and config.model.softmaxes == 1:
        config = change(config, "model.adaptive_softmax", True)

    def sized(size: int) -> Config:
        tried = change(config, "model.hidden_size", size)
        if "model.embedding_size" in free and large and size > SMALL_EMBEDDING:
            tried = change(tried, "model.embedding_size", SMALL_EMBEDDING)
        return tried

    size = config.model.hidden_size
    if "model.hidden_size" in free:
        size = size_for(sized, probe, seconds / WORD_TOKENS if large else seconds)
    config = sized(size)
    if "training.learning_rate" in free:
        config = change(config, "training.learning_rate", learning_rate_for(size))
    if {"model.dropout", "training.most_epochs"} <= set(free) and not large:
        config = change(config, "training.most_epochs", MOST_PASSES)
    if "training.batch_size" in free and not large:
        config = with_fewer_lanes(config, probe, seconds)
    possible = seconds * probe.rate(config)
    processed = probe.tokens_in(seconds, config)
    if "model.dropout" in free:
        parameters = LanguageModel(config.model, vocab_size).count_parameters()
        wanted = wanted_dropout(processed / len(tokens), parameters / len(tokens), large)
        config = regularise(config, wanted, free, large)
    decays = config.training.optimizer == "adamw" and not large
    if decays and "training.weight_decay" in free and processed > DECAYING_PASSES * len(tokens):
        config = change(config, "training.weight_decay", weight_decay_for(config, len(tokens)))
    seconds *= processed / possible if processed else 1
    return Decision(config, explain(config, processed, seconds, len(tokens), vocab_size))


def with_fewer_lanes(config: Config, probe: Probe, seconds: float) -> Config:
    """``config``, with fewer lanes if the text is read often and they are little slower."""
    lanes = max(FEWER_LANES, config.training.accumulate)
    if lanes >= config.training.batch_size:
        return config
    fewer = change(config, "training.batch_size", lanes)
    often = probe.tokens_in(seconds, fewer) > FEW_PASSES * len(probe.tokens)
    fast = probe.rate(fewer) >= LEAST_SPEED * probe.rate(config)
    return fewer if often and fast else config


def regularise(config: Config, wanted: float, free: Collection[str], large: bool) -> Config:
    """``config`` with so much dropout, and what goes with it of the ``free`` settings: weight drop
    for what is wanted beyond the most dropout, with a large vocabulary some of everything.
    """
    dropout = min(wanted, MOST_DROPOUT)
    others = {"model.weight_drop": min(max(0.0, wanted - dropout), MOST_WEIGHT_DROP)}
    if large:
        others = {name: share * dropout for name, share in WORD_SHARES.items()}
    config = change(config, "model.dropout", round(dropout, 2))
    for name in others.keys() & free:
        config = change(config, name, round(others[name], 2))
    return config


def change(config: Config, name: str, value: float) -> Config:
    """``config`` with another value for ``section.key``."""
    section, key = name.split(".")
    return Config.from_tables(merge(config.to_tables(), {section: {key: value}}))


def size_for(sized: Callable[[int], Config], probe: Probe, seconds: float) -> int:
    """The largest size that text and time suffice for; ``sized`` gives the settings for one."""
    most = WEIGHTS_PER_TOKEN * len(probe.tokens)
    sizes = [size for size in SIZES if 4 * size**2 <= most] or SIZES[:1]

    def too_slow(size: int) -> bool:
        return seconds * probe.rate(sized(size)) < tokens_worth(size)

    return sizes[max(0, bisect.bisect_left(sizes, True, key=too_slow) - 1)]


def tokens_worth(size: int) -> float:
    """Processed tokens from which a layer of this size predicts better than a smaller one does
    that processes more of them in the same time.
    """
    return 2e6 * math.pow(size / 256, 0.45)


def learning_rate_for(size: int) -> float:
    """The peak learning rate of a layer of this size, to two digits."""
    return float(f"{6e-3 * (256 / size) ** 0.5:.2g}")


def weight_decay_for(config: Config, tokens: int) -> float:
    """AdamW's weight decay for many passes over so many tokens, to two digits; long texts are left
    with the default.
    """
    training = config.training
    steps = FORGETTING_PASSES * tokens / (training.batch_size * training.bptt)
    decay = min(1 / (training.learning_rate * max(steps, 1)), MOST_WEIGHT_DECAY)
    return max(float(f"{decay:.2g}"), training.decay)


def wanted_dropout(passes: float, parameters: float, large: bool = False) -> float:
    """The dropout that goes with so many passes over the text and so many parameters for each of
    its tokens: more of either, and the model would rather know the text by heart.  ``large``: of
    many kinds of tokens, most of which it has seldom seen.
    """
    passes = max(passes, 1 / FEW_PASSES)
    wanted = 0.05 + 0.2 * math.log2(passes / FEW_PASSES) + 0.1 * math.log2(parameters / 2)
    wanted += WORD_DROPOUT if large else 0
    return max(0.0, round(wanted, 2))


def short(number: float) -> str:
    """Like 0.36, 1.5, 13 or 26,000."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def explain(
    config: Config, processed: float, seconds: float, text: int, vocab_size: int
) -> tuple[str, ...]:
    """What was chosen and why, in three lines; a fourth where the model is far too large."""
    model, training = config.model, config.training
    parameters = LanguageModel(model, vocab_size).count_parameters()
    ends = processed >= (training.most_epochs or math.inf) * text
    enough = " (more gained next to nothing)" if ends else ""
    span = f"{seconds:.0f} s" if seconds < 60 else f"{short(seconds / 60)} min"
    more = "".join(
        f", {name.replace('_', ' ')} {getattr(model, name):g}"
        for name in ("input_dropout", "embedding_dropout", "weight_drop")
        if getattr(model, name)
    )
    if training.weight_decay:
        more += f", weight decay {training.weight_decay:g}"
    end = ", falling to zero at the end" if training.schedule in ("trapezoid", "cosine") else ""
    lines = [
        f"about {processed / 1e6:,.1f} M tokens in {span} here with layers of "
        f"{model.hidden_size}: {short(processed / parameters)} for each of "
        f"{parameters:,} parameters",
        f"that reads the text {short(processed / text)} times{enough}: "
        f"dropout {model.dropout:g}{more}",
        f"{training.batch_size} lanes of {training.bptt} steps, learning rate "
        f"{training.learning_rate:g}{end}",
    ]
    if model.adaptive_softmax:
        lines.append(
            f"{vocab_size:,} kinds of tokens: an adaptive softmax, embeddings of {model.embedding}"
        )
    if parameters > MANY_PARAMETERS * text:
        lines.append(
            f"the model has {parameters / text:.0f} parameters for each token of the text: "
            "it will know it by heart; more text would help more than a larger model"
        )
    return tuple(lines)
