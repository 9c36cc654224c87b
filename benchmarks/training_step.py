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
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program does, before torch is loaded

import numpy as np
import torch
from torch import nn

from charlm.config import ModelConfig, TrainConfig, named_values, tables_of
from charlm.data.batches import Segments
from charlm.inference.speed import Size, Usual
from charlm.inference.timing import PEER, Way, compare_ways, without_native
from charlm.model import native, recurrence, stepped
from charlm.model.devices import autocast, corpus_device
from charlm.model.language_model import LanguageModel
from charlm.training.distributed import World
from charlm.training.learner import Learner

SIZES = {"2x128": (32, 67), "1x256": (32, 67), "2x512": (64, 256)}
"""Name -> lanes, vocabulary; other sizes have those of the first."""
STEPS = 64
"""Steps of time of a training step."""
TEXT = 1_000_000
"""Tokens of the text that charlm trains on."""
CPU = torch.device("cpu")


def size_of(name: str) -> Size:
    """A size by its name, LAYERSxHIDDEN."""
    layers, hidden = map(int, name.split("x"))
    lanes, vocab = SIZES.get(name, SIZES["2x128"])
    return Size(layers, hidden, vocab, lanes)


def usual_step(
    size: Size, steps: int, device: torch.device = CPU, precision: torch.dtype = torch.float32
) -> Way:
    """A training step of ``nn.LSTM`` in the usual loop."""
    model = Usual(size, tied=True).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    tokens = torch.randint(size.vocab, (steps + 1, size.lanes), device=device)
    state: Any = None

    def call() -> None:
        nonlocal state
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
            logits, state = model(tokens[:-1], state)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        loss.item()  # waits for the device, as reading the loss does

    return Way(call, steps * size.lanes)


def charlm_step(
    size: Size,
    steps: int,
    device: torch.device = CPU,
    precision: str = "auto",
    model: dict[str, Any] | None = None,
) -> Way:
    """A training step of ``charlm train``; ``model`` holds further settings of the model."""
    config = TrainConfig(
        batch_size=size.lanes, bptt=steps, precision=precision, device=str(device), steps=1
    )
    shape = {"num_layers": size.layers, "hidden_size": size.hidden, "dropout": 0.0}
    network = LanguageModel.create(ModelConfig(**shape | (model or {})), size.vocab, seed=1)
    text = np.random.default_rng(1).integers(size.vocab, size=TEXT).astype(np.uint16)
    segments = Segments(text, size.lanes, steps, 1, device=corpus_device(text.nbytes, device))
    learner = Learner(network.to(device), segments, config, World())
    numbers = iter(range(TEXT))
    return Way(lambda: learner.learn(next(numbers), 1e-3), steps * size.lanes)


def measure(name: str, threads: int, rounds: int, model: dict[str, Any]) -> dict[str, object]:
    """One row: tokens a second of each way, and ratios to the peer."""
    torch.set_num_threads(threads)
    size = size_of(name)
    ways = {
        PEER: usual_step(size, STEPS),
        "torch": without_native(lambda: charlm_step(size, STEPS, model=model)),
        "native": charlm_step(size, STEPS, model=model),
    }
    row: dict[str, object] = {"size": name, "threads": threads}
    for way, timing in compare_ways(ways, rounds).items():
        row[way] = round(timing.tokens_per_second)
        row[f"{way} ratio"] = round(timing.ratio, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--set", nargs="*", default=[], help="model.KEY=VALUE, for charlm's alone")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), help="LAYERSxHIDDEN")
    parser.add_argument("--everywhere", action="store_true", help="native for every hidden size")
    options = parser.parse_args()
    if options.everywhere:
        recurrence.NATIVE_FROM = recurrence.TABLE_FROM = stepped.PACKED_FROM = 1
    model = tables_of(named_values(options.set)).get("model", {})
    if not options.json:
        print(f"{native.status()}; torch {torch.__version__}; tokens/s and ratio to {PEER}")
    for size in options.sizes:
        for threads in (1, 2):
            row = measure(size, threads, options.rounds, model)
            figures = "   ".join(
                f"{name} {row[name]:>8,} ({row[f'{name} ratio']:.2f}x)"
                for name in (PEER, "torch", "native")
            )
            line = f"{size}  {threads} threads   {figures}"
            print(json.dumps(row) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
