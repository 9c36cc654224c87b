"""The text that is explained: its tokens, their ids, and what is shown for each of them."""

import os
import re
import warnings
from dataclasses import dataclass

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.data.preparation.encoding import EncodedPiece, encode_documents
from charlm.data.sources.corpora import Corpus
from charlm.data.tokenizers.base import TextStream, Tokenizer
from charlm.errors import CharlmWarning, ConfigError
from charlm.inference.loading import Loaded, open_for
from charlm.inference.surprisal.text import spelled
from charlm.inference.texts import refuse_run, take_corpus

__all__ = ["TokenizedText", "open_text", "read_text"]

NAME_OF_FILE = re.compile(r"\S*[^\s.]\.[A-Za-z]\w{1,4}|[\w.~-]*/[\w./-]+")
"""What looks like a file's name more than like a text: one word, with an ending like .txt or a
slash."""


@dataclass(frozen=True, eq=False)
class TokenizedText:
    """A text, its ids (T,) int64, and the text ``tokens`` that each id stands for.

    ``tokens`` are what each id adds to the text: a word has the space before it, and the bytes of a
    character add it with the last of them and are empty before.  What the vocabulary lacks is shown
    as itself, though it is read as the unknown symbol.  Between two documents there is a boundary.
    """

    text: str
    tokens: tuple[str, ...]
    ids: np.ndarray

    @property
    def stream(self) -> np.ndarray:
        """What a network reads (T + 1,): a boundary, and the ids."""
        return np.append(BOUNDARY_ID, self.ids)

    def beginning(self, count: int | None) -> "TokenizedText":
        """The first ``count`` tokens, None for all."""
        if count is None or count >= len(self.ids):
            return self
        tokens = self.tokens[:count]
        return TokenizedText("".join(tokens), tokens, self.ids[:count])


def open_text(loaded: Loaded, text: str, encoding: str | None = None) -> Corpus:
    """What ``text`` stands for: a file of this name, standard input for ``-``, else text itself.

    Warns of a text that looks like the name of a file that is missing.  Raises ``ConfigError`` for
    an ``encoding`` of what is no file, and what opening one does.
    """
    if text == "-" or os.path.exists(text):  # noqa: PTH110  (False for endless names)
        return open_for(loaded, (refuse_run(text),), {"encoding": encoding} if encoding else {})
    if encoding:
        raise ConfigError(
            f"`encoding={encoding!r}` is for files, and there is none of the name {text!r:.60}",
            "name a file, or leave `encoding` out",
        )
    if NAME_OF_FILE.fullmatch(text):
        warnings.warn(
            f"there is no file {text}: the name itself is read as the text",
            CharlmWarning,
            stacklevel=2,
        )
    return take_corpus(loaded, text)


def read_text(tokenizer: Tokenizer, corpus: Corpus) -> TokenizedText:
    """All documents of a corpus as one stream in memory.  Raises what reading a corpus does.

    Warns of characters or words that the vocabulary lacks.
    """
    ids: list[np.ndarray] = []
    tokens: list[str] = []
    texts: list[str] = []
    decoder = tokenizer.stream()
    for piece in encode_documents(tokenizer, corpus):
        if ids and piece.starts:
            ids.append(np.array([BOUNDARY_ID]))
            tokens.append(spelled(tokenizer, BOUNDARY_ID))
            decoder = tokenizer.stream()
        ids.append(piece.ids)
        tokens += shown_tokens(tokenizer, decoder, piece)
        texts.append(
            piece.text if isinstance(piece.text, str) else piece.text.decode("utf-8", "replace")
        )
    stream = np.concatenate(ids).astype(np.int64)
    if unknown := np.count_nonzero(stream == tokenizer.unknown_id):
        warnings.warn(
            f"{unknown:,} of {len(stream):,} tokens are not in the vocabulary: the model reads the "
            "unknown symbol",
            CharlmWarning,
            stacklevel=2,
        )
    return TokenizedText("".join(texts), tuple(tokens), stream)


def shown_tokens(tokenizer: Tokenizer, decoder: TextStream, piece: EncodedPiece) -> list[str]:
    """What is shown for each id of a piece, by a ``decoder`` that goes on from the last."""
    shown = [decoder.push(id) for id in piece.ids.tolist()]
    unknown = tokenizer.unknown_id
    if unknown is not None and unknown in piece.ids:
        symbols, mark = tokenizer.symbols_of(piece.text), spelled(tokenizer, unknown)
        for at in np.flatnonzero(piece.ids == unknown).tolist():
            shown[at] = shown[at].replace(mark, symbols[at])
    return shown
