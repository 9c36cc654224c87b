"""From logits to the next token: small pure functions of one distribution.

Filters take and give logits (B, V) as numpy arrays: for few tokens a call costs more than its
numbers, and numpy's calls cost least.  What is ruled out becomes minus infinity, and all others
keep their logits.  Log-probabilities are logits too.  ``filter_logits`` states the order; what
depends on the text so far is in ``penalties.py``.  The compiled decoder filters and
penalises with equal results (``sampling.h`` and ``texts.h`` in ``charlm/model/native/``).
"""

import math

import numpy as np
import torch
from torch import Tensor

from charlm.config import GenerationConfig

__all__ = [
    "exclude_top_choices",
    "filter_by_chance",
    "filter_logits",
    "keep_epsilon",
    "keep_eta",
    "keep_min_p",
    "keep_surprise",
    "keep_top_k",
    "keep_top_n_sigma",
    "keep_top_p",
    "keep_typical",
    "log_sum_exp",
    "pick",
    "pick_likeliest",
    "sample_from_uniforms",
    "uniforms",
]

Array = np.ndarray

SMALLEST = -np.finfo(np.float32).max
"""Stands for minus infinity in a product with a probability of 0."""


def largest_of(logits: Array) -> Array:
    """The largest logit (B, 1) of each lane."""
    found: Array = np.maximum.reduce(logits, axis=-1, keepdims=True)
    return found


def weights_of(logits: Array) -> tuple[Array, Array]:
    """logits (B, V) -> e^(logit - largest) (B, V), in double precision, and their sums (B, 1)."""
    weights = np.exp(logits - largest_of(logits), dtype=np.float64)
    return weights, np.add.reduce(weights, axis=-1, keepdims=True)


def log_sum_exp(logits: Array) -> Array:
    """The logarithm (B, 1) of the sum of e^logit."""
    total: Array = np.log(weights_of(logits)[1]) + largest_of(logits)
    return total


def mean_logit(logits: Array) -> tuple[Array, Array]:
    """The expected logit (B, 1) and the logarithm (B, 1) of the sum of e^logit: the latter less the
    former is the entropy in nats.
    """
    weights, sums = weights_of(logits)
    mean = np.add.reduce(weights * np.maximum(logits, SMALLEST), axis=-1, keepdims=True) / sums
    return mean, np.log(sums) + largest_of(logits)


def keep(logits: Array, kept: Array) -> Array:
    """Rule out what is not ``kept`` (B, V)."""
    return np.where(kept, logits, -math.inf)


def keep_from(logits: Array, border: Array) -> Array:
    """Keep the logits from ``border`` (B, 1) on, and the largest in any case."""
    return keep(logits, logits >= np.minimum(border, largest_of(logits)))


def keep_mass(logits: Array, order: Array, p: float) -> Array:
    """Keep the first tokens in ``order`` (B, V) whose probabilities sum to p or more."""
    lanes = np.arange(len(logits))[:, None]
    weights, sums = weights_of(logits)
    ordered = weights[lanes, order]
    kept = np.empty(logits.shape, dtype=bool)
    kept[lanes, order] = ordered.cumsum(axis=-1) - ordered < p * sums
    return keep(logits, kept)


def keep_top_n_sigma(logits: Array, n: float) -> Array:
    """Keep the logits within n standard deviations of the largest (Tang et al. 2024,
    arXiv:2411.07641); the deviation is that of the logits that are not ruled out.
    """
    if n <= 0:
        return logits
    largest = largest_of(logits)
    present = logits > -math.inf
    below = np.where(present, logits - largest, 0)
    count = np.add.reduce(present, axis=-1, keepdims=True)
    mean = np.add.reduce(below, axis=-1, keepdims=True) / count
    variance = np.add.reduce(below * below, axis=-1, keepdims=True) / count - mean * mean
    return keep_from(logits, largest - n * np.sqrt(np.maximum(variance, 0)))


def keep_top_k(logits: Array, k: int) -> Array:
    """Keep the k largest (Fan et al. 2018, arXiv:1805.04833); ties at the border stay."""
    size = logits.shape[-1]
    if k <= 0 or k >= size:
        return logits
    border = np.partition(logits, size - k, axis=-1)[:, size - k, None]
    return keep(logits, logits >= border)


def keep_typical(logits: Array, p: float) -> Array:
    """Keep the set of probability p or more whose surprise is nearest to the entropy (Meister et
    al. 2023, arXiv:2202.00666).
    """
    if p >= 1:
        return logits
    mean, _ = mean_logit(logits)
    return keep_mass(logits, np.abs(logits - mean).argsort(axis=-1), p)


def keep_epsilon(logits: Array, epsilon: float) -> Array:
    """Keep probabilities from epsilon on (Hewitt et al. 2022, arXiv:2210.15191)."""
    if epsilon <= 0:
        return logits
    return keep_from(logits, log_sum_exp(logits) + math.log(epsilon))


