"""A real LSTM that somebody else trained has a known likelihood; ours must find the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.scoring.uncertainty import estimate_nll
from charlm.model.language_model import LanguageModel
from tests.inference.toys import score_ids

KNOWN_NATS_PER_CHAR = 1.306938  # over characters 1 to 100,000, computed in float64 elsewhere
CELL = "rnnlm/multi_rnn_cell/cell_{}/basic_lstm_cell/{}"


def read_tensor(folder: Path, name: str) -> torch.Tensor:
    entry = json.loads((folder / "manifest.json").read_text())[name]
    numbers = np.fromfile(folder / entry["filename"], dtype="<f4").reshape(entry["shape"])
    return torch.from_numpy(numbers)


def reordered(rows: torch.Tensor) -> torch.Tensor:
    """TensorFlow's blocks input, candidate, forget, output as i, f, g, o."""
    i, g, f, o = rows.chunk(4)
    return torch.cat([i, f, g, o])


def import_model(folder: Path) -> LanguageModel:
    tensors = {"embedding.weight": read_tensor(folder, "embedding")}
    for layer in (0, 1):
        kernel = reordered(read_tensor(folder, CELL.format(layer, "weights")).T)  # (4H, I + H)
        bias = reordered(read_tensor(folder, CELL.format(layer, "biases")))
        bias[128:256] += 1.0  # the forget bias that TensorFlow adds when it runs
        tensors[f"layers.{layer}.weight_ih"] = kernel[:, :128].contiguous()
        tensors[f"layers.{layer}.weight_hh"] = kernel[:, 128:].contiguous()
        tensors[f"layers.{layer}.bias"] = bias
    tensors["head.weight"] = read_tensor(folder, "rnnlm/softmax_w").T.contiguous()
    tensors["head.bias"] = read_tensor(folder, "rnnlm/softmax_b")
    config = ModelConfig(hidden_size=128, num_layers=2, tie_weights=False)
    return LanguageModel.from_tensors(config, 65, tensors)


@pytest.fixture(scope="module")
def ids(shared_data: Path) -> np.ndarray:
    vocabulary = json.loads((shared_data / "reference-lstm" / "vocab.json").read_text())
    vocabulary |= {"u": 13, "U": 40}  # the two that its file lost
    text = (shared_data / "tinyshakespeare.txt").read_text(encoding="utf-8")[:100_001]
    return np.array([vocabulary[char] for char in text], dtype=np.uint8)


def test_the_reference_lstm_has_its_known_likelihood(shared_data: Path, ids: np.ndarray) -> None:
    model = import_model(shared_data / "reference-lstm")
    nll = Reader(Recurrent(model), first=int(ids[0])).nll(ids[1:])
    assert nll.mean() == pytest.approx(KNOWN_NATS_PER_CHAR, abs=2e-5)
    assert len(nll) == 100_000


def test_a_wrong_import_would_be_noticed(shared_data: Path, ids: np.ndarray) -> None:
    model = import_model(shared_data / "reference-lstm")
    with torch.no_grad():
        for layer in model.recurrent_layers():
            layer.bias[128:256] -= 1.0
    nll = Reader(Recurrent(model), first=int(ids[0])).nll(ids[1:20_001])
    assert nll.mean() > 1.5


def test_the_standard_error_covers_what_halves_differ_by(
    shared_data: Path, ids: np.ndarray
) -> None:
    model = Recurrent(import_model(shared_data / "reference-lstm"))
    nll = Reader(model, int(ids[0])).nll(ids[1:])
    score = score_ids(nll, ids[1:] + 1, unknown_id=None)
    naive = nll.std() / len(nll) ** 0.5
    assert naive < estimate_nll(score.blocks).se < 5 * naive
    halves = [score_ids(part, np.ones_like(part), None) for part in np.split(nll, 2)]
    gap = abs(halves[0].mean_nll - halves[1].mean_nll)
    errors = [estimate_nll(half.blocks).se for half in halves]
    assert gap < 4 * (errors[0] ** 2 + errors[1] ** 2) ** 0.5
