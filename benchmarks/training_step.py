"""Training steps: charlm's LSTM on the native path, on torch's, and ``nn.LSTM`` as is usual.

    python benchmarks/training_step.py                    a table
    python benchmarks/training_step.py --json             one object a line
    python benchmarks/training_step.py --everywhere       the scans where they are left out, too
    python benchmarks/training_step.py --sizes 1x512 --set model.mogrifier_rounds=4

A step is forward, cross entropy, backward, clipping and AdamW on random tokens.  All ways run in
one process, taking turns; a figure is the median over the rounds, a ratio the median over the
rounds of the ratio to ``nn.LSTM`` in the same round, so that a busy machine disturbs it less.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program does, before torch is loaded

import torch
from torch import Tensor, nn

from charlm.config import ModelConfig, TrainConfig, merge, parse_assignment
from charlm.model import native, recurrence, stepped
from charlm.model.language_model import LanguageModel, detach
from charlm.training.optimization.optimizers import make_optimizer

SIZES = {"2x128": (2, 128, 32, 67), "1x256": (1, 256, 32, 67), "2x512": (2, 512, 64, 256)}
"""Name -> layers, hidden size, lanes, vocabulary; others have 32 lanes and 67 tokens."""
STEPS = 64
PEER = "nn.LSTM"


def shape(size: str) -> tuple[int, int, int, int]:
    """Layers, hidden size, lanes and vocabulary."""
    layers, hidden = map(int, size.split("x"))
    return SIZES.get(size, (layers, hidden, 32, 67))


class Usual(nn.Module):
    """The model as it is usually written."""

    def __init__(self, layers: int, hidden: int, vocab: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, vocab)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: object) -> tuple[Tensor, object]:
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.head(hidden), state


def detached(state: object) -> object:
    """The state cut from its graph, whatever its nesting."""
    if isinstance(state[0], tuple):  # type: ignore[index]
        return detach(state)  # type: ignore[arg-type]
    return tuple(part.detach() for part in state)  # type: ignore[attr-defined]


def stepper(model: nn.Module, lanes: int, vocab: int) -> Callable[[], None]:
    """A function that takes one training step."""
    optimizer = make_optimizer(TrainConfig().with_defaults(), model, torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(vocab, (lanes, STEPS + 1), generator=generator)
    state = None

    def step() -> None:
        nonlocal state
        optimizer.zero_grad(set_to_none=True)
        logits, after = model(tokens[:, :-1], state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = detached(after)

    return step


def by_torch(step: Callable[[], None]) -> Callable[[], None]:
    """The same step with the native path switched off."""

    def switched() -> None:
        chosen, native.kernels = native.kernels, lambda: None
        try:
            step()
        finally:
            native.kernels = chosen

    return switched


def ways(size: str, model: dict[str, Any]) -> dict[str, Callable[[], None]]:
    """What to time for a size; ``model`` holds further settings of charlm's."""
    layers, hidden, lanes, vocab = shape(size)
    config = ModelConfig(**{"num_layers": layers, "hidden_size": hidden, "dropout": 0.0} | model)
    models = [LanguageModel.create(config, vocab, seed=1).train() for _ in range(2)]
    return {
        PEER: stepper(Usual(layers, hidden, vocab), lanes, vocab),
        "torch": by_torch(stepper(models[0], lanes, vocab)),
        "native": stepper(models[1], lanes, vocab),
    }


def measure(
    size: str, threads: int, rounds: int, repeats: int, model: dict[str, Any]
) -> dict[str, object]:
    """One row: tokens a second of each way, and ratios to the peer."""
    torch.set_num_threads(threads)
    timed = ways(size, model)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for done in range(rounds + 1):
        for name, step in timed.items():
            start = time.perf_counter()
            for _ in range(repeats):
                step()
            if done:  # the first round warms up
                seconds[name].append((time.perf_counter() - start) / repeats)
    tokens = shape(size)[2] * STEPS
    row: dict[str, object] = {"size": size, "threads": threads}
    for name, times in seconds.items():
        ratios = [peer / own for peer, own in zip(seconds[PEER], times, strict=True)]
        row[name] = round(tokens / statistics.median(times))
        row[f"{name} ratio"] = round(statistics.median(ratios), 2)
    return row


def settle_allocator() -> None:
    """Let glibc keep freed memory up to 32 MB blocks: a peer alone in its process reaches that by
    itself, one among others does not, and would pay for fresh pages at each step."""
    for _ in range(3):
        torch.empty(8_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], help="model.KEY=VALUE, for charlm's alone")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), help="LAYERSxHIDDEN")
    parser.add_argument("--everywhere", action="store_true", help="native for every hidden size")
    options = parser.parse_args()
    if options.everywhere:
        recurrence.NATIVE_FROM = recurrence.TABLE_FROM = stepped.PACKED_FROM = 1
    model = merge(*map(parse_assignment, options.set)).get("model", {})
    settle_allocator()
    if not options.json:
        print(f"{native.status()}; torch {torch.__version__}; tokens/s and ratio to {PEER}")
    for size in options.sizes:
        for threads in (1, 2):
            row = measure(size, threads, options.rounds, options.repeats, model)
            figures = "   ".join(
                f"{name} {row[name]:>8,} ({row[f'{name} ratio']:.2f}x)"
                for name in (PEER, "torch", "native")
            )
            line = f"{size}  {threads} threads   {figures}"
            print(json.dumps(row) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
