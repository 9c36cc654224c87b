"""Validation on the way: one stream, state carried, the first part of it if it is long."""

import math
from collections.abc import Callable

import numpy as np
import torch

from charlm.data.preparation.store import TokenStore
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import nll_of_stream

__all__ = ["Validation"]

READ_AT_ONCE = 1 << 14
"""Tokens after which ``stop`` is asked again."""


class Validation:
    """The tokens to validate on, boundary 0 left out of the figures."""

    def __init__(self, store: TokenStore | None, limit: int) -> None:
        """At most ``limit`` tokens; 0: all."""
        tokens = store.tokens[1:] if store else np.empty(0, dtype=np.uint8)
        self.tokens = tokens[:limit] if limit else tokens
        chars_per_token = store.counts.chars / max(store.counts.tokens, 1) if store else 1.0
        self.bits_per_char = 1 / max(chars_per_token, 1e-9) / math.log(2)

    def __len__(self) -> int:
        """How many tokens a validation reads."""
        return len(self.tokens)

    def nll(self, model: LanguageModel, stop: Callable[[], str | None]) -> float | None:
        """Mean nats per token of text of ``model``; None if ``stop`` gave a reason meanwhile."""
        state, last = None, 0
        device, total, count = model.head.bias.device, 0.0, 0
        for begin in range(0, len(self.tokens), READ_AT_ONCE):
            if stop():
                return None
            ids = self.tokens[begin : begin + READ_AT_ONCE]
            tokens = torch.from_numpy(np.append(last, ids).astype(np.int64))
            nll, state = nll_of_stream(model, tokens[None].to(device), state)
            of_text, last = ids != 0, int(ids[-1])
            total += float(nll[0, of_text].sum())
            count += int(of_text.sum())
        return total / max(count, 1)
