"""Tokens, chosen one after the other: one sample alone, or many side by side.

A sample depends on its seed alone, whatever others are written with it: each has its own random
numbers, and lanes are shared only where a lane's numbers do not depend on the others.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from charlm.inference.generation.cuda_graphs import BLOCK, BlockWriter, open_writer
from charlm.inference.generation.filters import Sampling, chances, draw, no_numbers
from charlm.inference.predictors.decoder import Decoder, NativeDecoder
from charlm.inference.predictors.predictor import Predictor, StepDecoder

__all__ = ["write"]

LANES = 64
"""Most samples side by side."""


def write(
    model: Predictor, prompt: Tensor, banned: Tensor, sampling: Sampling, seeds: Sequence[int]
) -> dict[int, Iterator[list[int]]]:
    """What follows the ids ``prompt`` (T,), for each seed: without end, some tokens at a time.

    ``banned`` (V) is added to the logits.  Raises ``ModelError`` for logits that are not numbers.
    """
    decoder = model.decoder()
    if not isinstance(decoder, NativeDecoder):
        return {seed: one_by_one(model, prompt, banned, sampling, seed) for seed in seeds}
    decoder.read(prompt[None])
    texts: dict[int, Iterator[list[int]]] = {}
    for begin in range(0, len(seeds), LANES):
        group = seeds[begin : begin + LANES]
        lanes = Lanes(decoder, banned, sampling, group)
        texts |= {seed: lanes.blocks(place) for place, seed in enumerate(group)}
    return texts


def one_by_one(
    model: Predictor, prompt: Tensor, banned: Tensor, sampling: Sampling, seed: int
) -> Iterator[list[int]]:
    """One sample by any decoder."""
    generator = torch.Generator().manual_seed(seed)
    decoder: StepDecoder = model.decoder()
    logits = decoder.read(prompt[None].to(model.device))
    if isinstance(decoder, Decoder):
        writer = open_writer(decoder, logits, banned, sampling)
        if writer is not None:
            yield from at_a_launch(writer, generator)
    while True:
        token = draw(logits + banned, sampling, generator)
        yield [int(token)]
        logits = decoder.step(token.to(model.device))


def at_a_launch(writer: BlockWriter, generator: torch.Generator) -> Iterator[list[int]]:
    """One sample, a block at a time."""
    while True:
        (tokens,) = writer.write(chances(generator, BLOCK)[None]).tolist()
        if -1 in tokens:
            raise no_numbers()
        yield tokens


class Lanes:
    """Samples that go on from one state side by side; whoever asks for the next tokens of one
    moves all on, and those of the others wait."""

    def __init__(
        self, decoder: NativeDecoder, banned: Tensor, sampling: Sampling, seeds: Sequence[int]
    ) -> None:
        self.before = decoder
        self.banned, self.sampling = banned, sampling
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.waiting: list[deque[list[int]]] = [deque() for _ in seeds]
        self.going = list(range(len(seeds)))
        self.decoder: NativeDecoder | None = None

    def blocks(self, place: int) -> Iterator[list[int]]:
        """The tokens of one sample; who stops asking takes it out."""
        try:
            while True:
                if not self.waiting[place]:
                    self.advance()
                yield self.waiting[place].popleft()
        finally:
            if place in self.going:
                self.leave(place)

    def advance(self) -> None:
        """Some tokens more for each."""
        if self.decoder is None:
            self.decoder = self.before.copy(len(self.going))
        count = self.decoder.block
        drawn = torch.stack([chances(self.generators[place], count) for place in self.going])
        tokens = self.decoder.write(drawn, self.banned, self.sampling).tolist()
        if any(-1 in block for block in tokens):
            raise no_numbers()
        for place, block in zip(self.going, tokens, strict=True):
            self.waiting[place].append(block)

    def leave(self, place: int) -> None:
        """Go on without a sample."""
        rest = [number for number, other in enumerate(self.going) if other != place]
        self.going.remove(place)
        if self.decoder is not None and rest:
            self.decoder.select(torch.tensor(rest))
