"""What is exported to ONNX predicts what the run predicts, for every shape."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.exchange.onnx import onnx_model, verify_onnx
from charlm.model.language_model import LanguageModel
from tests.cli.conftest import call

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

SETTINGS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "two tied layers": {"num_layers": 2, "embedding_size": 12},
    "projected": {"embedding_size": 5, "num_layers": 2, "connections": "residual"},
    "untied": {"embedding_size": 7, "tie_weights": False, "num_layers": 3, "connections": "skip"},
    "gru": {"cell": "gru", "num_layers": 2},
    "rnn": {"cell": "rnn"},
    "cifg": {"cell": "cifg", "num_layers": 2},
    "mixture": {"softmaxes": 3, "embedding_size": 6},
}


def network_of(**settings: Any) -> LanguageModel:
    config = ModelConfig(hidden_size=12, **settings)
    network = LanguageModel.create(config, 17, seed=1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5, generator=torch.Generator().manual_seed(len(parameter)))
    return network


@pytest.mark.parametrize("name", list(SETTINGS))
def test_onnxruntime_agrees_for_any_batch_and_length(name: str) -> None:
    network = network_of(**SETTINGS[name])
    session = onnxruntime.InferenceSession(onnx_model(network), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for _ in range(13):  # eight models: 104 shapes
        lanes, steps = rng.integers(1, 9), rng.integers(1, 40)
        tokens = rng.integers(0, 17, (lanes, steps))
        state = tuple(tuple(0.5 * torch.randn_like(part) for part in layer)
                      for layer in network.zero_state(lanes))  # fmt: skip
        with torch.inference_mode():
            logits, after = network(torch.from_numpy(tokens), state)
        names = "hc"[: len(state[0])]
        given = {n: torch.stack([x[i] for x in state]).numpy() for i, n in enumerate(names)}
        found = session.run(None, {"tokens": tokens, **given})
        assert np.abs(found[0] - logits.log_softmax(-1).numpy()).max() < 1e-5
        for index, each in enumerate(found[1:]):
            expected = torch.stack([layer[index] for layer in after]).numpy()
            assert np.abs(each - expected).max() < 1e-5


@pytest.mark.parametrize(
    "settings", [{"cell": "layer_norm_lstm"}, {"mogrifier_rounds": 2}, {"adaptive_softmax": True}]
)
def test_what_onnx_cannot_hold_is_named(settings: dict[str, Any]) -> None:
    network = network_of(**settings)
    with pytest.raises(ModelError, match=rf"`model\.{next(iter(settings))}=.*cannot be exported"):
        onnx_model(network)


def test_a_wrong_graph_is_not_accepted() -> None:
    network = network_of()
    content = onnx_model(network)
    with torch.no_grad():
        network.head.bias[3] += 0.01
    with pytest.raises(ModelError, match="differ from charlm's"):
        verify_onnx(content, network)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    (folder / "t.txt").write_text("It was the best of times, it was the worst of times.\n" * 40)
    done = call("train", str(folder / "t.txt"), "--out", str(folder / "run"), "--steps", "5",
                "--hidden-size", "16")  # fmt: skip
    assert done.code == 0, done.err
    return folder / "run"


def test_the_exported_folder_writes_by_itself(run: Path, tmp_path: Path) -> None:
    done = call("export", str(run), "--to", "onnx", "--out", str(tmp_path / "out"), "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["difference"] < 1e-5
    example = subprocess.run(
        [sys.executable, "example.py", "It was"], cwd=tmp_path / "out", capture_output=True,
        text=True, timeout=60, check=True,
    )  # fmt: skip
    assert example.stdout.startswith("It was")
    assert len(example.stdout) > 150
    again = call("export", str(run), "--to", "onnx", "--out", str(tmp_path / "out"), "--force")
    assert again.code == 1
    assert "exists already, and --force replaces files alone" in again.err[0]
