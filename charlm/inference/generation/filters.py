"""From logits to the next token: small pure functions of one distribution.

Filters take and give logits (B, V); what is ruled out becomes minus infinity, and all others keep
their logits.  Log-probabilities are logits too.  ``filter_logits`` states the order; what depends
on the text so far is in ``penalties.py``.  The compiled decoder computes temperature, top-k, top-p
and min-p with equal results (``charlm/model/native/sampling.h``).
"""

import math

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
    "pick",
    "pick_likeliest",
    "sample_from_uniforms",
    "uniforms",
]


def keep_from(logits: Tensor, border: Tensor) -> Tensor:
    """Keep the logits from ``border`` (B, 1) on, and the largest in any case."""
    border = torch.minimum(border, logits.amax(dim=-1, keepdim=True))
    return logits.masked_fill(logits < border, -math.inf)


def keep_mass(logits: Tensor, order: Tensor, p: float) -> Tensor:
    """Keep the first tokens in ``order`` (B, V) whose probabilities sum to p or more."""
    ordered = logits.gather(-1, order)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    ordered = ordered.masked_fill(before >= p, -math.inf)
    return torch.empty_like(logits).scatter_(-1, order, ordered)


def keep_top_n_sigma(logits: Tensor, n: float) -> Tensor:
    """Keep the logits within n standard deviations of the largest (Tang et al. 2024,
    arXiv:2411.07641); the deviation is that of the logits that are not ruled out.
    """
    if n <= 0:
        return logits
    present = logits > -math.inf
    count = present.sum(dim=-1, keepdim=True)
    largest = logits.amax(dim=-1, keepdim=True)
    below = torch.where(present, logits - largest, 0)
    variance = below.square().sum(dim=-1, keepdim=True) / count
    variance = variance - (below.sum(dim=-1, keepdim=True) / count).square()
    return keep_from(logits, largest - n * variance.clamp(min=0).sqrt())


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest (Fan et al. 2018, arXiv:1805.04833); ties at the border stay."""
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    border = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < border, -math.inf)


def keep_typical(logits: Tensor, p: float) -> Tensor:
    """Keep the set of probability p or more whose surprise is nearest to the entropy (Meister et
    al. 2023, arXiv:2202.00666).
    """
    if p >= 1:
        return logits
    log_probs = logits.log_softmax(dim=-1)
    entropy = torch.special.entr(log_probs.exp()).sum(dim=-1, keepdim=True)
    return keep_mass(logits, (log_probs + entropy).abs().argsort(dim=-1), p)


def keep_epsilon(logits: Tensor, epsilon: float) -> Tensor:
    """Keep probabilities from epsilon on (Hewitt et al. 2022, arXiv:2210.15191)."""
    if epsilon <= 0:
        return logits
    return keep_from(logits, logits.logsumexp(dim=-1, keepdim=True) + math.log(epsilon))


def keep_eta(logits: Tensor, eta: float) -> Tensor:
    """Keep probabilities from eta on, or from sqrt(eta) e^-entropy on where that is less (Hewitt
    et al. 2022, arXiv:2210.15191).
    """
    if eta <= 0:
        return logits
    total = logits.logsumexp(dim=-1, keepdim=True)
    entropy = torch.special.entr((logits - total).exp()).sum(dim=-1, keepdim=True)
    lower = (math.log(eta) / 2 - entropy).clamp(max=math.log(eta))
    return keep_from(logits, total + lower)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of probability p or more (Holtzman et al. 2020, arXiv:1904.09751)."""
    return logits if p >= 1 else keep_mass(logits, logits.argsort(dim=-1, descending=True), p)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep what is at least p times as probable as the first (Nguyen et al., arXiv:2407.01082)."""
    if p <= 0:
        return logits
    border = logits.amax(dim=-1, keepdim=True) + math.log(p)
    return logits.masked_fill(logits < border, -math.inf)


def exclude_top_choices(logits: Tensor, threshold: float) -> Tensor:
    """Leave out the tokens of probability ``threshold`` or more, except the least probable of them
    (XTC, by p-e-w 2024).
    """
    good = logits.softmax(dim=-1) >= threshold
    least = logits.masked_fill(~good, math.inf).amin(dim=-1, keepdim=True)
    return logits.masked_fill(good & (logits > least), -math.inf)


def keep_surprise(logits: Tensor, bits: Tensor) -> Tensor:
    """Keep tokens of a surprise of at most ``bits`` (B,), and the most probable one (mirostat 2,
    Basu et al. 2021, arXiv:2007.14966).
    """
    border = logits.logsumexp(dim=-1) - bits.to(logits) * math.log(2)
    return keep_from(logits, border[:, None])


def filter_logits(
    logits: Tensor, config: GenerationConfig, temperature: float | Tensor | None = None
) -> Tensor:
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
    logits: Tensor, config: GenerationConfig, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    """XTC, in the lanes whose random number (B,) is below ``xtc_probability``; also returns random
    numbers (B,) for sampling, which each lane's number still holds.
    """
    share = config.xtc_probability
    if share <= 0:
        return logits, numbers
    applies = numbers < share
    fewer = exclude_top_choices(logits, config.xtc_threshold)
    left = (numbers - share) / max(1 - share, 1e-300)
    return (
        torch.where(applies[:, None], fewer, logits),
        torch.where(applies, numbers / share, left),
    )


def pick(logits: Tensor, numbers: Tensor) -> Tensor:
    """logits (B, V) and random numbers (B,) from 0 to below 1 -> tokens (B,).

    A token is the first up to which the probabilities sum to more than its number; -1 where logits
    are NaN or infinite.
    """
    weights = logits.double().softmax(dim=-1)
    sums = weights.cumsum(dim=-1)  # (B, V)
    found = torch.searchsorted(sums, numbers[:, None] * sums[:, -1:], right=True).squeeze(-1)
    return found.masked_fill(~sums[:, -1].isfinite(), -1)


def pick_likeliest(logits: Tensor) -> Tensor:
    """logits (B, V) -> the most probable tokens (B,); -1 where logits are NaN."""
    return logits.argmax(dim=-1).masked_fill(logits.isnan().any(dim=-1), -1)


def sample_from_uniforms(logits: Tensor, config: GenerationConfig, numbers: Tensor) -> Tensor:
    """logits (B, V) and random numbers (B,) -> tokens (B,), by the filters of this module; at
    temperature 0 the most probable ones.
    """
    if config.temperature == 0:
        return pick_likeliest(logits)
    return pick(*filter_by_chance(filter_logits(logits, config), config, numbers))