def keep_eta(logits: Array, eta: float) -> Array:
    """Keep probabilities from eta on, or from sqrt(eta) e^-entropy on where that is less (Hewitt
    et al. 2022, arXiv:2210.15191).
    """
    if eta <= 0:
        return logits
    mean, total = mean_logit(logits)
    return keep_from(logits, total + np.minimum(math.log(eta) / 2 + mean - total, math.log(eta)))


def keep_top_p(logits: Array, p: float) -> Array:
    """Keep the smallest set of probability p or more (Holtzman et al. 2020, arXiv:1904.09751)."""
    return logits if p >= 1 else keep_mass(logits, (-logits).argsort(axis=-1), p)


def keep_min_p(logits: Array, p: float) -> Array:
    """Keep what is at least p times as probable as the first (Nguyen et al., arXiv:2407.01082)."""
    if p <= 0:
        return logits
    # In the logits' own precision, as the compiled decoder computes it.
    return keep(logits, logits >= largest_of(logits) + math.log(p))


def exclude_top_choices(logits: Array, threshold: float) -> Array:
    """Leave out the tokens of probability ``threshold`` or more, except the least probable of them
    (XTC, by p-e-w 2024).
    """
    weights, sums = weights_of(logits)
    good = weights >= threshold * sums
    least = np.minimum.reduce(logits, axis=-1, keepdims=True, where=good, initial=math.inf)
    return keep(logits, ~good | (logits <= least))


def keep_surprise(logits: Array, bits: Array) -> Array:
    """Keep tokens of a surprise of at most ``bits`` (B,), and the most probable one (mirostat 2,
    Basu et al. 2021, arXiv:2007.14966).
    """
    return keep_from(logits, log_sum_exp(logits) - bits[:, None] * math.log(2))


def filter_logits(
    logits: Array, config: GenerationConfig, temperature: float | Array | None = None
) -> Array:
    """Temperature, then top-n-sigma, top-k, typical, epsilon, eta, top-p and min-p.

    ``temperature`` is a number, or one (B, 1) for each lane; by default that of ``config``.
    """
    if config.temperature > 0:
        logits = logits / (config.temperature if temperature is None else temperature)
    logits = keep_top_n_sigma(logits, config.top_n_sigma)
    logits = keep_top_k(logits, config.top_k)
    logits = keep_typical(logits, config.typical_p)
    logits = keep_epsilon(logits, config.epsilon_cutoff)
    logits = keep_eta(logits, config.eta_cutoff)
    logits = keep_top_p(logits, config.top_p)
    return keep_min_p(logits, config.min_p)


def uniforms(generator: torch.Generator, count: int) -> Tensor:
    """The next ``count`` random numbers (count,) between 0 and 1, one for each token.

    The sequence does not depend on how many are taken at once.
    """
    return torch.rand(count, generator=generator, dtype=torch.float64)


def filter_by_chance(
    logits: Array, config: GenerationConfig, numbers: Array
) -> tuple[Array, Array]:
    """XTC, in the lanes whose random number (B,) is below ``xtc_probability``; also returns random
    numbers (B,) for sampling, which each lane's number still holds.
    """
    share = config.xtc_probability
    if share <= 0:
        return logits, numbers
    applies = numbers < share
    left = (numbers - share) / max(1 - share, 1e-300)
    if applies.any():
        logits = np.where(
            applies[:, None], exclude_top_choices(logits, config.xtc_threshold), logits
        )
    return logits, np.where(applies, numbers / share, left)


def pick(logits: Array, numbers: Array) -> Array:
    """logits (B, V) and random numbers (B,) from 0 to below 1 -> tokens (B,).

    A token is the first up to which the probabilities sum to more than its number; -1 where logits
    are NaN or infinite.
    """
    doubles = logits.astype(np.float64)
    sums = np.exp(doubles - largest_of(doubles)).cumsum(axis=-1)  # (B, V)
    found = np.add.reduce(sums <= numbers[:, None] * sums[:, -1:], axis=-1)
    return np.where(np.isfinite(sums[:, -1]), found, -1)


def pick_likeliest(logits: Array) -> Array:
    """logits (B, V) -> the most probable tokens (B,); -1 where logits are NaN."""
    return np.where(np.isnan(logits).any(axis=-1), -1, logits.argmax(axis=-1))


@np.errstate(invalid="ignore")
def sample_from_uniforms(logits: Tensor, config: GenerationConfig, numbers: Tensor) -> Tensor:
    """logits (B, V) and random numbers (B,) -> tokens (B,), by the filters of this module; at
    temperature 0 the most probable ones.
    """
    given = logits.numpy()
    if config.temperature == 0:
        return torch.from_numpy(pick_likeliest(given))
    filtered = filter_by_chance(filter_logits(given, config), config, numbers.numpy())
    return torch.from_numpy(pick(*filtered))
