"""Continuous batching: texts join and leave the batch of a model at any step.

A text depends on its prompt, seed and settings alone, whoever else is served: lanes are shared only
by the compiled decoder, in which the numbers of a lane do not depend on the others.  Other models
write each text with a decoder of its own.

Shapes: B lanes, V vocabulary.
"""

import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ModelError
from charlm.inference.generation.filters import sample_from_uniforms
from charlm.inference.generation.lanes import read_prompts
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader, pick
from charlm.inference.serving.texts import Chunk, Prompt, Sampling, ServedText, ServedToken

__all__ = ["Batcher"]

PORTION = 512
"""Tokens of prompts that are read between two steps of the texts in the batch."""

Delivered = list[tuple[ServedText, Chunk]]


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
        """Read some of the prompts that wait, and write one token of each text in the batch."""
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
            if self.batches and isinstance(decoder, CompiledDecoder):
                self.batches[0].join(decoder, text)
            else:
                self.batches.append(Batch(self.tokenizer, decoder, text))


class Batch:
    """Texts in the lanes of one decoder."""

    def __init__(self, tokenizer: Tokenizer, decoder: Decoder, text: ServedText) -> None:
        self.tokenizer, self.decoder = tokenizer, decoder
        self.texts = [text]
        self.groups: list[tuple[GenerationConfig, Tensor | None, list[int]]] = []

    def join(self, decoder: CompiledDecoder, text: ServedText) -> None:
        """Add the lane of a decoder."""
        assert isinstance(self.decoder, CompiledDecoder)
        self.decoder.join([decoder])
        self.texts.append(text)
        self.groups = []

    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with these lanes."""
        if len(lanes) == len(self.texts):
            return
        self.texts = [self.texts[lane] for lane in lanes]
        self.groups = []
        if lanes:
            self.decoder.select(torch.tensor(lanes))

    def step(self) -> Delivered:
        """Sample a token of each text, and read it where the text goes on."""
        log_probs = self.decoder.log_probs.cpu()  # (B, V)
        tokens = self.sample(log_probs)  # (B,)
        known = tokens.clamp(min=0)
        shares = log_probs.gather(1, known[:, None])[:, 0].tolist()
        tops = self.tops(log_probs)
        delivered: Delivered = []
        going = []
        for lane, (text, token) in enumerate(zip(self.texts, tokens.tolist(), strict=True)):
            if token < 0:
                chunk: Chunk | None = Chunk("", error=diverged())
            else:
                chunk = text.push(token, shares[lane], tops.get(lane, ()))
            if chunk is not None:
                delivered.append((text, chunk))
            if chunk is None or not (chunk.finish or chunk.error):
                going.append(lane)
        self.keep(going)
        if going:
            self.decoder.advance(known[going][:, None])
        return delivered

    def sample(self, log_probs: Tensor) -> Tensor:
        """log_probs (B, V) -> the next tokens (B,), -1 where they are NaN."""
        self.groups = self.groups or self.group()
        numbers = torch.tensor([text.uniform() for text in self.texts], dtype=torch.float64)
        tokens = torch.empty(len(self.texts), dtype=torch.int64)
        for config, bias, lanes in self.groups:
            logits = log_probs if len(self.groups) == 1 else log_probs[lanes]
            logits = logits if bias is None else logits + bias
            if len(self.groups) == 1:
                return sample_from_uniforms(logits, config, numbers)
            tokens[lanes] = sample_from_uniforms(logits, config, numbers[lanes])
        return tokens

    def group(self) -> list[tuple[GenerationConfig, Tensor | None, list[int]]]:
        """The lanes that are sampled in one way, for each way."""
        groups: dict[Sampling, list[int]] = {}
        for lane, text in enumerate(self.texts):
            groups.setdefault(text.sampling, []).append(lane)
        return [
            (sampling.config(), bias_of_ids(self.tokenizer, sampling), lanes)
            for sampling, lanes in groups.items()
        ]

    def tops(self, log_probs: Tensor) -> dict[int, tuple[tuple[int, float], ...]]:
        """The most probable tokens in the lanes whose texts tell them."""
        lanes = [lane for lane, text in enumerate(self.texts) if text.top]
        if not lanes:
            return {}
        most = max(self.texts[lane].top for lane in lanes)
        rows = zip(lanes, top_tokens(log_probs[lanes], most), strict=True)
        return {lane: row[: self.texts[lane].top] for lane, row in rows}


def bias_of_ids(tokenizer: Tokenizer, sampling: Sampling) -> Tensor | None:
    """What is added to the logits (V,): the bias, and minus infinity for the unknown symbol, which
    stands for no text; None for nothing.
    """
    if not sampling.bias and tokenizer.unknown_id is None:
        return None
    bias = torch.zeros(tokenizer.vocab_size)
    for id, value in sampling.bias:
        bias[id] = value
    if tokenizer.unknown_id is not None:
        bias[tokenizer.unknown_id] = -math.inf
    return bias


def top_tokens(log_probs: Tensor, count: int) -> list[tuple[tuple[int, float], ...]]:
    """log_probs (N, V) -> for each row the ``count`` most probable tokens with theirs."""
    best, ids = log_probs.topk(min(count, log_probs.shape[1]), dim=1)
    return [tuple(zip(*row, strict=True)) for row in zip(ids.tolist(), best.tolist(), strict=True)]


def diverged() -> ModelError:
    """The error for logits that are NaN or infinite."""
    return ModelError(
        "the model's logits are NaN or infinite: its training has diverged",
        "choose an earlier checkpoint (`step`), or train with a smaller learning rate",
    )
