"""Tokens sampled one after the other: one sample alone, or many side by side.

A sample depends on its seed alone, whatever others are made with it: each has its own random
numbers, and lanes are shared only where the numbers of a lane do not depend on the others.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.errors import ModelError
from charlm.inference.generation.filters import sample_from_uniforms, uniforms
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor

__all__ = ["sample_tokens"]

LANES = 64
"""Most samples side by side."""


def sample_tokens(
    model: Predictor,
    prompt: Tensor,
    logit_bias: Tensor,
    config: GenerationConfig,
    seeds: Sequence[int],
) -> list[Iterator[list[int]]]:
    """For each seed the tokens that follow the ids ``prompt`` (T,): without end, some at a time.

    ``logit_bias`` (V) is added to the logits.  The iterators raise ``ModelError`` where logits
    are NaN or infinite.
    """
    decoder = open_decoder(model)
    decoder.advance(prompt[None])
    most = LANES if isinstance(decoder, CompiledDecoder) else 1
    texts: list[Iterator[list[int]]] = []
    for begin in range(0, len(seeds), most):
        group = seeds[begin : begin + most]
        lanes = Lanes(decoder, logit_bias, config, group)
        texts += [lanes.blocks(place) for place in range(len(group))]
    return texts


class Lanes:
    """Samples that go on from one state side by side.

    Asking for the next tokens of one sample makes those of all; the others' wait.
    """

    def __init__(
        self,
        decoder: Decoder,
        logit_bias: Tensor,
        config: GenerationConfig,
        seeds: Sequence[int],
    ) -> None:
        self.before = decoder
        self.logit_bias, self.config = logit_bias, config
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.waiting: list[deque[list[int]]] = [deque() for _ in seeds]
        self.going = list(range(len(seeds)))
        self.decoder: Decoder | None = None

    def blocks(self, place: int) -> Iterator[list[int]]:
        """The tokens of one sample; closing the iterator drops the sample."""
        try:
            while True:
                if not self.waiting[place]:
                    self.advance()
                yield self.waiting[place].popleft()
        finally:
            if place in self.going:
                self.leave(place)

    def advance(self) -> None:
        """Sample some more tokens for each."""
        if self.decoder is None:
            self.decoder = self.before.fork(torch.zeros(len(self.going), dtype=torch.int64))
        count = self.decoder.block
        numbers = torch.stack([uniforms(self.generators[place], count) for place in self.going])
        tokens = sample_block(self.decoder, numbers, self.logit_bias, self.config).tolist()
        if any(-1 in block for block in tokens):
            raise ModelError(
                "the model's logits are NaN or infinite: its training has diverged",
                "choose an earlier checkpoint (`step`), or train with a smaller learning rate",
            )
        for place, block in zip(self.going, tokens, strict=True):
            self.waiting[place].append(block)

    def leave(self, place: int) -> None:
        """Go on without a sample."""
        rest = [number for number, other in enumerate(self.going) if other != place]
        self.going.remove(place)
        if self.decoder is not None and rest:
            self.decoder.select(torch.tensor(rest))


def sample_block(
    decoder: Decoder, numbers: Tensor, logit_bias: Tensor, config: GenerationConfig
) -> Tensor:
    """Sample tokens (B, T) with random numbers (B, T), and read them; -1 where logits are
    NaN or infinite.
    """
    if isinstance(decoder, CompiledDecoder):
        return decoder.sample(numbers, logit_bias, config)
    columns = []
    for column in numbers.T:
        # On the CPU, where sampling gives the same tokens for every device.
        logits = decoder.log_probs.cpu() + logit_bias
        columns.append(sample_from_uniforms(logits, config, column))
        decoder.advance(columns[-1].clamp(min=0)[:, None])
    return torch.stack(columns, dim=1)
