"""How fast charlm is on this machine, beside the usual PyTorch code and beside the limit.

Both sides do equal work on models of one shape, in turns in one process (``timing.py``).  The limit
is what the processor needs at least to read the weights or to do the arithmetic
(``charlm/model/limits.py``).  ``charlm bench`` and the scripts in ``benchmarks/`` share this.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from charlm.config import BOUNDARY_ID, GenerationConfig, ModelConfig
from charlm.inference.generation.lanes import sample_tokens
from charlm.inference.generation.sampling import Rules, Start
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent, in_precision
from charlm.inference.timing import PEER, Way, compare_ways
from charlm.model.language_model import LanguageModel
from charlm.model.limits import Limits, measure_limits

__all__ = ["Size", "Speed", "Usual", "measure_speed"]

ROUNDS = 7
"""Rounds of ``charlm bench``, after one to warm up."""

STREAM = 512
"""Tokens of a stream that are scored in one call."""

BPTT = 64
"""Steps of time of a training step."""

TEMPERATURE = 0.8
"""Temperature at which tokens are sampled; it hardly changes the speed."""


@dataclass(frozen=True)
class Size:
    """Shape of a plain LSTM model, and the number of lanes it works on."""

    layers: int
    hidden: int
    vocab: int
    lanes: int = 1

    def __str__(self) -> str:
        lanes = f", {self.lanes} lanes" if self.lanes > 1 else ""
        return f"{self.layers}x{self.hidden}, V {self.vocab}{lanes}"

    @property
    def recurrent(self) -> int:
        """Number of recurrent weights, which one stream reads at every step of time."""
        return self.layers * 4 * self.hidden**2

    @property
    def weights(self) -> int:
        """Number of weights that are multiplied for every token.

        The first layer's input weights are left out: their products can be looked up by token.
        """
        return self.recurrent + (self.layers - 1) * 4 * self.hidden**2 + self.hidden * self.vocab

    def network(self) -> LanguageModel:
        """A charlm model of this shape, untrained."""
        config = ModelConfig(num_layers=self.layers, hidden_size=self.hidden, dropout=0.0)
        return LanguageModel.create(config, self.vocab, seed=1)


@dataclass(frozen=True)
class Speed:
    """The speed of charlm in one kind of work on a model of some size.

    ``ratio`` says how many times as fast charlm is as the usual code, ``share`` which part of the
    highest possible speed it reaches, and ``limit`` what sets that: reading or arithmetic.
    """

    work: str
    size: str
    tokens_per_second: float
    peer_tokens_per_second: float
    ratio: float
    share: float
    limit: str


class Usual(nn.Module):
    """An LSTM language model as it is usually written in PyTorch; time comes first."""

    def __init__(self, size: Size, *, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.vocab, size.hidden)
        self.lstm = nn.LSTM(size.hidden, size.hidden, size.layers)
        self.head = nn.Linear(size.hidden, size.vocab)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """tokens (T, B) -> logits (T, B, V) and the state."""
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.head(hidden), state


SAMPLED = (Size(2, 128, 65), Size(2, 512, 256), Size(2, 512, 256, lanes=64))
SCORED = Size(2, 512, 256)
LEARNED = Size(1, 256, 65, lanes=32)


def measure_speed() -> Iterator[Limits | Speed]:
    """Measure the limits of torch's threads, then sampling, scoring and training.

    Each record takes some seconds.
    """
    limits = measure_limits(torch.get_num_threads())
    yield limits
    # A multiplication and an addition for each weight and token, twice as many again backwards.
    for size in SAMPLED:
        ways = {PEER: usual_sampling(size), "charlm": sampling(size)}
        yield measure("sampling", size, ways, limits, 2 * size.weights, 4 * size.weights)
    size = SCORED
    ways = {PEER: usual_scoring(size), "charlm": scoring(size)}
    yield measure("scoring", size, ways, limits, 2 * size.weights, 4 * size.recurrent)
    size = LEARNED
    ways = {PEER: usual_training(size), "charlm": training(size)}
    yield measure("training", size, ways, limits, 6 * size.weights, 0)


def measure(
    work: str, size: Size, ways: dict[str, Way], limits: Limits, arithmetic: int, reads: int
) -> Speed:
    """Compare charlm with its peer and with the limit.

    ``arithmetic`` in floating-point operations (FLOP) for each token; ``reads`` in bytes for each
    step of time, which all lanes share.
    """
    timings = compare_ways(ways, ROUNDS)
    own, peer = timings["charlm"], timings[PEER]
    seconds = limits.seconds(arithmetic, reads / size.lanes, reads)
    limit = max(seconds, key=seconds.__getitem__)
    return Speed(
        work,
        str(size),
        own.tokens_per_second,
        peer.tokens_per_second,
        own.ratio,
        seconds[limit] * own.tokens_per_second,
        limit,
    )


def sampling(size: Size, precision: str = "float32") -> Way:
    """Sample tokens as ``charlm generate`` does, with weights kept in ``precision``."""
    model = in_precision(Recurrent(size.network()), precision)
    rules = Rules(GenerationConfig(temperature=TEMPERATURE), torch.zeros(size.vocab))
    starts = [Start((BOUNDARY_ID,), seed) for seed in range(size.lanes)]
    texts = sample_tokens(open_decoder(model), rules, starts)
    count = len(next(texts[0]))

    def call() -> None:
        for blocks in texts:
            next(blocks)

    for blocks in texts[1:]:
        next(blocks)
    return Way(call, count * size.lanes)


def usual_sampling(size: Size) -> Way:
    """Sample tokens as pytorch/examples' word_language_model/generate.py does, for any lanes."""
    model = Usual(size).eval()
    tokens = torch.zeros(1, size.lanes, dtype=torch.int64)
    state = (torch.zeros(size.layers, size.lanes, size.hidden),) * 2
    steps = 16 if size.lanes == 1 else 1

    def call() -> None:
        nonlocal state
        with torch.no_grad():
            for _ in range(steps):
                logits, state = model(tokens, state)
                weights = logits[0].div(TEMPERATURE).exp()
                tokens.copy_(torch.multinomial(weights, 1).T)

    return Way(call, steps * size.lanes)


