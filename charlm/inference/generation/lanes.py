"""Tokens sampled one after the other: one sample alone, or many side by side.

A sample depends on its prompt and seed alone, whatever others are made with it: each has its own
random numbers, and lanes are shared only where the numbers of a lane do not depend on the others.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.inference.generation.filters import uniforms
from charlm.inference.generation.sampling import Rules, Sampler, Start
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder

__all__ = ["Lanes", "Token", "read_prompts", "sample_tokens"]

LANES = 64
"""Most samples side by side."""

NUMBERS = 64
"""Random numbers that a lane takes at once, at least."""

AHEAD = 4
"""Tokens that are sampled at once, at least, where a limit may have something against them."""


Ids: TypeAlias = tuple[int, ...]

Token: TypeAlias = tuple[int, float]
"""A sampled token and its log-probability in nats, before bias and filters: a plain tuple, for
with small models a class would take a noticeable share of the time."""


def sample_tokens(
    begin: Decoder, rules: Rules, starts: Sequence[Start]
) -> list[Iterator[list[Token]]]:
    """For each start the tokens that follow its prompt: without end, some at a time.

    The prompts follow what ``begin``, a decoder with one lane, has read.  The iterators raise
    ``ModelError`` where logits are NaN or infinite.
    """
    read = read_prompts(begin, [start.ids for start in starts])
    most = LANES if isinstance(begin, CompiledDecoder) else 1
    texts: list[Iterator[list[Token]]] = []
    for first in range(0, len(starts), most):
        group = starts[first : first + most]
        lanes = Lanes(read, rules, group)
        texts += [lanes.blocks(place) for place in range(len(group))]
    return texts


def read_prompts(begin: Decoder, prompts: Sequence[Ids]) -> dict[Ids, Decoder]:
    """For each of the ``prompts``, none of them empty, a decoder with one lane that has read it
    after what ``begin`` had read; equal ones are read once.

    The compiled decoder reads them side by side, and a prompt that has ended is set aside.
    """
    waiting, read = sorted(dict.fromkeys(prompts), key=len), dict[Ids, Decoder]()
    while waiting:
        most = len(waiting) if isinstance(begin, CompiledDecoder) else 1
        going, waiting = waiting[:most], waiting[most:]
        decoder, done = begin.fork(torch.zeros(len(going), dtype=torch.int64)), 0
        while going:
            length = len(going[0])
            decoder.advance(torch.tensor([prompt[done:length] for prompt in going]))
            over = sum(len(prompt) == length for prompt in going)
            read |= {each: decoder.fork(torch.tensor([n])) for n, each in enumerate(going[:over])}
            going, done = going[over:], length
            if going:
                decoder.select(torch.arange(over, over + len(going)))
    return read


class Lanes:
    """Samples side by side.

    Asking for the next tokens of one sample makes those of all; the others' wait.
    """

    def __init__(self, read: Mapping[Ids, Decoder], rules: Rules, starts: Sequence[Start]) -> None:
        self.read, self.rules, self.starts = read, rules, starts
        self.generators = [torch.Generator().manual_seed(start.seed) for start in starts]
        self.waiting: list[deque[list[Token]]] = [deque() for _ in starts]
        self.going = list(range(len(starts)))
        self.decoder: Decoder | None = None
        self.sampler: Sampler | None = None
        self.numbers: np.ndarray = np.empty((len(starts), 0))  # (B, T) that are not used yet
        self.ahead = AHEAD

    def blocks(self, place: int) -> Iterator[list[Token]]:
        """The tokens of one sample; closing the iterator drops the sample."""
        try:
            while True:
                if not self.waiting[place]:
                    self.advance()
                yield self.waiting[place].popleft()
        finally:
            if place in self.going:
                self.leave(place)

    def open(self) -> Decoder:
        """A decoder that has read the prompts of the samples that are still wanted."""
        starts = [self.starts[place] for place in self.going]
        first, *others = distinct = list(dict.fromkeys(start.ids for start in starts))
        decoder = self.read[first]
        if others:  # which only the compiled decoder puts side by side
            decoder = decoder.fork(torch.tensor([0]))
            decoder.join([self.read[ids] for ids in others])  # type: ignore[attr-defined]
        self.sampler = Sampler(self.rules, starts)
        return decoder.fork(torch.tensor([distinct.index(start.ids) for start in starts]))

    def advance(self) -> None:
        """Sample some more tokens for each."""
        if self.decoder is None:
            self.decoder = self.open()
        tokens, log_probs = self.sample(self.decoder)
        for place, ids, own in zip(self.going, tokens, log_probs, strict=True):
            if -1 in ids:
                raise ModelError(
                    "the model's logits are NaN or infinite: its training has diverged",
                    "choose an earlier checkpoint (`step`), or train with a smaller learning rate",
                )
            self.waiting[place].append(list(zip(ids, own, strict=True)))

    def sample(self, decoder: Decoder) -> tuple[list[list[int]], list[list[float]]]:
        """Sample and read tokens (B, T); also returns their log-probabilities (B, T)."""
        assert self.sampler is not None
        if isinstance(decoder, CompiledDecoder) and not self.sampler.limits:
            return self.sample_block(decoder, self.uniforms(decoder.block))
        if isinstance(decoder, CompiledDecoder) and self.sampler.free([[0]] * len(self.going)):
            found = self.sample_ahead(decoder)
        else:
            found = self.sample_one(decoder)
        self.numbers = self.numbers[:, len(found[0][0]) :]
        return found

    def sample_one(self, decoder: Decoder) -> tuple[list[list[int]], list[list[float]]]:
        """``sample`` one token for each."""
        assert self.sampler is not None
        self.reserve(1)
        # On the CPU, where sampling gives the same tokens for every device.
        before = decoder.log_probs.cpu().numpy()
        found = self.sampler.sample(before, self.numbers[:, 0])[:, None]
        known = np.maximum(found, 0)
        own = np.take_along_axis(before, known, axis=1).tolist()
        decoder.advance(torch.from_numpy(known))
        return found.tolist(), own

    def sample_block(
        self, decoder: CompiledDecoder, numbers: Tensor
    ) -> tuple[list[list[int]], list[list[float]]]:
        """``sample`` a token for each of the random ``numbers`` (B, T), whatever the limits are."""
        assert self.sampler is not None
        texts = self.sampler.texts(numbers.shape[1])
        tokens, own = decoder.sample(numbers, self.rules.logit_bias, self.rules.config, texts)
        found = tokens.tolist()
        self.sampler.go_on(found)
        return found, own.tolist()

    def sample_ahead(self, decoder: CompiledDecoder) -> tuple[list[list[int]], list[list[float]]]:
        """``sample`` a block up to where a limit might have ruled something out."""
        assert self.sampler is not None
        before, sampler = decoder.fork(torch.arange(len(self.going))), self.sampler.fork()
        count = min(self.ahead, decoder.block)
        self.reserve(count)
        numbers = torch.from_numpy(self.numbers)
        found = self.sample_block(decoder, numbers[:, :count])
        free = sampler.free(found[0])
        if free < count:
            self.decoder, self.sampler = before, sampler
            found = self.sample_block(before, numbers[:, :free])  # the first ones, once more
        self.ahead = max(AHEAD, 2 * free if free == count else free)
        return found

    def reserve(self, count: int) -> None:
        """Have so many random numbers for each sample."""
        missing = count - self.numbers.shape[1]
        if missing > 0:
            more = self.uniforms(max(missing, NUMBERS)).numpy()
            self.numbers = np.concatenate([self.numbers, more], axis=1)

    def uniforms(self, count: int) -> Tensor:
        """The next random numbers (B, count) of each sample."""
        return torch.stack([uniforms(self.generators[place], count) for place in self.going])

    def leave(self, place: int) -> None:
        """Go on without a sample."""
        rest = [number for number, other in enumerate(self.going) if other != place]
        self.going.remove(place)
        if self.decoder is not None and rest:
            self.decoder.select(torch.tensor(rest))
            self.numbers = self.numbers[rest]
            if self.sampler is not None:
                self.sampler.select(torch.tensor(rest))
