"""Tokens as they come -> the pieces of one text, up to where it ends."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Self

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.lanes import Token

__all__ = ["Finish", "Sample", "Written", "cut", "decode"]

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
    the pieces.
    """

    def __init__(
        self, prompt: str, seed: int, pieces: Generator[list[Written], None, Finish]
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
            raise ConfigError(
                f"this text has been read to its end (seed {self.seed})",
                f"generate it again, with `seed={self.seed}` for the same text",
            )
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
    text = tokenizer.stream()
    # Half a character at the prompt's end is completed by what follows.
    given = "".join(map(text.push, ids))
    # Words keep no white space: what the prompt ends with stands for the space before the next.
    spaced, last = prompt[-1:].isspace() and not given[-1:].isspace(), prompt[-1:]
    for token, log_prob in (each for block in blocks for each in block):
        piece = text.push(token) if token != tokenizer.boundary_id else text.flush()
        if spaced and piece:
            piece, spaced = piece.removeprefix(" "), False
        last = piece[-1:] or last
        if token == tokenizer.boundary_id:
            if not past_end:
                if piece:
                    yield Written(piece, log_prob)
                return
            if last not in ("", "\n"):
                piece, last = piece + "\n", "\n"
        yield Written(piece, log_prob)


def cut(
    tokens: Iterator[Written], ending: Ending, stop: Sequence[str]
) -> Generator[list[Written], None, Finish]:
    """The tokens of each piece, up to where the text ends or before the first stop string; returns
    the reason.
    """
    held: list[Written] = []
    if not ending.left:
        return "length"
    for token in tokens:
        before = len(joined(held))
        held.append(token)
        text, end = joined(held), ending.find(token.text)
        found = min((text.find(each) for each in stop if each in text), default=None)
        if end is not None and (found is None or found > before + end):
            yield first(held, before + end)
            return "length"
        if found is not None:
            yield first(held, found)
            return "stop"
        # What might be the beginning of a stop string waits, and so do parts of characters.
        ready = whole(held, len(text) - overlap(text, stop))
        if joined(ready):
            yield ready
            held = held[len(ready) :]
    if held:
        yield held
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
