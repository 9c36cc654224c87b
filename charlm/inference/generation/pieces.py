"""Tokens as they come -> the pieces of one text, up to where it ends."""

from collections.abc import Generator, Iterable, Sequence
from itertools import chain
from typing import Literal, NamedTuple, Self

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.endings import Ending

__all__ = ["Cut", "Finish", "Sample", "Spelling", "Written", "pieces_of"]

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
        self,
        prompt: str,
        seed: int | None,
        pieces: Generator[list[Written], None, Finish],
        *,
        constrained: bool = False,
    ) -> None:
        """``constrained`` says that constraints decide where the text may end."""
        self.prompt, self.seed, self.pieces = prompt, seed, pieces
        self.constrained = constrained
        self.written: list[Written] = []
        self.finish: Finish | None = None
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
        return "".join(token.text for token in tokens)

    @property
    def log_prob(self) -> float:
        """The log-probability in nats of all tokens of the pieces so far."""
        return sum(token.log_prob for token in self.written)

    def close(self) -> None:
        """End the text here; ``finish`` stays None."""
        self.pieces.close()

    def __repr__(self) -> str:
        return f"Sample(prompt={self.prompt!r}, seed={self.seed}, finish={self.finish!r})"


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
        before = "".join(each.text for each in self.held)
        text, end = before + token.text, self.ending.find(token.text)
        self.held.append(token)
        found = min((text.find(each) for each in self.stop if each in text), default=None)
        if end is not None and (found is None or found > len(before) + end):
            self.finish = "length"
            return first(self.held, len(before) + end)
        if found is not None:
            self.finish = "stop"
            return first(self.held, found)
        # What might be the beginning of a stop string waits, and so do parts of characters.
        waiting = overlap(text, self.stop) if self.stop else 0
        ready = first(self.held, len(text) - waiting, whole=True)
        if not any(each.text for each in ready):
            return []
        self.held = self.held[len(ready) :]
        return ready


def pieces_of(
    tokenizer: Tokenizer,
    start: tuple[str, Sequence[int]],
    blocks: Iterable[Iterable[tuple[int, float]]],
    ending: Ending,
    stop: Sequence[str] = (),
    *,
    past_end: bool = False,
) -> Generator[list[Written], None, Finish]:
    """The tokens of each piece of the text that follows a prompt: ``start`` is the prompt and its
    ids, ``blocks`` are the tokens after it, each with its log-probability.  Returns why the text
    is over.

    It is over before the first stop string, at its ``ending``, and at a boundary; with ``past_end``
    a boundary is a line break, unless one came just before.
    """
    spelling, pending = Spelling(tokenizer, *start), Cut(ending, stop)
    for token, log_prob in chain.from_iterable(blocks if pending.finish is None else ()):
        piece, ends = spelling.push(token), token == tokenizer.boundary_id
        if ends and past_end and spelling.last not in ("", "\n"):
            piece, spelling.last = piece + "\n", "\n"
        if piece or past_end or not ends:
            ready = pending.push(Written(piece, log_prob))
            if ready or pending.finish:
                yield ready
        if pending.finish or (ends and not past_end):
            break
    if pending.finish is None and pending.held:
        yield pending.held
    return pending.finish or "end"


def first(tokens: Sequence[Written], length: int, *, whole: bool = False) -> list[Written]:
    """The tokens of the first ``length`` characters; the last one is cut off there, or left out
    where only ``whole`` ones are wanted.
    """
    kept: list[Written] = []
    for token in tokens:
        if length < (len(token.text) if whole else 1):
            break
        kept.append(token._replace(text=token.text[:length]))
        length -= len(token.text)
    return kept


def overlap(text: str, stop: Sequence[str]) -> int:
    """The longest end of ``text`` with which some stop string begins."""
    longest = min(len(text), max((len(s) - 1 for s in stop), default=0))
    sizes = range(longest, 0, -1)
    return next((n for n in sizes if any(s.startswith(text[-n:]) for s in stop)), 0)
