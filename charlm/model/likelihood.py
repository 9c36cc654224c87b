"""The likelihood of tokens under a network, without holding all of their logits."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor

from charlm.model.language_model import LanguageModel, State

__all__ = ["evaluating", "nll_of_stream"]

CHUNK = 1024
"""Most steps per call of the network: only speed and memory depend on it."""

LOGITS_IN_CACHE = 1 << 18
"""Most logits held at a time: few enough for the processor's cache (1 MiB of float32)."""

FEWEST_ROWS = 256
"""Tokens whose logits are held at least: of fewer the weights would be read too often."""


@contextmanager
def evaluating(model: LanguageModel) -> Iterator[None]:
    """Evaluation mode, no gradients, full float32; the model's mode is as before afterwards."""
    # A model in evaluation mode is left alone: several threads may be using it.
    was_training = model.training
    if was_training:
        model.eval()
    on_gpu = model.head.bias.is_cuda
    try:
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(allow_tf32=False) if on_gpu else nullcontext(),
        ):
            yield
    finally:
        if was_training:
            model.train()


def nll_of_stream(
    model: LanguageModel, tokens: Tensor, state: State | None = None
) -> tuple[np.ndarray, State | None]:
    """tokens (B, T + 1) -> nll (B, T) in nats, float64, of all but the first, each predicted from
    all tokens before it in its lane; and the state after all but the last.

    How a stream is cut into calls does not matter.
    """
    nll = np.empty((len(tokens), tokens.shape[1] - 1))
    with evaluating(model):
        for begin in range(0, nll.shape[1], CHUNK):
            part = tokens[:, begin : begin + CHUNK + 1]
            features, state = model.features(part[:, :-1], state)
            losses = losses_of(model, features.flatten(0, 1), part[:, 1:].flatten())
            nll[:, begin : begin + CHUNK] = losses.reshape(len(tokens), -1)
    return nll, state


def losses_of(model: LanguageModel, features: Tensor, targets: Tensor) -> np.ndarray:
    """What the head reads (N, H) and the ids (N,) that follow -> nll (N,), float64."""
    rows = max(FEWEST_ROWS, LOGITS_IN_CACHE // model.vocab_size)
    losses = features.new_empty(len(features), dtype=torch.float32)
    for begin in range(0, len(features), rows):
        ids = targets[begin : begin + rows]
        losses[begin : begin + rows] = model.losses(features[begin : begin + rows], ids)
    return losses.double().cpu().numpy()
