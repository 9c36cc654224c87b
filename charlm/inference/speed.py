"""How fast charlm is on this machine, beside the usual PyTorch code and beside the limit.

Both sides do the same work on models of the same shape, in turns in one process.  A figure is a
median over the rounds, a ratio the median of the ratios within a round, so that a busy machine
disturbs it less.  The limit is what the processor needs at least to read the weights or to do the
arithmetic (``charlm/model/limits.py``).
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from charlm.config import GenerationConfig, ModelConfig
from charlm.inference.generation.lanes import sample_tokens
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.model.limits import Limits

__all__ = ["PEER", "Figure", "Size", "Usual", "Way", "in_turns", "measure_speed"]

PEER = "nn.LSTM"
ROUNDS = 7
STREAM = 512
"""Tokens of a stream that are scored at a time, and the ``bptt`` of the usual code."""
TEMPERATURE = 0.8


@dataclass(frozen=True)
class Size:
    """Shape of a model, and how many lanes it works on."""

    layers: int
    hidden: int
    vocab: int
    lanes: int = 1

    def __str__(self) -> str:
        lanes = f", {self.lanes} lanes" if self.lanes > 1 else ""
        return f"{self.layers}x{self.hidden}, V {self.vocab}{lanes}"

    @property
    def recurrent(self) -> int:
        """Recurrent weights."""
        return self.layers * 4 * self.hidden**2

    @property
    def weights(self) -> int:
        """Weights that every token meets: without layer 0's input, which can be looked up."""
        return self.recurrent + (self.layers - 1) * 4 * self.hidden**2 + self.hidden * self.vocab

    def network(self) -> LanguageModel:
        """Such a model, untrained."""
        config = ModelConfig(num_layers=self.layers, hidden_size=self.hidden, dropout=0.0)
        return LanguageModel.create(config, self.vocab, seed=1)


@dataclass(frozen=True)
class Way:
    """One way of doing some work: a call does ``tokens`` of it."""

    call: Callable[[], object]
    tokens: int


@dataclass(frozen=True)
class Figure:
    """Tokens a second, over those of the usual code in the same round, and the share of the limit,
    which reading or arithmetic sets."""

    work: str
    size: str
    tokens_per_second: float
    peer_tokens_per_second: float
    ratio: float
    share: float
    limit: str


class Usual(nn.Module):
    """The model as it is usually written."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.vocab, size.hidden)
        self.lstm = nn.LSTM(size.hidden, size.hidden, size.layers)
        self.head = nn.Linear(size.hidden, size.vocab)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """tokens (T, B) -> logits (T, B, V) and the state."""
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.head(hidden), state


SAMPLED = (Size(2, 128, 65), Size(2, 512, 256), Size(2, 512, 256, lanes=64))
SCORED = Size(2, 512, 256)
LEARNED = Size(1, 256, 65, lanes=32)


def measure_speed(limits: Limits) -> Iterator[Figure]:
    """Figures one by one; some seconds each."""
    for size in SAMPLED:
        ways = {PEER: usual_sampling(size), "charlm": sampling(size)}
        yield figure("sampling", size, ways, limits, 2 * size.weights, 4 * size.weights)
    size = SCORED
    ways = {PEER: usual_scoring(size), "charlm": scoring(size)}
    yield figure("scoring", size, ways, limits, 2 * size.weights, 4 * size.recurrent)
    size = LEARNED
    ways = {PEER: usual_training(size), "charlm": training(size)}
    yield figure("training", size, ways, limits, 6 * size.weights, 0)


def figure(
    work: str,
    size: Size,
    ways: dict[str, Way],
    limits: Limits,
    arithmetic: int,
    reads: int,
) -> Figure:
    """Measure; ``arithmetic`` in FLOP for each token, ``reads`` in bytes for each step of lanes."""
    seconds = in_turns(ways, ROUNDS)
    needs = {
        "arithmetic": arithmetic / limits.products,
        "reading": reads / limits.read_rate(reads) / size.lanes,
    }
    limit = max(needs, key=needs.__getitem__)
    ratios = [one / other for one, other in zip(seconds[PEER], seconds["charlm"], strict=True)]
    own, peer = (statistics.median(seconds[name]) for name in ("charlm", PEER))
    return Figure(
        work, str(size), 1 / own, 1 / peer, statistics.median(ratios), needs[limit] / own, limit
    )


def in_turns(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds for one token, each way once a round, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for done in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way.call()
            if done:
                seconds[name].append((time.perf_counter() - start) / way.tokens)
    return seconds


def sampling(size: Size, precision: str = "float32") -> Way:
    """Write and draw tokens as ``charlm generate`` does."""
    model = Recurrent(size.network(), precision)
    prompt, bias = torch.zeros(1, dtype=torch.int64), torch.zeros(size.vocab)
    config, seeds = GenerationConfig(temperature=TEMPERATURE), range(size.lanes)
    texts = sample_tokens(model, prompt, bias, config, seeds)
    count = len(next(texts[0]))

    def call() -> None:
        for blocks in texts:
            next(blocks)

    for blocks in texts[1:]:
        next(blocks)
    return Way(call, count * size.lanes)


def usual_sampling(size: Size) -> Way:
    """The loop of pytorch/examples' word_language_model/generate.py, for any number of lanes."""
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
    """One stream as ``charlm perplexity`` reads it."""
    reader = Reader(Recurrent(size.network()))
    ids = np.random.default_rng(1).integers(size.vocab, size=2 * STREAM)
    return Way(lambda: reader.nll(ids), len(ids))


def usual_scoring(size: Size) -> Way:
    """One stream through ``nn.LSTM``, a segment at a time."""
    model = Usual(size).eval()
    ids = torch.randint(size.vocab, (STREAM + 1, 1), generator=torch.Generator().manual_seed(1))
    state = None

    def call() -> None:
        nonlocal state
        with torch.no_grad():
            logits, state = model(ids[:-1], state)
            nn.functional.cross_entropy(logits.flatten(0, 1), ids[1:].flatten(), reduction="sum")

    return Way(call, STREAM)


def training(size: Size, steps: int = 64) -> Way:
    """Loss and gradients, without the optimizer."""
    model = size.network().train()
    tokens = torch.randint(size.vocab, (size.lanes, steps))
    return Way(lambda: learn(model, model(tokens)[0], tokens), tokens.numel())


def usual_training(size: Size, steps: int = 64) -> Way:
    """The same with ``nn.LSTM``."""
    model = Usual(size).train()
    tokens = torch.randint(size.vocab, (steps, size.lanes))
    return Way(lambda: learn(model, model(tokens, None)[0], tokens), tokens.numel())


def learn(model: nn.Module, logits: Tensor, tokens: Tensor) -> None:
    """Back-propagate a loss."""
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    torch.autograd.grad(loss, list(model.parameters()))