def scoring(size: Size) -> Way:
    """Score one stream as ``charlm perplexity`` does."""
    reader = Reader(Recurrent(size.network()))
    ids = np.random.default_rng(1).integers(size.vocab, size=2 * STREAM)
    return Way(lambda: reader.nll(ids), len(ids))


def usual_scoring(size: Size) -> Way:
    """Score one stream with ``nn.LSTM``, ``STREAM`` tokens in a call."""
    model = Usual(size).eval()
    ids = torch.randint(size.vocab, (STREAM + 1, 1), generator=torch.Generator().manual_seed(1))
    state = None

    def call() -> None:
        nonlocal state
        with torch.no_grad():
            logits, state = model(ids[:-1], state)
            nn.functional.cross_entropy(logits.flatten(0, 1), ids[1:].flatten(), reduction="sum")

    return Way(call, STREAM)


def training(size: Size) -> Way:
    """Loss and gradients of charlm's model, without the optimizer."""
    model = size.network().train()
    tokens = torch.randint(size.vocab, (size.lanes, BPTT))
    return Way(lambda: learn(model, model(tokens)[0], tokens), tokens.numel())


def usual_training(size: Size) -> Way:
    """Loss and gradients of ``nn.LSTM``, without the optimizer."""
    model = Usual(size).train()
    tokens = torch.randint(size.vocab, (BPTT, size.lanes))
    return Way(lambda: learn(model, model(tokens, None)[0], tokens), tokens.numel())


def learn(model: nn.Module, logits: Tensor, tokens: Tensor) -> None:
    """Back-propagate the cross entropy of ``tokens`` to all parameters."""
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    torch.autograd.grad(loss, list(model.parameters()))
