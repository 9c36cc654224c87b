"""Words as tokens, for corpora that are already tokenized: PTB, WikiText-2 and their kind."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from charlm.config import TokenizerConfig
from charlm.data.tokenizers.base import (
    REMEDY,
    UNKNOWN,
    UNKNOWN_ID,
    TextStream,
    Tokenizer,
    as_text,
)
from charlm.errors import TokenizerError, counted

__all__ = ["END_OF_LINE", "WordTokenizer", "WordTrainer"]

END_OF_LINE = "<eos>"
MOST_TYPES = 1 << 21
"""Distinct words that are counted at a time, which take some 300 MB of memory."""


class WordIds(dict[str, int]):
    """Word to id; a missing word gets the id of the unknown symbol."""

    def __missing__(self, word: str) -> int:
        return UNKNOWN_ID


class WordTokenizer(Tokenizer):
    """What white space separates is a token; with ``end_of_line`` so is each line break.

    Made for tokenized corpora and lossy in white space: ``decode`` puts one space between words
    and none beside a line break.  The literal words ``<unk>`` and, with ``end_of_line``,
    ``<eos>`` are the symbols themselves, as in the corpora that contain them.
    """

    kind = "word"
    unknown_id = UNKNOWN_ID

    def __init__(self, symbols: Sequence[str], *, end_of_line: bool) -> None:
        """``symbols`` get the ids from 2 on.

        Raises ``TokenizerError`` if one is no word, comes twice, or the line end is missing.
        """
        ids = WordIds((word, id) for id, word in enumerate([UNKNOWN, *symbols], UNKNOWN_ID))
        if len(ids) != len(symbols) + 1 or " ".join(symbols).split() != list(symbols):
            cause = "the vocabulary holds something that is no word, or a word twice"
            raise TokenizerError(cause, REMEDY)
        if end_of_line and END_OF_LINE not in ids:
            raise TokenizerError(f"the vocabulary lacks {END_OF_LINE}", "train again")
        as_text("".join(symbols))
        self.symbols = list(symbols)
        self.end_of_line = end_of_line
        self.ids = ids
        self.table = [b"", UNKNOWN.encode(), *(word.encode() for word in symbols)]
        self.line_id = ids[END_OF_LINE] if end_of_line else None
        if self.line_id is not None:
            self.table[self.line_id] = b"\n"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(WordTokenizer, end_of_line=self.end_of_line), (self.symbols,)

    def encode(self, text: str | bytes) -> np.ndarray:
        """The ids (words and line breaks,) of ``text``."""
        words = self.symbols_of(text)
        return np.fromiter(map(self.ids.__getitem__, words), self.dtype, len(words))

    def symbols_of(self, text: str | bytes) -> list[str]:
        """The words and line breaks (``<eos>``) of ``text``."""
        return split_words(as_text(text), self.end_of_line)

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """Words with single spaces between them, in UTF-8."""
        stream = self.stream()
        return "".join(map(stream.push, self.checked(ids))).encode()

    def stream(self) -> "WordStream":
        """A decoder that puts one space between two words."""
        return WordStream(self)

    def unknown(self, text: str) -> Counter[str]:
        """The words of ``text`` outside the vocabulary, with their counts."""
        return Counter(word for word in self.symbols_of(text) if word not in self.ids)

    def oov(self, text: str | bytes, ids: np.ndarray) -> np.ndarray:
        """Which tokens (N,) the vocabulary lacks: a literal ``<unk>`` is a word of the text."""
        lacking = super().oov(text, ids)
        if lacking.any():
            words = self.symbols_of(text)
            for at in np.flatnonzero(lacking).tolist():
                lacking[at] = words[at] != UNKNOWN
        return lacking

    def definition(self) -> dict[str, Any]:
        """The words in the order of the ids."""
        return {"kind": self.kind, "end_of_line": self.end_of_line, "symbols": self.symbols}


class WordStream(TextStream):
    """A decoder of one word at a time, which remembers whether a space has to come first."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        super().__init__(tokenizer)
        self.line_id = tokenizer.line_id
        self.after_word = False

    def push(self, id: int) -> str:
        """The word, with a space before it if it follows another one."""
        is_word = id not in (self.tokenizer.boundary_id, self.line_id)
        space = " " if is_word and self.after_word else ""
        self.after_word = is_word
        return space + super().push(id)

    def flush(self) -> str:
        """An empty text, because words are never held back; the stream can then be used again."""
        self.after_word = False
        return super().flush()


class WordTrainer:
    """Counts words as texts pass and makes a vocabulary of the frequent ones."""

    def __init__(self, config: TokenizerConfig) -> None:
        self.config = config
        self.counts: Counter[str] = Counter()
        self.forgotten = 0  # words seen no more often than this may be missing

    def add(self, text: str | bytes) -> None:
        """Count a text; where there are too many distinct words, forget the rarest."""
        self.counts.update(split_words(as_text(text), self.config.end_of_line))
        if len(self.counts) > MOST_TYPES:
            self.forgotten += 1
            frequent = {word: n for word, n in self.counts.items() if n > self.forgotten}
            self.counts = Counter(frequent)

    def finish(self) -> tuple[WordTokenizer, tuple[str, ...]]:
        """The tokenizer, and notes for the user on rare words.

        Raises ``TokenizerError`` if no word is frequent enough.
        """
        counts, total = self.counts, max(1, self.counts.total())
        literal = counts.pop(UNKNOWN, 0)
        lines = counts.pop(END_OF_LINE, 0) if self.config.end_of_line else 0
        order = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in order if counts[word] >= self.config.min_count]
        if self.config.vocab_size is not None:
            kept = kept[: self.config.vocab_size - 2 - int(self.config.end_of_line)]
        if not kept:
            raise TokenizerError(
                f"no word of the text occurs {counted(self.config.min_count, 'time')}",
                "lower `tokenizer.min_count`, or give more text",
            )
        known = sum(counts[word] for word in kept) + literal + lines
        notes = self.notes(len(order) - len(kept), 1 - known / total)
        if self.config.end_of_line:
            counts[END_OF_LINE] = lines
            kept = sorted([*kept, END_OF_LINE], key=lambda word: (-counts[word], word))
        return WordTokenizer(kept, end_of_line=self.config.end_of_line), notes

    def notes(self, dropped: int, share: float) -> tuple[str, ...]:
        """Notes on ``dropped`` rare words, which are ``share`` of all words of the text."""
        rare, become = counted(dropped, "rare word"), "becomes" if dropped == 1 else "become"
        rare = f"{rare} ({share:.2%} of the text) {become} {UNKNOWN}"
        many = f"more than {MOST_TYPES:,} distinct words: some of the rarest were not counted"
        return ((rare,) if dropped else ()) + ((many,) if self.forgotten else ())


def split_words(text: str, end_of_line: bool) -> list[str]:
    """The words of ``text`` as ``str.split`` finds them; with ``end_of_line`` also a word ``<eos>``
    for each line break.
    """
    return (text.replace("\n", f" {END_OF_LINE} ") if end_of_line else text).split()
