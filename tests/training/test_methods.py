"""Every method is trained, resumed, saved, scored and decoded like the plain model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from charlm.config import Config, ModelConfig, merge
from charlm.inference.loading import load_run
from charlm.inference.predictors.decoder import Decoder
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from tests.training.conftest import WORDS, StopAt, last, train_into
from tests.training.test_resume import assert_same_end

METHODS = {
    "capped_lstm": {"cell": "capped_lstm"},
    "cifg": {"cell": "cifg"},
    "layer_norm_lstm": {"cell": "layer_norm_lstm"},
    "mogrifier": {"mogrifier_rounds": 3, "mogrifier_rank": 2},
    "mogrifier gru": {"cell": "gru", "mogrifier_rounds": 2, "weight_drop": 0.2},
    "residual": {"connections": "residual"},
    "skip": {"connections": "skip"},
    "mixture of softmaxes": {"softmaxes": 2},
    "adaptive softmax": {"adaptive_softmax": True},
    "projection": {"embedding_size": 5},
    "weight drop": {"weight_drop": 0.3},
    "dropout everywhere": {
        "input_dropout": 0.1,
        "output_dropout": 0.3,
        "embedding_dropout": 0.1,
        "weight_drop": 0.2,
    },
    "nearly everything": {
        "cell": "capped_lstm",
        "mogrifier_rounds": 2,
        "weight_drop": 0.2,
        "embedding_size": 5,
        "connections": "skip",
        "softmaxes": 2,
    },
}


def settings_for(config: Config, method: str) -> Config:
    tables = merge(config.to_tables(), {"model": METHODS[method]})
    return replace(config, model=ModelConfig.from_table(tables["model"]))


@pytest.mark.parametrize("method", list(METHODS))
def test_a_method_resumes_in_the_same_bits_and_scores_as_it_was_validated(
    config, tmp_path: Path, method: str
) -> None:
    settings = settings_for(config(steps=12, evaluations=2), method)
    done = last(train_into(settings, tmp_path / "whole"))
    train_into(settings, tmp_path / "parts", stop=StopAt(6))
    train_into(settings, tmp_path / "parts")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    loaded = load_run(tmp_path / "whole")
    tokenizer = loaded.tokenizer
    heldout = tokenizer.encode((WORDS * 40)[int(len(WORDS * 40) * 0.8) :])
    assert Reader(loaded.model).nll(heldout).mean() == pytest.approx(done.valid_nll, abs=1e-6)


@pytest.mark.parametrize("method", list(METHODS))
def test_decoding_and_reading_in_parts_give_what_the_whole_gives(method: str) -> None:
    config = ModelConfig(hidden_size=12, num_layers=3, **METHODS[method])
    model = LanguageModel.create(config, vocab_size=33, seed=1).double().eval()
    tokens = torch.randint(33, (4, 10), generator=torch.Generator().manual_seed(1))
    whole, end = model(tokens)
    first, state = model(tokens[:, :6])
    second, end_of_halves = model(tokens[:, 6:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(end_of_halves, end)
    decoder = Decoder(predictor := Recurrent(model), predictor.start(4))
    steps = [tokens[:, :4], *(tokens[:, t : t + 1] for t in range(4, 10))]
    found = torch.stack([decoder.advance(part) for part in steps], dim=1)
    torch.testing.assert_close(found, whole[:, 3:].detach().log_softmax(-1))


@pytest.mark.parametrize("method", list(METHODS))
def test_what_a_method_adds_is_drawn_after_the_weights_of_the_plain_model(method: str) -> None:
    settings = {"hidden_size": 12, "num_layers": 2, **METHODS[method]}
    shape = {key: settings[key] for key in ("cell", "embedding_size") if key in settings}
    if shape.get("cell") != "gru":
        shape["cell"] = "lstm"
    plain = ModelConfig(hidden_size=12, num_layers=2, **shape)
    before = LanguageModel.create(plain, 33, seed=1).tensors()
    after = LanguageModel.create(ModelConfig(**settings), 33, seed=1).tensors()
    same = [name for name in before if name in after and before[name].shape == after[name].shape]
    assert "embedding.weight" in same
    assert all(torch.equal(before[name], after[name]) for name in same)


def test_random_bptt_and_penalties_resume_in_the_same_bits(config, tmp_path: Path) -> None:
    """Over the end of an epoch, where the places of the cuts are drawn anew."""
    settings = config(
        bptt=12, random_bptt=True, steps=60, activation_penalty=1.0, temporal_penalty=1.0
    )
    train_into(settings, tmp_path / "whole")
    for asks in (20, 25):
        train_into(settings, tmp_path / "parts", stop=StopAt(asks))
    train_into(settings, tmp_path / "parts")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
