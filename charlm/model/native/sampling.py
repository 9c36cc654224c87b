"""What the compiled decoder has to know to sample tokens: the rule, and the texts so far."""

import ctypes
import math
from collections.abc import Sequence
from functools import lru_cache

from charlm.config import GenerationConfig

__all__ = ["LONGEST_MATCH", "LaneTexts", "SamplingRule", "fields", "rule_of"]

LONGEST_MATCH = 100
"""Tokens of a repetition that are counted at most: a longer one is penalised like this one."""

SHAPES = ("linear", "cosine", "geometric")
"""Courses of the temperature, numbered as in ``lstm.c``."""


def fields(kind: type, names: str) -> Sequence[tuple[str, type]]:
    """Names and types for ``_fields_`` of a structure: ``names``, all of one kind."""
    return [(name, kind) for name in names.split()]


class SamplingRule(ctypes.Structure):
    """How a token is sampled: ``Rule`` in ``lstm.c``, where its fields are documented."""

    _fields_ = (
        *fields(ctypes.c_double, "temperature temperature_end length typical_p top_p epsilon eta"),
        *fields(ctypes.c_double, "xtc_probability xtc_threshold mirostat_tau mirostat_rate"),
        *fields(ctypes.c_float, "log_min_p top_n_sigma repetition presence frequency"),
        *fields(ctypes.c_int32, "top_k no_repeat_ngram dry_allowed shape"),
    )


class LaneTexts(ctypes.Structure):
    """The texts so far: ``Texts`` in ``lstm.c``, where its fields are documented."""

    _fields_ = (
        *fields(ctypes.c_int64, "begin end capacity window"),
        *fields(ctypes.c_void_p, "tokens matches unbroken counts breakers dry"),
        *fields(ctypes.c_void_p, "widths written limit"),
        *fields(ctypes.c_int64, "kinds"),
        *fields(ctypes.c_void_p, "following costs distances states left"),
    )


@lru_cache(maxsize=8)  # asked for each block of tokens
def rule_of(config: GenerationConfig, vocab_size: int) -> SamplingRule:
    """The rule that the settings of generation ask for."""
    return SamplingRule(
        temperature=config.temperature,
        temperature_end=config.temperature_end or 0.0,
        length=max(config.length, 1),
        typical_p=config.typical_p,
        top_p=config.top_p,
        epsilon=config.epsilon_cutoff,
        eta=config.eta_cutoff,
        xtc_probability=config.xtc_probability,
        xtc_threshold=config.xtc_threshold,
        mirostat_tau=config.mirostat_tau,
        mirostat_rate=config.mirostat_rate,
        log_min_p=math.log(config.min_p) if config.min_p > 0 else -math.inf,
        top_n_sigma=config.top_n_sigma,
        repetition=config.repetition_penalty,
        presence=config.presence_penalty,
        frequency=config.frequency_penalty,
        top_k=min(config.top_k, vocab_size),
        no_repeat_ngram=min(config.no_repeat_ngram, 1 << 30),
        dry_allowed=min(config.dry_allowed_length, 1 << 30),
        shape=SHAPES.index(config.temperature_shape),
    )
