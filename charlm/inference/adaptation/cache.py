"""The continuous cache (Grave, Joulin and Usunier 2017, arXiv:1612.04426).

Pairs (h_i, x_{i+1}) of the last ``window`` steps are remembered: the features of the last layer and
the token that followed.  With h_t the features now,

    p_cache(w) is proportional to the sum over i of [x_{i+1} = w] exp(theta h_t . h_i)
    p(w) = (1 - share) p_network(w) + share p_cache(w)

``share`` is the paper's lambda.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from charlm.inference.adaptation.methods import Cache
from charlm.inference.predictors.predictor import State
from charlm.inference.predictors.recurrent import NetworkPredictor

__all__ = ["CachedPredictor"]

AT_ONCE = 256
"""Steps whose similarities to the whole window are held at a time."""


class CachedStates(NamedTuple):
    """The state of the inner predictor, and what is remembered of M steps."""

    inner: State
    keys: Tensor
    """(B, M, H): features, the oldest first; what followed the last of them is not known yet."""
    values: Tensor
    """(B, M - 1): the tokens that followed the others."""


class CachedPredictor(NetworkPredictor):
    """A predictor with a cache around it.  Its logits are log-probabilities."""

    def __init__(self, inner: NetworkPredictor, settings: Cache) -> None:
        super().__init__(inner.network)
        self.inner, self.settings = inner, settings
        self.lanes = inner.lanes

    def start(self, lanes: int = 1) -> State:
        """Nothing is remembered."""
        empty = torch.empty(lanes, 0, device=self.device)
        keys = empty.new_empty(lanes, 0, self.network.config.hidden_size)
        return CachedStates(self.inner.start(lanes), keys, empty.long())

    def select(self, state: State, lanes: Tensor) -> State:
        """See ``Predictor``."""
        inner = self.inner.select(state.inner, lanes)
        return CachedStates(inner, state.keys[lanes], state.values[lanes])

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """See ``NetworkPredictor``."""
        features, log_probs = [], []
        for part in torch.split(tokens, AT_ONCE, dim=1):
            read, mixed, state = self.mix(part, state)
            features.append(read)
            log_probs.append(mixed)
        return torch.cat(features, dim=1), torch.cat(log_probs, dim=1), state

    def mix(self, tokens: Tensor, state: CachedStates) -> tuple[Tensor, Tensor, CachedStates]:
        """``forward`` for few tokens (B, T)."""
        features, logits, inner = self.inner.forward(tokens, state.inner)
        log_probs = logits.float().log_softmax(dim=-1)
        # The first token of a stream follows no features.
        followed = tokens if state.keys.shape[1] else tokens[:, 1:]
        keys = torch.cat([state.keys, features], dim=1)
        values = torch.cat([state.values, followed], dim=1)
        cached, known = self.recall(features, keys[:, :-1], values, logits.shape[-1])
        share = self.settings.share
        mixed = torch.logaddexp(log_probs + torch.tensor(1 - share).log(), (share * cached).log())
        kept = min(keys.shape[1], self.settings.window + 1)
        memory = CachedStates(inner, keys[:, -kept:], values[:, values.shape[1] + 1 - kept :])
        # Nothing is remembered at the first step of a stream.
        return features, torch.where(known[:, None], mixed, log_probs), memory

    def recall(
        self, queries: Tensor, keys: Tensor, values: Tensor, vocab_size: int
    ) -> tuple[Tensor, Tensor]:
        """queries (B, T, H), keys (B, K, H), values (B, K) -> p_cache (B, T, V), and at which steps
        (T,) anything is remembered.

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
