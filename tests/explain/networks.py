"""Small networks of every kind, with weights large enough that gates move."""

from typing import Any

import torch

from charlm.config import ModelConfig
from charlm.model.language_model import LanguageModel

KINDS: dict[str, dict[str, Any]] = {
    cell: {"cell": cell}
    for cell in ("lstm", "capped_lstm", "cifg", "layer_norm_lstm", "gru", "rnn")
} | {
    "mogrifier": {"cell": "lstm", "mogrifier_rounds": 3, "mogrifier_rank": 2},
    "residual": {"cell": "gru", "connections": "residual", "num_layers": 2},
    "skip": {"cell": "lstm", "connections": "skip", "num_layers": 2},
}


def make_network(vocab_size: int = 11, **settings: Any) -> LanguageModel:
    """A network in evaluation mode with random weights that depend on the arguments alone."""
    config = ModelConfig(**{"hidden_size": 7, **settings})
    network = LanguageModel.create(config, vocab_size, seed=2)
    generator = torch.Generator().manual_seed(5)
    # A plain network with larger weights is chaotic: rounding errors would grow.
    scale = 0.3 if config.cell == "rnn" else 0.6
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))
    return network.eval()
