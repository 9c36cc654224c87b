"""Keras models keep their likelihood, in both of their file formats.

The files are written here as Keras 3 writes them (its own were compared by hand), and the expected
likelihood comes from Keras's equations.
"""

import io
import itertools
import json
import string
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charlm.errors import ModelError
from charlm.exchange.importing import import_model

h5py = pytest.importorskip("h5py", reason="the extra import is not installed")

SYMBOLS = list(string.ascii_lowercase[:9])
V, E, H = len(SYMBOLS), 5, 6
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def advance(kind: str, x: np.ndarray, state: tuple, weights: list[np.ndarray]) -> tuple:
    """One step of Keras's cells; a state is (h, c) for the LSTM, else (h,)."""
    kernel, recurrent, bias = weights
    h = state[0]
    if kind == "GRU":
        x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3)
        h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        return (z * h + (1 - z) * np.tanh(x_h + r * h_h),)
    gates = x @ kernel + h @ recurrent + bias
    if kind == "SimpleRNN":
        return (np.tanh(gates),)
    i, f, c, o = np.split(gates, 4)
    cell = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(c)
    return (sigmoid(o) * np.tanh(cell), cell)


def keras_model(kind: str, one_hot: bool) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """The configuration and the weights, by layer, of two layers and a dense softmax."""
    rng = np.random.default_rng(4)
    rows, below = GATES[kind] * H, V if one_hot else E
    weights, layers = {}, []
    if not one_hot:
        weights["embedding"] = [rng.normal(size=(V, E))]
        layers.append({"class_name": "Embedding", "config": {"name": "embedding"}})
    for index in range(2):
        name = kind.lower() + (f"_{index}" if index else "")
        shape = (2, rows) if kind == "GRU" else (rows,)
        weights[name] = [rng.normal(size=(below, rows)), rng.normal(size=(H, rows)),
                         rng.normal(size=shape)]  # fmt: skip
        config = {"name": name, "activation": "tanh", "recurrent_activation": "sigmoid"}
        layers.append({"class_name": kind, "config": config | {"reset_after": True}})
        layers.append({"class_name": "Dropout", "config": {"name": f"dropout_{index}"}})
        below = H
    weights["dense"] = [rng.normal(size=(H, V)), rng.normal(size=V)]
    dense = {"class_name": "Dense", "config": {"name": "dense"}}
    wrapped = {"class_name": "TimeDistributed", "config": {"name": "dense", "layer": dense}}
    layers.append(wrapped if one_hot else dense)
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}, weights


def write_h5(path: Path, config: dict[str, Any], weights: dict[str, list[np.ndarray]]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        for name, arrays in weights.items():
            group = file.create_group(f"model_weights/{name}")
            names = [f"sequential/{name}/{index}" for index in range(len(arrays))]
            group.attrs["weight_names"] = names
            for each, array in zip(names, arrays, strict=True):
                group[each] = array.astype("f4")


def write_archive(path: Path, config: dict[str, Any], weights: dict[str, list[np.ndarray]]) -> None:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, arrays in weights.items():
            snake = name.replace("simplernn", "simple_rnn")
            wrapped = "TimeDistributed" in str(config) and name == "dense"
            inside = "time_distributed/layer" if wrapped else snake
            cell = "/cell" if any(kind.lower() in name for kind in GATES) else ""
            for index, array in enumerate(arrays):
                file[f"layers/{inside}{cell}/vars/{index}"] = array.astype("f4")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", content.getvalue())


def mean_nll(kind: str, weights: dict[str, list[np.ndarray]], ids: list[int]) -> float:
    layers = [arrays for name, arrays in weights.items() if name.startswith(kind.lower())]
    states = [(np.zeros(H), np.zeros(H))[: 2 if kind == "LSTM" else 1] for _ in layers]
    total = 0.0
    for given, target in itertools.pairwise(ids):
        x = weights["embedding"][0][given] if "embedding" in weights else np.eye(V)[given]
        for index, arrays in enumerate(layers):
            states[index] = advance(kind, x, states[index], arrays)
            x = states[index][0]
        logits = x @ weights["dense"][0] + weights["dense"][1]
        total += np.log(np.exp(logits).sum()) - logits[target]
    return total / (len(ids) - 1)


@pytest.mark.parametrize("ending", ["h5", "keras"])
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("kind", list(GATES))
def test_a_keras_model_keeps_its_likelihood(
    kind: str, one_hot: bool, ending: str, tmp_path: Path
) -> None:
    config, weights = keras_model(kind, one_hot)
    file, vocab, text = tmp_path / f"model.{ending}", tmp_path / "v.json", tmp_path / "text.txt"
    (write_h5 if ending == "h5" else write_archive)(file, config, weights)
    vocab.write_text(json.dumps(dict(enumerate(SYMBOLS))))
    ids = np.random.default_rng(1).integers(0, V, 120).tolist()
    text.write_text("".join(SYMBOLS[id] for id in ids))
    expected = mean_nll(kind, weights, ids)
    done = import_model(file, tmp_path / "run", vocab=vocab, on=text, expect=expected)
    assert done.nll == pytest.approx(expected, abs=1e-5)


def test_other_layers_and_activations_are_refused(tmp_path: Path) -> None:
    vocab = tmp_path / "v.json"
    vocab.write_text(json.dumps(SYMBOLS))

    def refusal(change: Any) -> str:
        config, weights = keras_model("GRU", False)
        change(config["config"]["layers"])
        write_h5(tmp_path / "model.h5", config, weights)
        with pytest.raises(ModelError) as caught:
            import_model(tmp_path / "model.h5", tmp_path / "run", vocab=vocab)
        return str(caught.value)

    def set_first(key: str, value: Any) -> Any:
        return lambda layers: layers[1]["config"].update({key: value})

    assert "recurrent_activation" in refusal(set_first("recurrent_activation", "hard_sigmoid"))
    assert "reset_after" in refusal(set_first("reset_after", False))
    assert "reads backwards" in refusal(set_first("go_backwards", True))
    assert "is a Conv1D" in refusal(lambda layers: layers[0].update(class_name="Conv1D"))
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ModelError, match="no Keras model"):
        import_model(tmp_path / "model.h5", tmp_path / "run", vocab=vocab)
