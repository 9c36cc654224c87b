"""From logits to the next token: small pure functions.

Filters take and give logits (B, V); what is ruled out becomes minus infinity.  Log-probabilities
are logits too.  The compiled decoder computes the same (``charlm/model/native/sampling.h``).
"""

import math

import torch
from torch import Tensor

from charlm.config import GenerationConfig

__all__ = [
    "filter_logits",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "sample_from_uniforms",
    "uniforms",
]


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest (Fan et al. 2018, arXiv:1805.04833); ties at the border stay."""
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    border = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < border, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of probability p or more (Holtzman et al. 2020, arXiv:1904.09751)."""
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    ordered = ordered.masked_fill(before >= p, -math.inf)
    return torch.empty_like(logits).scatter_(-1, order, ordered)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep what is at least p times as probable as the first (Nguyen et al., arXiv:2407.01082)."""
    if p <= 0:
        return logits
    border = logits.max(dim=-1, keepdim=True).values + math.log(p)
    return logits.masked_fill(logits < border, -math.inf)


def filter_logits(logits: Tensor, config: GenerationConfig) -> Tensor:
    """Temperature, then top-k, top-p and min-p."""
    if config.temperature > 0:
        logits = logits / config.temperature
    logits = keep_top_k(logits, config.top_k)
    logits = keep_top_p(logits, config.top_p)
    return keep_min_p(logits, config.min_p)


def uniforms(generator: torch.Generator, count: int) -> Tensor:
    """The next ``count`` random numbers (count,) between 0 and 1, one for each token.

    The sequence does not depend on how many are taken at once.
    """
    return torch.rand(count, generator=generator, dtype=torch.float64)


def sample_from_uniforms(logits: Tensor, config: GenerationConfig, numbers: Tensor) -> Tensor:
    """logits (B, V) and random numbers (B,) between 0 and 1 -> tokens (B,).

    A token is the first up to which the probabilities sum to more than its number, or the most
    probable at temperature 0; -1 where logits are NaN or infinite.
    """
    if config.temperature == 0:
        return logits.argmax(dim=-1).masked_fill(logits.isnan().any(dim=-1), -1)
    weights = filter_logits(logits, config).double().softmax(dim=-1)
    sums = weights.cumsum(dim=-1)  # (B, V)
    found = torch.searchsorted(sums, numbers[:, None] * sums[:, -1:], right=True).squeeze(-1)
    return found.masked_fill(~sums[:, -1].isfinite(), -1)
