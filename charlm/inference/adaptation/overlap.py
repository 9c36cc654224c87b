"""Whether what is tuned on and what is scored are the same text."""

from collections.abc import Iterable, Iterator

import numpy as np

from charlm.data.preparation.encoding import encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError

__all__ = ["read_ids", "refuse_overlap"]

WINDOW, RUN = 64, 4
"""Texts overlap where so many windows of so many bytes, one after the other, are in both."""

SHORTEST = 16
"""Bytes of a text shorter than a window that are no coincidence."""

AT_ONCE = 1 << 16  # tokens turned into text at a time


def read_ids(tokenizer: Tokenizer, content: Corpus | TokenStore) -> Iterator[np.ndarray]:
    """The ids (n,) of a text bit by bit, from the first token on, boundaries between documents."""
    if isinstance(content, TokenStore):
        tokens = content.tokens[1:]
        yield from (tokens[begin : begin + AT_ONCE] for begin in range(0, len(tokens), AT_ONCE))
        return
    boundary = np.zeros(1, dtype=tokenizer.dtype)
    for number, piece in enumerate(encode_documents(tokenizer, content)):
        yield np.concatenate([boundary, piece.ids]) if piece.starts and number else piece.ids


def refuse_overlap(
    tokenizer: Tokenizer,
    tuning: np.ndarray,
    scored: Iterable[np.ndarray],
    way_out: str = "tune on text that is not scored: --tune-on valid, or another file",
) -> None:
    """Raise ``CorpusError`` if a run of the bytes of ``scored`` is in the text of ``tuning`` (N,).

    A run of ``(RUN + 1) * WINDOW`` bytes is always found, one shorter than ``RUN * WINDOW`` never,
    unless it is about all there is.
    """
    text = tokenizer.decode_bytes(tuning)
    known = {text[begin : begin + WINDOW] for begin in range(len(text) - WINDOW + 1)}
    windows = run = longest = 0
    rest = b""
    for ids in scored:
        rest += tokenizer.decode_bytes(ids)
        for begin in range(0, len(rest) - WINDOW + 1, WINDOW):
            windows += 1
            run = run + 1 if rest[begin : begin + WINDOW] in known else 0
            longest = max(longest, run)
        if longest >= RUN:
            break
        rest = rest[len(rest) // WINDOW * WINDOW :]
    short = not windows and len(rest) >= min(SHORTEST, len(text)) and rest and rest in text
    if short or longest >= max(1, min(RUN, windows, len(text) // WINDOW - 1)):
        raise CorpusError(
            "the text to tune on and the text to score have a passage in common", way_out
        )
