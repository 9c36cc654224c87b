"""Texts that never copy more than so many characters in a row from the training text."""

import codecs
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError

__all__ = ["CopyLimit", "copies_more", "copy_limits"]

KEPT = 1024
"""Ends of texts whose allowed tokens are remembered, since samples begin alike."""


class Tail(NamedTuple):
    """The end of a text: its last characters, and bytes that wait for the rest of a character."""

    text: str
    waiting: bytes = b""


class Additions(NamedTuple):
    """What each token adds to a text, and the bytes that wait then; for each number of characters
    from 1 on, the tokens that begin with so many, by these characters.
    """

    texts: list[tuple[str, bytes]]
    prefixes: list[dict[str, list[int]]]


def copy_limits(
    tokenizer: Tokenizer,
    config: GenerationConfig,
    training_text: SuffixIndex | None,
    *,
    past_end: bool = False,
) -> list["CopyLimit"]:
    """The constraint that ``config.max_copy`` asks for, if it does.

    Raises ``ConfigError`` where ``training_text`` is missing for it.
    """
    if not config.max_copy:
        return []
    if training_text is None:
        raise ConfigError(
            "`max_copy` needs the training text, which is not at hand here",
            "leave `max_copy` out, or give it when the run is opened",
        )
    return [CopyLimit(tokenizer, training_text, config.max_copy, past_end=past_end)]


class CopyLimit:
    """The constraint that no ``most`` + 1 characters of the text stand in a row in the training
    text, unless all of them are the prompt's.

    What is written after a prompt may go on a copy that the prompt begins, the prompt's characters
    counted; it goes on no copy that is as long already.  The model may end the text at any place.
    With ``past_end`` a boundary is a line break, and is limited like one.
    """

    ends, tables = False, None

    def __init__(
        self, tokenizer: Tokenizer, training_text: SuffixIndex, most: int, *, past_end: bool = False
    ) -> None:
        self.tokenizer, self.training_text, self.most = tokenizer, training_text, most
        self.past_end = past_end
        self.boundary = tokenizer.boundary_id
        self.words = tokenizer.kind == "word"
        self.additions = lru_cache(maxsize=16)(self.find_additions)
        self.allowed = lru_cache(maxsize=KEPT)(self.find_allowed)
        texts, prefixes = self.additions(b"", self.words)
        # Bytes that wait may turn out to be up to three characters of their own.
        longest = len(prefixes) + past_end + 3 * any(rest for _, rest in texts)
        self.window = most + 1 - longest

    def start(self, prompt: str) -> Tail:
        """See ``Constraint``."""
        return Tail(prompt[-self.most :])

    def advance(self, state: Tail, token: int) -> Tail:
        """See ``Constraint``."""
        text, waiting = self.added(state, token)
        return Tail((state.text + text)[-self.most :], waiting)

    def free(self, state: Tail, tokens: Sequence[int]) -> int:
        """See ``Constraint``: where no ``window`` characters before a token are copied, nothing is
        ruled out.

        From the last token on: a window of which only ``size`` characters are copied also clears
        the windows before it that hold one character more than these.
        """
        if self.window < 1:
            return 0
        text, ends = state.text, list[int]()
        for token in tokens:
            ends.append(len(text))
            more, waiting = self.added(state, max(token, 0))
            text, state = text + more, Tail((text + more)[-1:], waiting)
        found = place = len(tokens)
        while place and self.window <= ends[place - 1]:
            start = ends[place - 1] - self.window
            size = self.training_text.prefix_length(text[start : ends[place - 1]])
            if size == self.window:
                found = place = place - 1
            while place and size < self.window and ends[place - 1] > start + size:
                place -= 1
        return found

    def added(self, state: Tail, token: int) -> tuple[str, bytes]:
        """What a token adds to a text, and the bytes that wait then."""
        if token != self.boundary:
            return self.additions(state.waiting, self.is_spaced(state.text)).texts[token]
        text = "\ufffd" if state.waiting else ""
        begins_line = (state.text + text)[-1:] in ("", "\n")
        return text + "\n" * (self.past_end and not begins_line), b""

    def is_spaced(self, text: str) -> bool:
        """Whether a word after ``text`` has a space before it."""
        return self.words and text != "" and not text[-1].isspace()

    def find_additions(self, waiting: bytes, spaced: bool) -> Additions:
        """What tokens add where bytes wait, or where a space comes before a word."""
        texts, prefixes = list[tuple[str, bytes]](), list[dict[str, list[int]]]()
        for token, content in enumerate(self.tokenizer.table):
            text, rest = decode(waiting + content)
            if spaced and text and not text.isspace():
                text = " " + text
            texts.append((text, rest))
            for size in range(1, 1 + (len(text) if token != self.boundary else 0)):
                if size > len(prefixes):
                    prefixes.append({})
                prefixes[size - 1].setdefault(text[:size], []).append(token)
        return Additions(texts, prefixes)

    def find_allowed(self, state: Tail) -> Tensor | None:
        """Which tokens (V,) may come next, bool; None where all may."""
        prefixes = self.additions(state.waiting, self.is_spaced(state.text)).prefixes
        banned: set[int] = set()
        # Short endings of the text are searched first: where one is nowhere in the training text,
        # longer ones are not either.
        for size in range(len(prefixes), 0, -1):
            needed = max(self.most + 1 - size, 0)
            if needed > len(state.text):
                break
            ending = state.text[len(state.text) - needed :]
            first, last = self.training_text.interval(ending.encode())
            if first == last:
                break
            for prefix in self.copied(ending, first, last, size, prefixes[size - 1]):
                banned.update(prefixes[size - 1][prefix])
        if self.boundary_copies(state):
            banned.add(self.boundary)
        if not banned:
            return None
        allowed = torch.ones(self.tokenizer.vocab_size, dtype=torch.bool)
        allowed[list(banned)] = False
        return allowed

    def copied(
        self, ending: str, first: int, last: int, size: int, prefixes: dict[str, list[int]]
    ) -> list[str]:
        """Those of the ``prefixes``, of ``size`` characters, that complete ``most`` + 1 characters
        of the training text; suffixes ``first`` to before ``last`` begin with ``ending``.
        """
        inside = max(size - self.most - 1, 0)  # characters before those that are compared
        if not inside and last - first <= 2 * len(prefixes):
            followers = self.training_text.followers(first, last, len(ending.encode()), size)
            return [prefix for prefix in followers if prefix in prefixes]
        found = []
        for prefix in prefixes:
            low, high = self.training_text.interval(
                (ending + prefix[inside:]).encode(), first, last
            )
            if low < high:
                found.append(prefix)
        return found

    def boundary_copies(self, state: Tail) -> bool:
        """Whether what a boundary adds to the text completes a copy that is too long."""
        text, _ = self.added(state, self.boundary)
        whole = state.text + text
        windows = [whole[: len(whole) - drop][-self.most - 1 :] for drop in range(len(text))]
        return self.past_end and any(
            len(window) > self.most and window in self.training_text for window in windows
        )


def copies_more(training_text: SuffixIndex, text: str, start: int, end: int, most: int) -> bool:
    """Whether more than ``most`` characters of ``text`` in a row, one of them from ``start`` to
    before ``end``, stand in the training text.
    """
    windows = range(max(start - most, 0), min(end, len(text) - most))
    return any(text[at : at + most + 1] in training_text for at in windows)


def decode(content: bytes) -> tuple[str, bytes]:
    """The text of bytes, and those at the end that wait for the rest of a character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(content), decoder.getstate()[0]
