"""A network with a unit set to zero, and what that costs."""

import numpy as np
import torch

from charlm.explain.reading import TokenizedText
from charlm.inference.scoring.uncertainty import Estimate, estimate_nll
from charlm.metrics import Blocks
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import nll_of_stream

__all__ = ["cost_of", "nll_of_text", "silenced"]

SHUT = 1e4
"""A bias that no input outweighs: the logistic function of -SHUT is 0 in float32."""

SHUT_GATES = {
    "lstm": (3, -SHUT),
    "capped_lstm": (3, -SHUT),
    "cifg": (2, -SHUT),
    "layer_norm_lstm": (3, -SHUT),
    "gru": (1, SHUT),
}
"""For each cell the gate, in the order of its rows, and its bias with which h stays zero: a shut
output gate, and an update gate that always keeps the state."""

BLOCK = 64
"""Tokens of a block, the unit of the standard error before neighbours are joined."""


def silenced(network: LanguageModel, layer: int, unit: int) -> LanguageModel:
    """A network like this one whose unit of a layer has the hidden state 0 at every step.

    Neither its own layer nor those above nor the head hear of the unit; only its weights are
    changed, so that every fast path computes it.
    """
    own = network.recurrent_layers()[layer]
    tensors = network.tensors()
    gate, value = SHUT_GATES.get(own.kind, (0, 0.0))
    # A plain network has no gate to shut: its unit is zero where all that it adds up is.
    for name in ("bias",) if own.kind in SHUT_GATES else ("bias", "weight_ih", "weight_hh"):
        key = f"layers.{layer}.{name}"
        tensors[key] = tensors[key].clone()
        tensors[key][gate * own.hidden_size + unit] = value
    return LanguageModel.from_tensors(network.config, network.vocab_size, tensors).eval()


def nll_of_text(network: LanguageModel, text: TokenizedText) -> np.ndarray:
    """The surprisal (T,) of each token of a text in nats, by the fastest path."""
    tokens = torch.from_numpy(text.stream)[None].to(network.head.bias.device)
    found: np.ndarray = nll_of_stream(network, tokens)[0][0]
    return found


def cost_of(nll: np.ndarray, without: np.ndarray) -> Estimate:
    """By how many nats per token ``without`` (T,), the nll of a changed network, is above ``nll``.

    With its standard error and interval, over blocks of neighbouring tokens.
    """
    begins = np.arange(0, len(nll), BLOCK)
    sums = np.add.reduceat(without - nll, begins)
    tokens = np.diff(np.append(begins, len(nll)))
    return estimate_nll(Blocks.of(sums.tolist(), tokens.tolist()))
