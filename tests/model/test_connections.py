"""Residual and skip connections, and what is called plain."""

import pytest
import torch

from charlm.config import ModelConfig
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
TOKENS = torch.randint(9, (2, 6), generator=torch.Generator().manual_seed(1))


def layer_outputs(model: LanguageModel, residual: bool) -> list[torch.Tensor]:
    """Each layer's own hidden states (T, B, H), layer by layer."""
    read, outputs = model.embedding(TOKENS.T), []
    for layer in model.recurrent_layers():
        hidden, _ = layer(read, layer.zero_state(2))
        read = read + hidden if residual and outputs else hidden
        outputs.append(hidden)
    return outputs


@pytest.mark.parametrize("connections", ["plain", "residual", "skip"])
def test_the_head_reads_what_the_connections_say(connections: str) -> None:
    config = ModelConfig(hidden_size=8, num_layers=3, connections=connections, dropout=0.5)
    model = LanguageModel.create(config, 9, seed=1).eval()
    outputs = layer_outputs(model, residual=connections == "residual")
    expected = outputs[-1] if connections == "plain" else sum(outputs)
    features, _ = model.features(TOKENS)
    torch.testing.assert_close(features, expected.transpose(0, 1))


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ({}, True),
        ({"num_layers": 3, "weight_drop": 0.2, "embedding_dropout": 0.2}, True),
        ({"tie_weights": False, "embedding_size": 4}, True),
        ({"embedding_size": 4}, False),
        ({"cell": "gru"}, False),
        ({"cell": "cifg"}, False),
        ({"mogrifier_rounds": 1}, False),
        ({"num_layers": 2, "connections": "skip"}, False),
        ({"softmaxes": 2}, False),
        ({"adaptive_softmax": True}, False),
    ],
)
def test_plain_is_lstm_layers_and_a_linear_head(settings: dict[str, object], plain: bool) -> None:
    model = LanguageModel.create(ModelConfig(hidden_size=8, **settings), 9, seed=1)
    assert model.plain == plain
