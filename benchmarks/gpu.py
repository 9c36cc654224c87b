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
from collections.abc import Callable
from typing import Any

import torch
from training_step import charlm_step, usual_step

from charlm.config import GenerationConfig
from charlm.inference.generation.lanes import sample_tokens
from charlm.inference.generation.sampling import Rules, Start
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.speed import Size, Usual
from charlm.inference.timing import PEER, Way, compare_ways

SIZES = [Size(1, 512, 65, 32), Size(2, 512, 256, 64), Size(1, 1024, 65, 64), Size(3, 1024, 256, 64)]
STEPS = 128
"""Steps of time of a training step."""
WRITTEN = 256
"""Tokens that are written in one call."""


def with_graphs(make: Callable[[], Any]) -> Any:
    """What ``make`` gives where it may capture CUDA graphs."""
    os.environ["CHARLM_GRAPHS"] = "1"
    try:
        return make()
    finally:
        del os.environ["CHARLM_GRAPHS"]


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
    rules = Rules(GenerationConfig(temperature=1), torch.zeros(size.vocab))
    (blocks,) = sample_tokens(open_decoder(model), rules, [Start((0,), 1)])

    def call() -> None:
        count = 0
        while count < WRITTEN:
            count += len(next(blocks))

    return Way(call, WRITTEN)


def ways(size: Size, device: torch.device) -> dict[str, dict[str, Way]]:
    """What is timed for a size: work -> name -> way."""
    return {
        "training": {
            PEER: usual_step(size, STEPS, device),
            f"{PEER} bfloat16": usual_step(size, STEPS, device, torch.bfloat16),
            "charlm": charlm_step(size, STEPS, device),
            "charlm float32": charlm_step(size, STEPS, device, "float32"),
            "charlm with graphs": with_graphs(lambda: charlm_step(size, STEPS, device)),
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
            for name, timing in compare_ways(timed, options.rounds).items():
                rate, ratio = timing.tokens_per_second, timing.ratio
                row = {"work": work, "size": str(size), "way": name, "tokens_per_second": rate}
                line = f"{work:9} {size!s:18} {name:22} {rate:>12,.0f} tokens/s {ratio:6.2f}x"
                print(json.dumps(row | {"ratio": ratio}) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
