"""Continuous batching: texts join and leave the batch of a model at any step.

A text depends on its prompt, seed and settings alone, whoever else is served: lanes are shared only
by the compiled decoder, in which the numbers of a lane do not depend on the others.  Other models
write each text with a decoder of its own.

Shapes: B lanes, V vocabulary.
"""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ModelError
from charlm.inference.generation.filters import sample_from_uniforms
from charlm.inference.generation.lanes import read_prompts
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader, pick
from charlm.inference.serving.texts import (
    Chunk,
    Prompt,
    Sampling,
    ServedText,
    ServedToken,
    Top,
)

__all__ = ["Batcher"]

PORTION = 512
"""Tokens of prompts that are read between two steps of the texts in the batch."""

Delivered = list[tuple[ServedText, Chunk]]

Sampled = tuple[list[list[int]], list[list[float]], list[list[Top]]]
"""Tokens (B, T), -1 where logits are NaN, their log-probabilities (B, T) in nats, and the most
probable tokens in their places (B, T)."""


class Batcher:
    """The texts of one model, of which at most ``lanes`` are written at a time.

    Not for several threads at a time.
    """

    def __init__(self, model: Predictor, tokenizer: Tokenizer, lanes: int) -> None:
        self.model, self.tokenizer, self.lanes = model, tokenizer, lanes
        self.begin = open_decoder(model)
        self.waiting: deque[ServedText] = deque()
        self.batches: list[Batch] = []

    @property
    def writing(self) -> int:
        """How many texts are written now; the lanes of cancelled ones are free."""
        return sum(not text.cancelled for batch in self.batches for text in batch.texts)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.waiting and not self.batches

    def step(self) -> Delivered:
        """Read some of the prompts that wait, and write the next tokens of each text."""
        delivered: Delivered = []
        with torch.inference_mode():
            self.drop_cancelled()
            self.read([text.prompt for text in self.waiting][: self.lanes - self.writing])
            self.admit(delivered)
            for batch in self.batches:
                delivered += batch.step()
        self.batches = [batch for batch in self.batches if batch.texts]
        return delivered

    def clear(self) -> list[ServedText]:
        """Give up all texts; returns them."""
        texts = [*self.waiting, *(text for batch in self.batches for text in batch.texts)]
        self.waiting.clear()
        self.batches = []
        return texts

    def drop_cancelled(self) -> None:
        """Free the lanes of the texts that nobody wants any more."""
        if any(text.cancelled for text in self.waiting):
            self.waiting = deque(text for text in self.waiting if not text.cancelled)
        for batch in self.batches:
            batch.keep([lane for lane, text in enumerate(batch.texts) if not text.cancelled])
        self.batches = [batch for batch in self.batches if batch.texts]

    def read(self, prompts: Sequence[Prompt]) -> None:
        """Measure or read on, at most ``PORTION`` tokens or a chunk of the model."""
        group: list[Prompt] = []
        for prompt in dict.fromkeys(prompts):
            if len(prompt.unmeasured):
                if not group:
                    self.measure(prompt)
                break
            if prompt.done < len(prompt.stream):
                if len(prompt.stream) + sum(len(each.stream) for each in group) > PORTION:
                    break
                group.append(prompt)
        if group:
            streams = [tuple(prompt.stream.tolist()) for prompt in group]
            read = read_prompts(self.begin, streams)
            for prompt, stream in zip(group, streams, strict=True):
                prompt.decoder = read[stream]
                prompt.done = len(prompt.stream)
        elif prompts and not len(prompts[0].unmeasured):
            self.read_on(prompts[0])

    def read_on(self, prompt: Prompt) -> None:
        """Read the next portion of a long prompt."""
        portion = prompt.stream[prompt.done : prompt.done + PORTION]
        if prompt.decoder is None:
            prompt.decoder = self.begin.fork(torch.tensor([0]))
        if len(portion):
            prompt.decoder.advance(portion[None])
        prompt.done += len(portion)

    def measure(self, prompt: Prompt) -> None:
        """Measure the next chunk of a prompt's ids, as scoring does."""
        assert prompt.top is not None
        reader = prompt.reader = prompt.reader or Reader(self.model, int(prompt.stream[0]))
        if len(prompt.ids) == len(prompt.stream) and not prompt.measured:
            # The boundary, which was given; what follows it is predicted.
            prompt.measured.append(ServedToken(prompt.ids[0], "", None))
        ids = prompt.unmeasured[: reader.chunk].numpy()
        if not len(ids):
            return
        log_probs = reader.log_probs(ids)
        best = top_tokens(log_probs, prompt.top)
        for id, log_prob, top in zip(
            ids.tolist(), pick(log_probs, ids).tolist(), best, strict=True
        ):
            prompt.measured.append(ServedToken(id, "", log_prob, top))

    def admit(self, delivered: Delivered) -> None:
        """Give lanes to the texts whose prompts are read."""
        while self.waiting and self.writing < self.lanes:
            text, prompt = self.waiting[0], self.waiting[0].prompt
            if len(prompt.unmeasured) or (text.length and prompt.done < len(prompt.stream)):
                return
            self.waiting.popleft()
            prompt.texts -= 1
            if not text.length:
                delivered.append((text, Chunk("", finish="length")))
                continue
            assert prompt.decoder is not None
            decoder = prompt.decoder.fork(torch.tensor([0]))
            if prompt.texts == 0:
                prompt.decoder = None
            batch = next((each for each in self.batches if each.key == key_of_batch(text)), None)
            if batch and isinstance(decoder, CompiledDecoder):
                batch.join(decoder, text)
            else:
                self.batches.append(Batch(self.tokenizer, decoder, text))


