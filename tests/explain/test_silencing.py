"""A silenced unit is as if its hidden state were set to zero after every step."""

import numpy as np
import pytest
import torch

from charlm.explain.reading import TokenizedText
from charlm.explain.silencing import cost_of, nll_of_text, silenced
from charlm.model.language_model import LanguageModel
from tests.explain.networks import KINDS, make_network

torch.set_num_threads(1)
IDS = np.random.default_rng(1).integers(1, 11, 60)
TEXT = TokenizedText("", (), IDS)


def nll_with_zero(network: LanguageModel, layer: int, unit: int) -> list[float]:
    """The nll of each token, the unit's hidden state overwritten after every step."""
    state, found = network.zero_state(1), []
    layers = network.recurrent_layers()
    for id, target in zip([0, *IDS], IDS, strict=False):
        x = network.embedding.weight[int(id)][None]
        after, total = [], torch.zeros(1, layers[0].hidden_size)
        for index, own in enumerate(layers):
            h, *c = own.step(own.project(x), state[index])
            if index == layer:
                h = h.clone()
                h[:, unit] = 0
            after.append((h, *c))
            total = total + h
            x = h + x if network.config.connections == "residual" and index else h
        x = total if network.config.connections == "skip" else x
        found.append(-float(network.head(x).log_softmax(-1)[0, int(target)]))
        state = tuple(after)
    return found


@torch.inference_mode()
@pytest.mark.parametrize("kind", list(KINDS))
def test_silencing_is_setting_the_hidden_state_to_zero(kind: str) -> None:
    network = make_network(**({"num_layers": 2} | KINDS[kind]))
    for layer, unit in ((0, 2), (1, 6)):
        got = nll_of_text(silenced(network, layer, unit), TEXT)
        assert got == pytest.approx(nll_with_zero(network, layer, unit), abs=1e-4)
        assert np.abs(got - nll_of_text(network, TEXT)).max() > 1e-3


def test_silencing_leaves_the_network_as_it_was() -> None:
    network = make_network()
    before = nll_of_text(network, TEXT)
    silenced(network, 0, 3)
    assert nll_of_text(network, TEXT).tolist() == before.tolist()


def test_the_cost_is_the_mean_difference_with_its_interval() -> None:
    source = np.random.default_rng(4)
    nll = source.exponential(size=3000)
    cost = cost_of(nll, nll + source.normal(0.5, 1.0, size=3000))
    assert cost.low < 0.5 < cost.high
    assert cost.se == pytest.approx(1 / np.sqrt(3000), rel=0.3)
