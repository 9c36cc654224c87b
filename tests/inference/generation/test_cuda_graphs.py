"""Blocks of steps write what single steps write; the capture itself needs a GPU."""

import itertools

import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.inference.generation import cuda_graphs as graphs
from charlm.inference.generation.cuda_graphs import BLOCK, BlockWriter, Body
from charlm.inference.generation.filters import Sampling, chances
from charlm.inference.generation.lanes import at_a_launch, one_by_one
from charlm.inference.predictors.decoder import Decoder
from charlm.inference.predictors.predictor import Recurrent
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
VOCAB = 11
PROMPT = torch.tensor([0, 3, 5])
BANNED = torch.zeros(VOCAB).index_fill(0, torch.tensor([0]), -torch.inf)


class Single(Recurrent):
    """A network that is decoded step by step by torch, natively or not."""

    def decoder(self, lanes: int = 1) -> Decoder:
        return Decoder(self.network, lanes)


def immediate(body: Body, changed: list[Tensor]) -> Body:
    """Capturing runs what is captured; that leaves no trace."""
    before = [tensor.clone() for tensor in changed]
    body()
    for tensor, old in zip(changed, before, strict=True):
        tensor.copy_(old)
    return body


def network(**settings: object) -> LanguageModel:
    config = ModelConfig(hidden_size=9, num_layers=2, **settings)
    return LanguageModel.create(config, VOCAB, seed=2)


def writer(model: LanguageModel, sampling: Sampling) -> BlockWriter:
    decoder = Decoder(model)
    return BlockWriter(decoder, decoder.read(PROMPT[None]), BANNED, sampling, immediate)


def single_steps(model: LanguageModel, sampling: Sampling) -> list[int]:
    written = one_by_one(Single(model), PROMPT, BANNED, sampling, seed=7)
    return [token for (token,) in itertools.islice(written, 3 * BLOCK)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "layer_norm_lstm"])
@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(temperature=0), Sampling(temperature=0.8, top_k=5, top_p=0.9)],
    ids=["plain", "greedy", "filtered"],
)
def test_blocks_are_the_steps_of_one_by_one(cell: str, sampling: Sampling) -> None:
    model = network(cell=cell)
    expected = single_steps(model, sampling)
    blocks = at_a_launch(writer(model, sampling), torch.Generator().manual_seed(7))
    assert [*next(blocks), *next(blocks), *next(blocks)] == expected


def test_what_is_no_number_is_said() -> None:
    model = network()
    with torch.no_grad():
        model.head.bias.fill_(torch.nan)
    drawn = chances(torch.Generator().manual_seed(1), BLOCK)[None]
    assert (writer(model, Sampling()).write(drawn) == -1).all()


def test_what_cannot_be_captured_is_written_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("no capture here\nand why")

    model = network()
    expected = single_steps(model, Sampling())
    monkeypatch.setattr(graphs, "uses_graphs", lambda device: True)
    monkeypatch.setattr(torch.cuda, "Stream", refuse)
    with pytest.warns(UserWarning, match="^writing without CUDA graphs: no capture here$"):
        assert single_steps(model, Sampling()) == expected
