"""The continuous cache (Grave, Joulin and Usunier 2017, arXiv:1612.04426).

Pairs (h_i, x_{i+1}) of the last ``window`` steps are remembered: the features of the last layer and
the token that followed.  With h_t the features now,

    p_cache(w) is proportional to the sum over i of [x_{i+1} = w] exp(theta h_t . h_i)
    p(w) = (1 - share) p_network(w) + share p_cache(w)

``share`` is the paper's lambda.
"""

import torch
from torch import Tensor

from charlm.inference.adaptation.methods import Cache
from charlm.inference.adaptation.walks import Walk

__all__ = ["CacheWalk"]

AT_ONCE = 256
"""Steps whose similarities to the whole window are held at a time."""


class CacheWalk:
    """A walk with a memory.  What it gives as logits are log-probabilities."""

    def __init__(self, walk: Walk, settings: Cache) -> None:
        self.walk = walk
        self.settings = settings
        self.keys: Tensor | None = None
        """(B, M, H): features, the oldest first; what followed the last of them is not known."""
        self.values: Tensor | None = None
        """(B, M - 1): the tokens that followed the others."""

    def advance(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Walk``."""
        parts = [self.mix(part) for part in torch.split(tokens, AT_ONCE, dim=1)]
        features, logits = zip(*parts, strict=True)
        return torch.cat(features, dim=1), torch.cat(logits, dim=1)

    def mix(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``advance`` for few tokens (B, T)."""
        features, logits = self.walk.advance(tokens)
        log_probs = logits.float().log_softmax(dim=-1)
        if self.keys is None or self.values is None:
            keys, values = features, tokens[:, 1:]
        else:
            keys = torch.cat([self.keys, features], dim=1)
            values = torch.cat([self.values, tokens], dim=1)
        self.keys = keys[:, -self.settings.window - 1 :]
        self.values = values[:, values.shape[1] + 1 - self.keys.shape[1] :]
        cached, known = self.recall(features, keys[:, :-1], values, logits.shape[-1])
        share = self.settings.share
        mixed = torch.logaddexp(log_probs + torch.tensor(1 - share).log(), (share * cached).log())
        # Nothing is remembered at the first step of a stream.
        return features, torch.where(known[:, None], mixed, log_probs)

    def recall(
        self, queries: Tensor, keys: Tensor, values: Tensor, vocab_size: int
    ) -> tuple[Tensor, Tensor]:
        """queries (B, T, H), keys (B, K, H), values (B, K) -> p_cache (B, T, V), which exist (T).

        The last T - 1 pairs are of these steps themselves, so that each step only sees some.
        """
        steps, pairs = queries.shape[1], keys.shape[1]
        age = torch.arange(steps)[:, None] + (pairs - steps + 1) - torch.arange(pairs)  # 1: newest
        seen = ((age > 0) & (age <= self.settings.window)).to(queries.device)  # (T, K)
        similarity = self.settings.theta * queries.float() @ keys.float().transpose(1, 2)
        weights = similarity.masked_fill(~seen, -torch.inf).softmax(dim=-1)
        weights = weights.masked_fill(~seen, 0.0)  # not a number where nothing is seen
        cached = weights.new_zeros(*weights.shape[:2], vocab_size)
        cached.scatter_add_(2, values[:, None].expand_as(weights), weights)
        return cached, seen.any(dim=1)

    def select(self, lanes: Tensor) -> None:
        """See ``Walk``."""
        self.walk.select(lanes)
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[lanes], self.values[lanes]
