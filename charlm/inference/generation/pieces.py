"""Tokens as they come -> the pieces of one text, up to where it ends."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Self

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.lanes import Token

__all__ = ["Cut", "Finish", "Sample", "Spelling", "Written", "cut", "decode", "joined"]

Finish = Literal["length", "stop", "end"]
"""Why a text is over: its length is reached, a stop string came, or the document ended."""


class Written(NamedTuple):
    """What one token adds to a text, nothing for the first bytes of a character, and the token's
    log-probability in nats, as the model gives it.
    """

    text: str
    log_prob: float


class Sample:
    """One text in the making: an iterator over the pieces of what follows the prompt.

    A piece is the text of one token, or of a few where characters or stop strings need several;
    it always holds whole characters.  ``finish`` is None until the iterator has ended, after which
    it can be iterated no more.  ``written`` holds the tokens of the pieces so far, whose texts make
    the pieces.  ``seed`` is None for the most probable text, which nothing random is in.
    """

    def __init__(
        self, prompt: str, seed: int | None, pieces: Generator[list[Written], None, Finish]
    ) -> None:
        self.prompt, self.seed = prompt, seed
        self.pieces = pieces
        self.written: list[Written] = []
        self.finish: Finish | None = None
        self.constrained = False
        """Whether constraints decide where the text may end."""
        self.temperature: float | None = None
        """Where texts at several temperatures were asked for: the one of this text."""

    def __iter__(self) -> Self:
        """Raises ``ConfigError`` for a text that has come to its end, which would seem empty."""
        if self.finish is not None:
            same = "" if self.seed is None else f", with `seed={self.seed}` for the same text"
            raise ConfigError("this text has been read to its end", f"generate it again{same}")
        return self

    def __next__(self) -> str:
        try:
            tokens = next(self.pieces)
        except StopIteration as end:
            self.finish = end.value or self.finish
            raise
        self.written += tokens
        return joined(tokens)

    @property
    def log_prob(self) -> float:
        """The log-probability in nats of all tokens of the pieces so far."""
        return sum(token.log_prob for token in self.written)

    def close(self) -> None:
        """End the text here; ``finish`` stays None."""
        self.pieces.close()

    def __repr__(self) -> str:
        return f"Sample(prompt={self.prompt!r}, seed={self.seed}, finish={self.finish!r})"


def joined(tokens: Iterable[Written]) -> str:
    """The text of tokens."""
    return "".join(token.text for token in tokens)


class Spelling:
    """The text that each token adds to a text whose prompt is ``prompt``, of ``ids``."""

    def __init__(self, tokenizer: Tokenizer, prompt: str, ids: Sequence[int]) -> None:
        self.text, self.boundary_id = tokenizer.stream(), tokenizer.boundary_id
        # Half a character at the prompt's end is completed by what follows.
        given = "".join(map(self.text.push, ids))
        # Words keep no white space: what the prompt ends with stands for the space before the next.
        self.spaced = prompt[-1:].isspace() and not given[-1:].isspace()
        self.last = prompt[-1:]
        """The last character so far."""

    def push(self, token: int) -> str:
        """The characters that a token completes; a boundary completes what was begun."""
        piece = self.text.push(token) if token != self.boundary_id else self.text.flush()
        if self.spaced and piece:
            piece, self.spaced = piece.removeprefix(" "), False
        self.last = piece[-1:] or self.last
        return piece


def decode(
    tokenizer: Tokenizer,
    prompt: str,
    ids: Sequence[int],
    blocks: Iterator[list[Token]],
    *,
    past_end: bool = False,
) -> Iterator[Written]:
    """Yield the texts of tokens that follow a prompt of ``ids``, up to the first boundary.

    With ``past_end`` a boundary is a line break, unless one came just before.
    """
    spelling = Spelling(tokenizer, prompt, ids)
    for token, log_prob in (each for block in blocks for each in block):
        piece = spelling.push(token)
        if token == tokenizer.boundary_id:
            if not past_end:
                if piece:
                    yield Written(piece, log_prob)
                return
            if spelling.last not in ("", "\n"):
                piece, spelling.last = piece + "\n", "\n"
        yield Written(piece, log_prob)


class Cut:
    """Holds the tokens of one text back until they are sure to belong to it.

    ``finish`` is None until the text is over.
    """

    def __init__(self, ending: Ending, stop: Sequence[str]) -> None:
        self.ending, self.stop = ending, stop
        self.held: list[Written] = []
        self.finish: Finish | None = None if ending.left else "length"

    def push(self, token: Written) -> list[Written]:
        """The tokens of the next piece, if one is ready, up to the first stop string."""
        before = len(joined(self.held))
        self.held.append(token)
        text, end = joined(self.held), self.ending.find(token.text)
        found = min((text.find(each) for each in self.stop if each in text), default=None)
        if end is not None and (found is None or found > before + end):
            self.finish = "length"
            return first(self.held, before + end)
        if found is not None:
            self.finish = "stop"
            return first(self.held, found)
        # What might be the beginning of a stop string waits, and so do parts of characters.
        ready = whole(self.held, len(text) - overlap(text, self.stop))
        if not joined(ready):
            return []
        self.held = self.held[len(ready) :]
        return ready


def cut(
    tokens: Iterator[Written], ending: Ending, stop: Sequence[str]
) -> Generator[list[Written], None, Finish]:
    """The tokens of each piece, up to where the text ends or before the first stop string; returns
    the reason.
    """
    pending = Cut(ending, stop)
    if pending.finish:
        return pending.finish
    for token in tokens:
        ready = pending.push(token)
        if ready or pending.finish:
            yield ready
        if pending.finish:
            return pending.finish
    if pending.held:
        yield pending.held
    return "end"


def first(tokens: Sequence[Written], length: int) -> list[Written]:
    """The tokens of the first ``length`` characters, the last one cut off there."""
    kept: list[Written] = []
    for token in tokens:
        if length <= 0:
            break
        kept.append(token._replace(text=token.text[:length]))
        length -= len(token.text)
    return kept


def whole(tokens: Sequence[Written], length: int) -> list[Written]:
    """The first tokens that lie within ``length`` characters."""
    for count, token in enumerate(tokens):
        length -= len(token.text)
        if length < 0:
            return list(tokens[:count])
    return list(tokens)


def overlap(text: str, stop: Sequence[str]) -> int:
    """The longest end of ``text`` with which some stop string begins."""
    longest = min(len(text), max((len(s) - 1 for s in stop), default=0))
    sizes = range(longest, 0, -1)
    return next((n for n in sizes if any(s.startswith(text[-n:]) for s in stop)), 0)
