"""What is shown of a network is what the textbook's cells and the fast path compute."""

import numpy as np
import pytest
import torch

from charlm.explain.observation import ObservedReader, observed_names
from charlm.model.cells import CELLS, activation_names, mogrify
from charlm.model.language_model import LanguageModel
from charlm.model.stepped import SteppedLayer
from tests.explain.networks import KINDS, make_network

torch.set_num_threads(1)
IDS = np.random.default_rng(1).integers(0, 11, 40)


def by_hand(network: LanguageModel, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Activations (T, L, H), step by step and layer by layer with the functions of cells.py."""
    layers = network.recurrent_layers()
    states = list(network.zero_state(1))
    rows: dict[str, list[list[torch.Tensor]]] = {}
    for id in ids.tolist():
        x = network.embedding.weight[id][None]
        noted: list[tuple[torch.Tensor, ...]] = []
        for index, layer in enumerate(layers):
            state, inputs, below, modulated = states[index], x, x, ()
            if isinstance(layer, SteppedLayer) and len(layer.mogrifier):
                inputs, h = mogrify(x, state[0], list(layer.mogrifier))
                state, modulated = (h, *state[1:]), (h,)
            if isinstance(layer, SteppedLayer):
                projection = layer.input_product(inputs, layer.weight_ih)
            else:
                projection = layer.project(inputs)
            extras = [getattr(layer, name) for name in ("gain_h", "gain_c", "bias_c", "bias_hn")
                      if hasattr(layer, name)]  # fmt: skip
            gates = layer.cell.open_gates(projection, state, layer.weight_hh, *extras)
            states[index] = layer.cell.step(projection, state, layer.weight_hh, *extras)
            h, *c = states[index]
            noted.append((*modulated, *gates, *c, h))
            x = h + below if network.config.connections == "residual" and index else h
        for name, values in zip(
            observed_names(network.config), zip(*noted, strict=True), strict=True
        ):
            rows.setdefault(name, []).append(list(values))
    return {
        name: np.array([[layer[0].detach().numpy() for layer in row] for row in each])
        for name, each in rows.items()
    }


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", list(KINDS))
def test_activations_are_those_of_the_cells_wherever_the_stream_is_cut(
    kind: str, layers: int
) -> None:
    network = make_network(**({"num_layers": layers} | KINDS[kind]))
    expected = by_hand(network, np.append(0, IDS))
    for cuts in ([40], [1, 17, 18, 40], [13, 40]):
        reader = ObservedReader(network)
        parts = [reader.initial, *(reader.read(part)[0] for part in np.split(IDS, cuts[:-1]))]
        for name, wanted in expected.items():
            got = torch.cat([part[name] for part in parts]).numpy()
            assert np.abs(got - wanted).max() < 1e-6, name


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_fast_path_has_the_same_states_and_predictions(kind: str, layers: int) -> None:
    network = make_network(**({"num_layers": layers} | KINDS[kind]))
    activations, log_probs = ObservedReader(network).read(IDS)
    tokens = torch.from_numpy(np.append(0, IDS))[None]
    with torch.inference_mode():
        logits, after = network(tokens)
        for length in (1, 23, 40):
            _, state = network(tokens[:, : length + 1])
            hidden = torch.stack([layer[0][0] for layer in state])
            assert (activations["hidden"][length - 1] - hidden).abs().max() < 1e-5
    assert (log_probs - logits[0, :-1].log_softmax(-1)).abs().max() < 1e-5
    if "cell" in activations:
        cell = torch.stack([layer[1][0] for layer in after])
        assert (activations["cell"][-1] - cell).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["lstm", "capped_lstm", "cifg", "layer_norm_lstm"])
def test_the_state_follows_from_the_gates_by_the_equations(kind: str) -> None:
    reader = ObservedReader(make_network(cell=kind))
    noted, _ = reader.read(IDS)
    i, f, g, c = (noted[name] for name in ("input_gate", "forget_gate", "candidate", "cell"))
    before = torch.cat([reader.initial["cell"], c[:-1]])
    assert torch.allclose(c, f * before + i * g, atol=1e-6)
    if kind != "layer_norm_lstm":
        assert torch.allclose(noted["hidden"], noted["output_gate"] * c.tanh(), atol=1e-6)
    for name in ("input_gate", "forget_gate", "output_gate"):
        assert 0 <= noted[name].min() < 0.3
        assert 0.7 < noted[name].max() <= 1


def test_every_cell_names_as_many_gates_as_it_opens() -> None:
    for kind in CELLS:
        noted, _ = ObservedReader(make_network(cell=kind)).read(IDS)
        assert tuple(noted) == activation_names(kind)


def test_observing_leaves_the_network_alone() -> None:
    network = make_network(num_layers=2)
    before = {name: weight.clone() for name, weight in network.tensors().items()}
    ObservedReader(network).read(IDS)
    assert all(torch.equal(before[name], weight) for name, weight in network.tensors().items())
    assert not any(hasattr(layer, "noted") for layer in network.layers)