def key_of_batch(text: ServedText) -> tuple[Sampling, bool]:
    """Equal for texts that may share a batch: they are sampled in one way.

    The compiled decoder and ``filters`` round differently, and a text must not depend on others:
    so texts that tell the most probable tokens, which only ``filters`` can, are kept apart.
    """
    return text.sampling, text.top > 0


class Batch:
    """Texts in the lanes of one decoder, which are sampled in one way."""

    def __init__(self, tokenizer: Tokenizer, decoder: Decoder, text: ServedText) -> None:
        self.decoder, self.key = decoder, key_of_batch(text)
        self.texts = [text]
        self.config, self.bias = text.sampling.config(), bias_of_ids(tokenizer, text.sampling)

    def join(self, decoder: CompiledDecoder, text: ServedText) -> None:
        """Add the lane of a decoder."""
        assert isinstance(self.decoder, CompiledDecoder)
        self.decoder.join([decoder])
        self.texts.append(text)

    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with these lanes."""
        if len(lanes) == len(self.texts):
            return
        self.texts = [self.texts[lane] for lane in lanes]
        if lanes:
            self.decoder.select(torch.tensor(lanes))

    def step(self) -> Delivered:
        """Sample and read the next tokens of each text."""
        delivered: Delivered = []
        going = []
        sampled = zip(self.texts, *self.sample(), strict=True)
        for lane, (text, ids, log_probs, tops) in enumerate(sampled):
            if -1 in ids:
                chunk: Chunk | None = Chunk("", error=diverged())
            else:
                chunk = text.push(zip(ids, log_probs, tops, strict=True))
            if chunk is not None:
                delivered.append((text, chunk))
            if chunk is None or not (chunk.finish or chunk.error):
                going.append(lane)
        self.keep(going)
        return delivered

    def sample(self) -> Sampled:
        """Sample and read the next tokens: of the compiled decoder, some at a time."""
        if not isinstance(self.decoder, CompiledDecoder) or any(text.top for text in self.texts):
            return self.sample_one(self.decoder)
        left = max(text.length - text.made for text in self.texts)
        count = min(self.decoder.block, left)
        tokens, log_probs = self.decoder.sample(self.uniforms(count), self.bias, self.config)
        return tokens.tolist(), log_probs.tolist(), [[()] * count] * len(self.texts)

    def sample_one(self, decoder: Decoder) -> Sampled:
        """See ``sample``, with T = 1."""
        log_probs = decoder.log_probs.cpu()  # (B, V)
        numbers = self.uniforms(1)[:, 0]
        tokens = sample_from_uniforms(log_probs + self.bias, self.config, numbers)[:, None]
        known = tokens.clamp(min=0)
        decoder.advance(known)
        return tokens.tolist(), log_probs.gather(1, known).tolist(), self.tops(log_probs)

    def uniforms(self, count: int) -> Tensor:
        """The next random numbers (B, count) of each text."""
        return torch.from_numpy(np.stack([text.uniforms(count) for text in self.texts]))

    def tops(self, log_probs: Tensor) -> list[list[Top]]:
        """The most probable tokens (B, 1) in the lanes whose texts tell them."""
        most = max(text.top for text in self.texts)
        rows = top_tokens(log_probs, most) if most else [()] * len(self.texts)
        return [[row[: text.top]] for text, row in zip(self.texts, rows, strict=True)]


def bias_of_ids(tokenizer: Tokenizer, sampling: Sampling) -> Tensor:
    """What is added to the logits (V,): the bias, and minus infinity for the unknown symbol, which
    stands for no text.
    """
    bias = torch.zeros(tokenizer.vocab_size)
    for id, value in sampling.bias:
        bias[id] = value
    if tokenizer.unknown_id is not None:
        bias[tokenizer.unknown_id] = -math.inf
    return bias


def top_tokens(log_probs: Tensor, count: int) -> list[Top]:
    """log_probs (N, V) -> for each row the ``count`` most probable tokens with theirs."""
    best, ids = log_probs.topk(min(count, log_probs.shape[1]), dim=1)
    return [tuple(zip(*row, strict=True)) for row in zip(ids.tolist(), best.tolist(), strict=True)]


def diverged() -> ModelError:
    """The error for logits that are NaN or infinite."""
    return ModelError(
        "the model's logits are NaN or infinite: its training has diverged",
        "choose an earlier checkpoint (`step`), or train with a smaller learning rate",
    )
