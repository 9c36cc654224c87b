"""What a caller asks for: a prompt, and texts that follow it and grow token by token."""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.data.formats.alignment import token_spans
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.filters import uniforms
from charlm.inference.generation.pieces import Cut, Finish, Spelling, Written
from charlm.inference.predictors.decoder import Decoder
from charlm.inference.predictors.reader import Reader

__all__ = ["Chunk", "Prompt", "Sampling", "ServedText", "ServedToken", "Top"]

AT_ONCE = 64
"""Random numbers that are made in one call; the sequence does not depend on it."""


Top = tuple[tuple[int, float], ...]
"""The most probable ids in one place with their log-probabilities in nats, best first."""


class ServedToken(NamedTuple):
    """A token of a text: its log-probability in nats as the model gives it, None for a token that
    was given and not predicted, and the ``top`` most probable ones in its place with theirs.
    """

    id: int
    text: str
    log_prob: float | None
    top: Top = ()


class Chunk(NamedTuple):
    """What was added to a text.  ``finish`` or ``error`` are given with the last one."""

    text: str
    tokens: tuple[ServedToken, ...] = ()
    finish: Finish | None = None
    error: Exception | None = None


class Sampling(NamedTuple):
    """How tokens are sampled, as in ``GenerationConfig``; ``bias`` is added to logits by id."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    bias: tuple[tuple[int, float], ...] = ()

    def config(self) -> GenerationConfig:
        """The settings.  Raises ``ConfigError`` for a value out of range."""
        return GenerationConfig(
            temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p
        )


@lru_cache
def tokens_at_most(length: int) -> GenerationConfig:
    """The settings of texts that end after ``length`` tokens; to check them takes a millisecond."""
    return GenerationConfig(length=length, unit="tokens")


class Prompt:
    """A prompt, read once for all texts that follow it.

    A boundary is put before ``ids`` unless they begin with one.  With ``top`` the log-probability
    of each id is measured, and the ``top`` most probable ids beside it.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        ids: Sequence[int],
        top: int | None = None,
        text: str | None = None,
    ) -> None:
        """``text`` is what was encoded, if it was text: words keep no white space."""
        self.tokenizer, self.ids, self.top, self.given = tokenizer, list(ids), top, text
        self.text = "".join(self.pieces) if text is None else text
        begun = self.ids[:1] == [tokenizer.boundary_id]
        self.stream = torch.tensor(self.ids if begun else [tokenizer.boundary_id, *self.ids])
        self.measured: list[ServedToken] = []
        """The tokens of ``ids``, once they are measured."""
        self.reader: Reader | None = None
        self.decoder: Decoder | None = None
        """A decoder with one lane that has read the first ``done`` tokens of ``stream``."""
        self.done = 0
        self.texts = 0
        """How many texts still need the decoder."""

    @cached_property
    def pieces(self) -> list[str]:
        """What each id adds to the text: nothing for the first bytes of a character; a word has the
        white space before it, the last one also that after it.
        """
        if self.given is None or self.tokenizer.kind != "word":
            return list(map(self.tokenizer.stream().push, self.ids))
        content = self.given.encode()
        ends = token_spans(self.tokenizer, self.given, np.array(self.ids))[:, 1].tolist()
        ends[-1:] = [len(content)] * bool(ends)
        return [content[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]

    @property
    def unmeasured(self) -> Tensor:
        """The rest of the ids that are to be measured."""
        given = len(self.stream) - len(self.ids)  # the boundary before them
        if self.top is None:
            return self.stream[:0]
        return self.stream[given + len(self.measured) :]


class ServedText:
    """One text that is to be written, and what it needs while it grows.

    It depends on its prompt, seed and settings alone.  With ``streams`` each piece is delivered as
    it is made, else all at the end.  ``top`` is how many of the most probable tokens are told.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Prompt,
        *,
        seed: int,
        length: int,
        sampling: Sampling,
        stop: Sequence[str] = (),
        top: int = 0,
        streams: bool = False,
    ) -> None:
        self.tokenizer, self.prompt, self.sampling = tokenizer, prompt, sampling
        self.seed, self.length, self.top, self.streams = seed, length, top, streams
        self.cancelled = False
        """Set by whoever no longer wants the text."""
        self.generator = torch.Generator().manual_seed(seed)
        self.numbers = np.empty(0)  # random numbers that are not used yet
        self.spelling = Spelling(tokenizer, prompt.text, prompt.ids)
        self.cut = Cut(Ending(tokens_at_most(length)), stop)
        self.tokens: list[tuple[int, float, Top]] = []
        """Ids, log-probabilities and the most probable tokens of what is not yet delivered."""
        self.ready: list[Written] = []
        """What is not yet delivered and sure to belong to the text."""
        self.made = 0
        """Tokens sampled so far."""
        prompt.texts += 1

    def uniforms(self, count: int) -> np.ndarray:
        """The next random numbers (count,), from 0 to below 1."""
        while len(self.numbers) < count:
            more = uniforms(self.generator, AT_ONCE).numpy()
            self.numbers = np.concatenate([self.numbers, more])
        taken, self.numbers = self.numbers[:count], self.numbers[count:]
        return taken

    def push(self, tokens: Iterable[tuple[int, float, Top]]) -> Chunk | None:
        """Take in sampled tokens with their log-probabilities and the most probable ones in their
        places, up to where the text ends; returns what there is to deliver.
        """
        for token in tokens:
            self.made += 1
            self.tokens.append(token)
            piece = self.spelling.push(token[0])
            ends = token[0] == self.tokenizer.boundary_id
            if not ends or piece:
                self.ready += self.cut.push(Written(piece, token[1]))
            if ends and self.cut.finish is None:
                self.ready += self.cut.held
                return self.deliver("end", len(self.tokens))
            if self.cut.finish:
                # A length may end amid a character, whose first bytes are tokens without a text.
                everything = self.cut.finish == "length"
                count = len(self.tokens if everything else self.ready)
                return self.deliver(self.cut.finish, count)
        return self.deliver(None, len(self.ready)) if self.streams and self.ready else None

    def deliver(self, finish: Finish | None, count: int) -> Chunk:
        """The text that is ready, with the first ``count`` tokens."""
        pieces = [written.text for written in self.ready]
        given = pieces + [""] * (count - len(pieces))
        tokens = [
            ServedToken(id, piece, log_prob, top)  # a stop string may begin amid a token
            for (id, log_prob, top), piece in zip(self.tokens[:count], given, strict=True)
        ]
        self.tokens, self.ready = self.tokens[count:], []
        return Chunk("".join(pieces), tuple(tokens), finish)
