"""Training and writing on a GPU: charlm beside plain ``nn.LSTM`` code, in turns in one process.

    python benchmarks/gpu.py                  a table
    python benchmarks/gpu.py --json           one object a line
    python benchmarks/gpu.py --device cpu     to try the script

A training step is forward, cross entropy, backward, clipping and AdamW, on random tokens that the
peer finds on the GPU as well.  A figure is the median over the rounds, a ratio the median over the
rounds of the ratio to the peer in the same round.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from charlm.config import GenerationConfig, TrainConfig
from charlm.data.batches import Segments
from charlm.inference.generation.lanes import sample_tokens
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.speed import Size, Usual, Way, in_turns
from charlm.model.devices import autocast, corpus_device
from charlm.training.distributed import World
from charlm.training.learner import Learner

SIZES = [Size(1, 512, 65, 32), Size(2, 512, 256, 64), Size(1, 1024, 65, 64), Size(3, 1024, 256, 64)]
STEPS = 128
TEXT = 1_000_000
WRITTEN = 256
PEER = "nn.LSTM"


def at_once(call: Callable[[], object]) -> Callable[[], object]:
    """The same without CUDA graphs."""

    def switched() -> object:
        os.environ["CHARLM_GRAPHS"] = "0"
        try:
            return call()
        finally:
            del os.environ["CHARLM_GRAPHS"]

    return switched


def usual_step(size: Size, device: torch.device, precision: torch.dtype) -> Way:
    """A step of the usual loop."""
    model = Usual(size).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    tokens = torch.randint(size.vocab, (STEPS + 1, size.lanes), device=device)
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
        loss.item()

    return Way(call, STEPS * size.lanes)


def step(size: Size, device: torch.device, precision: str) -> Way:
    """A step of ``charlm train``."""
    config = TrainConfig(
        batch_size=size.lanes, bptt=STEPS, precision=precision, device=str(device), steps=1
    )
    text = np.random.default_rng(1).integers(size.vocab, size=TEXT).astype(np.uint16)
    segments = Segments(text, size.lanes, STEPS, 1, device=corpus_device(text.nbytes, device))
    learner = Learner(size.network().to(device), segments, config, World())
    taken = iter(range(1_000_000))
    return Way(lambda: learner.learn(next(taken), 1e-3), STEPS * size.lanes)


def usual_writing(size: Size, device: torch.device) -> Way:
    """The loop of pytorch/examples' generate.py, which reads each token."""
    model = Usual(size).to(device).eval()

    @torch.no_grad()
    def call() -> None:
        tokens, state = torch.zeros(1, 1, dtype=torch.long, device=device), None
        for _ in range(WRITTEN):
            logits, state = model(tokens, state)
            tokens.fill_(torch.multinomial(logits[0].exp(), 1)[0, 0].item())

    return Way(call, WRITTEN)


def writing(size: Size, device: torch.device) -> Way:
    """What ``charlm generate`` does for one text."""
    model = Recurrent(size.network().to(device))
    prompt, bias = torch.zeros(1, dtype=torch.long), torch.zeros(size.vocab)
    (blocks,) = sample_tokens(model, prompt, bias, GenerationConfig(temperature=1), [1])

    def call() -> None:
        count = 0
        while count < WRITTEN:
            count += len(next(blocks))

    return Way(call, WRITTEN)


def ways(size: Size, device: torch.device) -> dict[str, dict[str, Way]]:
    """What is timed for a size: work -> name -> way."""
    plain: Way = at_once(lambda: step(size, device, "auto"))()  # type: ignore[assignment]
    return {
        "training": {
            PEER: usual_step(size, device, torch.float32),
            f"{PEER} bfloat16": usual_step(size, device, torch.bfloat16),
            "charlm": step(size, device, "auto"),
            "charlm bfloat16": step(size, device, "bfloat16"),
            "charlm without graphs": plain,
        },
        "writing": {PEER: usual_writing(size, device), "charlm": writing(size, device)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    device = torch.device(options.device)
    for size in SIZES:
        for work, timed in ways(size, device).items():
            seconds = in_turns(timed, options.rounds)
            for name, times in seconds.items():
                ratios = [peer / own for peer, own in zip(seconds[PEER], times, strict=True)]
                rate, ratio = 1 / statistics.median(times), statistics.median(ratios)
                row = {"work": work, "size": str(size), "way": name, "tokens_per_second": rate}
                line = f"{work:9} {size!s:18} {name:22} {rate:>12,.0f} tokens/s {ratio:6.2f}x"
                print(json.dumps(row | {"ratio": ratio}) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
