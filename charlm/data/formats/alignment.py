"""Where in a text its parts and its tokens lie, in bytes of UTF-8."""

import re
from collections.abc import Iterable
from itertools import accumulate

import numpy as np

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer

__all__ = ["join_texts", "token_spans"]


def join_texts(texts: Iterable[str], join: str) -> tuple[str, list[int]]:
    """One text of several, none empty, and where each begins, its white space left to the one
    before it.

    Where two meet and neither brings white space, ``join`` is put between them.
    """
    whole, begins = "", []
    for text in texts:
        if whole and not whole[-1].isspace() and not text[0].isspace():
            whole += join
        content = text.encode()
        begins.append(len(whole.encode()) + len(content) - len(content.lstrip()))
        whole += text
    return whole, begins


def token_spans(tokenizer: Tokenizer, text: str, ids: np.ndarray) -> np.ndarray:
    """ids (N,), the encoding of ``text`` -> where each begins and ends (N, 2).

    Tokens follow one another without gaps, but for the white space between
    the tokens of a word tokenizer, which belongs to none.
    """
    if tokenizer.kind not in ("char", "word"):
        sizes = (len(tokenizer.token_bytes(token)) for token in ids.tolist())
        return spans_between([0, *accumulate(sizes)])
    # What is unknown stands in the text, not in the tokenizer's table.
    offsets = [0, *accumulate(len(char.encode()) for char in text)]
    if not isinstance(tokenizer, WordTokenizer):
        return spans_between(offsets)
    words = re.finditer(r"\S+|\n" if tokenizer.end_of_line else r"\S+", text)
    spans = [(offsets[word.start()], offsets[word.end()]) for word in words]
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def spans_between(offsets: list[int]) -> np.ndarray:
    """The N + 1 offsets where tokens begin or end -> where each begins and ends (N, 2)."""
    return np.array([offsets[:-1], offsets[1:]], dtype=np.int64).T
