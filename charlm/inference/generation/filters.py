"""From logits to the next token: small pure functions.

Filters take and give logits (B, V); what is ruled out becomes minus infinity.  The native decoder
does the same (``charlm/model/native/sampling.h``).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.errors import ConfigError, ModelError

__all__ = [
    "Sampling",
    "chances",
    "choose",
    "draw",
    "filter_logits",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "no_numbers",
]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen.

    ``temperature`` divides the logits, 0 takes the most probable; ``top_k`` keeps the k most
    probable, 0 all; ``top_p`` the smallest set that holds so much probability, 1 all; ``min_p``
    those at least so probable relative to the most probable, 0 all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        rules = (
            ("temperature", 0 <= self.temperature < math.inf, "0 or more"),
            ("top_k", self.top_k >= 0, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "more than 0 and at most 1"),
            ("min_p", 0 <= self.min_p <= 1, "between 0 and 1"),
        )
        for name, fine, allowed in rules:
            if not fine:
                option = "--" + name.replace("_", "-")
                raise ConfigError(
                    f"{option} must be {allowed}, got {getattr(self, name)}", f"change {option}"
                )


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


def filter_logits(logits: Tensor, sampling: Sampling) -> Tensor:
    """Temperature, then top-k, top-p and min-p."""
    if sampling.temperature > 0:
        logits = logits / sampling.temperature
    logits = keep_top_k(logits, sampling.top_k)
    logits = keep_top_p(logits, sampling.top_p)
    return keep_min_p(logits, sampling.min_p)


def chances(generator: torch.Generator, count: int) -> Tensor:
    """Numbers (count,) from 0 to 1, one for each draw; the same however many are taken at once."""
    return torch.rand(count, generator=generator, dtype=torch.float64)


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """logits (B, V) -> the next tokens (B,), one chance each, or none where the first is taken.

    Raises ``ModelError`` for logits that are not numbers.
    """
    drawn = torch.empty(0) if sampling.temperature == 0 else chances(generator, len(logits))
    # On the CPU, where the draw is the same for every device.
    tokens = choose(logits.cpu(), sampling, drawn)
    if (tokens < 0).any():
        raise no_numbers()
    return tokens


def choose(logits: Tensor, sampling: Sampling, drawn: Tensor) -> Tensor:
    """logits (B, V) and chances (B,) -> tokens (B,): each the first up to which the probabilities
    sum to more than its chance.  -1 where the logits are not numbers.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1).masked_fill(logits.isnan().any(dim=-1), -1)
    weights = filter_logits(logits, sampling).double().softmax(dim=-1)
    sums = weights.cumsum(dim=-1)  # (B, V)
    found = torch.searchsorted(sums, drawn[:, None] * sums[:, -1:], right=True).squeeze(-1)
    return found.masked_fill(~sums[:, -1].isfinite(), -1)


def no_numbers() -> ModelError:
    """What to say of logits among which there is no choice."""
    return ModelError(
        "the model's predictions are not numbers: its training has diverged",
        "choose an earlier checkpoint with --step, or train with a smaller learning rate",
    )
