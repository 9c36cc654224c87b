"""From minutes and a text to a model: its size, dropout, learning rate and batch size.

A short probe measures how many tokens this machine can process in the minutes; the rules name the
best model for that many tokens of a text of this length.  They were fitted to a grid of trainings
that ``benchmarks/budget_grid.py`` repeats; ``docs/budget.md`` has its table.
"""

import bisect
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charlm.config import DEFAULT_MINUTES, Config, merge
from charlm.errors import counted
from charlm.model.language_model import LanguageModel
from charlm.training.budget.probe import Probe

__all__ = ["Decision", "decide", "undecided"]

SIZES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""The sizes of a layer to choose from."""

WEIGHTS_PER_TOKEN = 8
"""Recurrent weights per token of the text, at most."""

FEW_PASSES = 4
"""Passes over the text up to which a model of two parameters per token of the text needs next to
no dropout."""

MOST_DROPOUT = 0.6
"""Regularisation beyond this share of the outputs is done by weight drop."""

MOST_WEIGHT_DROP = 0.5
"""The largest weight drop that is decided."""

DECAYING_PASSES = 2
"""Passes from which weight decay helps."""

FORGETTING_PASSES = 5
"""Passes in which weight decay makes weights forget what they learned: the time that counts, as in
Wang and Aitchison 2024 (arXiv:2405.13698)."""

MOST_WEIGHT_DECAY = 0.3
"""The largest weight decay that is decided; more cost as much as it gained."""

MOST_PASSES = 30
"""Passes over the text at most: more over up to a million characters gained next to nothing."""

MANY_PARAMETERS = 20
"""Parameters per token of the text from which a warning is given."""

LARGE_VOCABULARY = 10_000
"""Size of a vocabulary from which most of the time would go into softmax and embedding."""

WORD_DROPOUT = 0.1
"""Dropout that a large vocabulary gets beyond that of a small one."""

WORD_TOKENS = 2
"""With a large vocabulary, a size of the layer needs this many times as many processed tokens."""

WORD_SHARES = {"model.input_dropout": 0.8, "model.embedding_dropout": 0.2, "model.weight_drop": 0.6}
"""With a large vocabulary, what is dropped elsewhere, as a share of the dropout."""

SMALL_EMBEDDING = 256
"""The largest embedding that is decided for a large vocabulary."""

LANES = 32
"""Lanes of a text that is long enough for them."""

FEWEST_STEPS = 8
"""Segments that each lane has in a pass, at least: a short text gets fewer lanes."""

FEWER_LANES = 16
"""Lanes of a text with many passes: there twice as many steps predict better."""

LEAST_SPEED = 0.75
"""Share of the speed that fewer lanes must keep: on a GPU half the lanes take as long a step."""


@dataclass(frozen=True)
class Decision:
    """Decided settings, and the reasons for them, a line each."""

    config: Config
    reasons: tuple[str, ...]


def decide(config: Config, tokens: np.ndarray, vocab_size: int) -> Decision:
    """Choose what is None in ``config`` for its minutes and the text's ``tokens`` (N,).

    The settings of the decision hold a value for everything that is not derived from another one.
    """
    seconds = 60 * (config.training.minutes or DEFAULT_MINUTES)
    probe = Probe(tokens, vocab_size)
    large = vocab_size >= LARGE_VOCABULARY
    free = undecided(config)
    if "training.batch_size" in free:
        most = len(tokens) // (FEWEST_STEPS * config.training.bptt)
        lanes = max(config.training.accumulate, min(LANES, most))
        config = change(config, "training.batch_size", lanes)
    if "model.adaptive_softmax" in free and large and config.model.softmaxes == 1:
        config = change(config, "model.adaptive_softmax", True)
    config = with_size(config, probe, seconds / WORD_TOKENS if large else seconds, large)
    if "training.learning_rate" in free:
        rate = 6e-3 * (256 / config.model.hidden_size) ** 0.5
        config = change(config, "training.learning_rate", float(f"{rate:.2g}"))
    if {"model.dropout", "training.most_epochs"} <= free and not large:
        config = change(config, "training.most_epochs", MOST_PASSES)
    if "training.batch_size" in free and not large:
        config = with_fewer_lanes(config, probe, seconds)
    config = regularise(config, probe.tokens_in(seconds, config), len(tokens), vocab_size)
    return Decision(config.with_defaults(), explain(config, probe, seconds))


def undecided(config: Config) -> frozenset[str]:
    """``section.key`` of the settings that minutes decide and that are None in ``config``."""
    return frozenset(
        f"{name}.{entry.name}"
        for name, section in config.sections().items()
        for entry in dataclasses.fields(section)
        if entry.metadata["decided"] and getattr(section, entry.name) is None
    )


def with_size(config: Config, probe: Probe, seconds: float, large: bool) -> Config:
    """``config`` with a size of its layers, and of the embedding of a ``large`` vocabulary."""
    free = undecided(config)

    def sized(size: int) -> Config:
        tried = change(config, "model.hidden_size", size)
        if "model.embedding_size" in free and large and size > SMALL_EMBEDDING:
            tried = change(tried, "model.embedding_size", SMALL_EMBEDDING)
        return tried

    decided = "model.hidden_size" in free
    return sized(size_for(sized, probe, seconds) if decided else config.model.hidden_size)


def with_fewer_lanes(config: Config, probe: Probe, seconds: float) -> Config:
    """``config`` with fewer lanes if the text is read often and little speed is lost."""
    lanes = max(FEWER_LANES, config.training.accumulate)
    if lanes >= config.training.batch_size:
        return config
    fewer = change(config, "training.batch_size", lanes)
    often = probe.tokens_in(seconds, fewer) > FEW_PASSES * len(probe.tokens)
    fast = probe.rate(fewer) >= LEAST_SPEED * probe.rate(config)
    return fewer if often and fast else config


def regularise(config: Config, processed: float, text: int, vocab_size: int) -> Config:
    """``config`` with what keeps ``processed`` tokens of a ``text`` of so many from overfitting.

    Dropout first.  What it should be beyond the most dropout becomes weight drop; a large
    vocabulary has some of everything dropped.  Weight decay where the text is read often.
    """
    free, large = undecided(config), vocab_size >= LARGE_VOCABULARY
    if "model.dropout" in free:
        parameters = LanguageModel(config.model, vocab_size).count_parameters()
        target = dropout_for(processed / text, parameters / text, large)
        dropout = min(target, MOST_DROPOUT)
        others = {"model.weight_drop": min(max(0.0, target - dropout), MOST_WEIGHT_DROP)}
        if large:
            others = {name: share * dropout for name, share in WORD_SHARES.items()}
        config = change(config, "model.dropout", round(dropout, 2))
        for name in others.keys() & free:
            config = change(config, name, round(others[name], 2))
    decays = config.training.optimizer == "adamw" and not large
    if decays and "training.weight_decay" in free and processed > DECAYING_PASSES * text:
        config = change(config, "training.weight_decay", weight_decay_for(config, text))
    return config


def change(config: Config, name: str, value: float) -> Config:
    """``config`` with another value for ``section.key``."""
    section, key = name.split(".")
    return Config.from_tables(merge(config.to_tables(), {section: {key: value}}))


def size_for(sized: Callable[[int], Config], probe: Probe, seconds: float) -> int:
    """The largest size of a layer that text and ``seconds`` suffice for; ``sized`` gives the
    settings of a size.
    """
    most = WEIGHTS_PER_TOKEN * len(probe.tokens)
    sizes = [size for size in SIZES if 4 * size**2 <= most] or SIZES[:1]

    def too_slow(size: int) -> bool:
        # From so many processed tokens on, a layer of this size predicts better than a smaller one
        # does that processes more of them in the same time.
        return seconds * probe.rate(sized(size)) < 2e6 * math.pow(size / 256, 0.45)

    return sizes[max(0, bisect.bisect_left(sizes, True, key=too_slow) - 1)]


def weight_decay_for(config: Config, tokens: int) -> float:
    """AdamW's weight decay for many passes over so many tokens, to two digits; long texts are left
    with the default.
    """
    training = config.training
    steps = FORGETTING_PASSES * tokens / (training.batch_size * training.bptt)
    decay = min(1 / (training.learning_rate * max(steps, 1)), MOST_WEIGHT_DECAY)
    return max(float(f"{decay:.2g}"), training.decay)


def dropout_for(passes: float, parameters: float, large: bool = False) -> float:
    """The dropout for so many passes over the text and so many parameters per token of it: with
    more of either a model overfits.  ``large``: of a large vocabulary, whose tokens are rare.
    """
    passes = max(passes, 1 / FEW_PASSES)
    dropout = 0.05 + 0.2 * math.log2(passes / FEW_PASSES) + 0.1 * math.log2(parameters / 2)
    dropout += WORD_DROPOUT if large else 0
    return max(0.0, round(dropout, 2))


def explain(config: Config, probe: Probe, seconds: float) -> tuple[str, ...]:
    """What was chosen and why, in three lines; more where the vocabulary or the model is large."""
    model, training, text = config.model, config.training, len(probe.tokens)
    parameters = LanguageModel(model, probe.vocab_size).count_parameters()
    processed = probe.tokens_in(seconds, config)
    possible = seconds * probe.rate(config)
    needed = seconds * processed / possible if processed else seconds
    ends = processed >= (training.most_epochs or math.inf) * text
    layers = "one layer" if model.num_layers == 1 else f"{model.num_layers} layers"
    lines = [
        f"this machine can train {layers} of {counted(model.hidden_size, 'unit')} ({parameters:,} "
        f"parameters) on about {many(processed)} tokens in {span(needed)}: "
        f"{short(processed / parameters)} {plural('token', processed / parameters)} per parameter",
        f"that is {short(processed / text)} {plural('pass', processed / text)} over the text"
        f"{' (more gained next to nothing)' * ends}: {regularisation(config)}",
        f"batch size {training.batch_size}, bptt {training.bptt}, learning rate "
        f"{training.learning_rate:g}"
        + ", falling to zero at the end"
        * (training.schedule in ("trapezoid", "cosine")),
    ]
    if model.adaptive_softmax:
        lines.append(
            f"vocabulary of {probe.vocab_size:,}: an adaptive softmax, embeddings of "
            f"{model.embedding}"
        )
    if parameters > MANY_PARAMETERS * text:
        lines.append(
            f"the model has {parameters / text:.0f} parameters per token of the text and will "
            "overfit; more text would help more than a larger model"
        )
    return tuple(lines)


def regularisation(config: Config) -> str:
    """Dropout, and what else keeps the model from overfitting."""
    model, decay = config.model, config.training.weight_decay
    more = [
        f"{name.replace('_', ' ')} {getattr(model, name):g}"
        for name in ("input_dropout", "embedding_dropout", "weight_drop")
        if getattr(model, name)
    ]
    more += [f"weight decay {decay:g}"] if decay else []
    return ", ".join([f"dropout {model.dropout:g}", *more])


def many(number: float) -> str:
    """A number of tokens for people, like 5.0 M or 30,135."""
    return f"{number / 1e6:,.1f} M" if number >= 1e5 else f"{number:,.0f}"


def span(seconds: float) -> str:
    """A time for people, like 42 s or 1.5 min."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{short(seconds / 60)} min"


def short(number: float) -> str:
    """A number for people: two digits of a small one, like 0.36 or 1.5, else 13 or 26,000."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def plural(word: str, number: float) -> str:
    """``word`` as it stands after ``number``, as that is shown."""
    return word if short(number) == "1" else word + ("es" if word.endswith("s") else "s")
