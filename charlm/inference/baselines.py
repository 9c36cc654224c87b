"""What is easily reached: guessing, n-gram models, and the compressors that everybody has.

All are measured on the same held-out text in the same units as a model's score.
"""

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from charlm.data.store import TokenStore
from charlm.data.tokenizers import Tokenizer
from charlm.inference.scoring import score_ids
from charlm.metrics import Score
from charlm.model.ngram.counts import count_grams
from charlm.model.ngram.kneser_ney import NgramModel, best_order, model_of_order

__all__ = ["Baseline", "compress_store", "measure_baselines", "score_ngrams"]

ORDERS = (1, 3)
"""Orders of n-gram models that are always measured."""

HIGHEST = {"char": 12, "byte": 12}
HIGHEST_OF_WORDS = 5
"""Longest n-grams tried: still longer ones hardly help, and cost time and memory."""

UNITS = {"char": "character", "byte": "byte", "word": "word"}

AT_ONCE = 1 << 16  # tokens turned into text at a time

ZLIB_GZIP = 31  # window bits that ask zlib for the largest window and the gzip format
BZIP2_BLOCK = 899_000  # its 900,000 less some bytes of its own, so that all lies in one block
XZ_WINDOW = 1 << 22  # what xz gains from still earlier text is not worth its time
XZ_LEAST, XZ_MOST = 1 << 12, 1 << 26  # bytes of the dictionary: the least there is, and -9's


@dataclass(frozen=True)
class Baseline:
    """How well something simple predicts: bits per character and per byte of held-out text."""

    name: str
    bpc: float
    bpb: float


class Compressor(Protocol):
    """What zlib, bz2 and lzma have in common."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def measure_baselines(
    tokenizer: Tokenizer, train: TokenStore, valid: TokenStore, test: TokenStore
) -> Iterator[Baseline]:
    """Measure guessing, n-gram models and compressors on ``test``, one after the other.

    The n-gram models are over the tokens; the order of the last one is chosen on ``valid``.
    Raises ``CorpusError`` if that is empty.
    """
    unit = UNITS.get(tokenizer.kind, "token")
    nats = test.counts.tokens * math.log(tokenizer.vocab_size - 1)  # any but the boundary
    yield of_bits(f"every {unit} equally likely", nats / math.log(2), test)
    highest = HIGHEST.get(tokenizer.kind, HIGHEST_OF_WORDS)
    counts = count_grams(train.tokens, tokenizer.vocab_size, highest)
    for order in ORDERS:
        score = score_ngrams(model_of_order(counts, order), test, tokenizer.unknown_id)
        yield Baseline(f"n-gram of order {order}", score.bpc, score.bpb)
    best, _ = best_order(counts, valid.tokens)
    score = score_ngrams(model_of_order(counts, best), test, tokenizer.unknown_id)
    yield Baseline(f"best n-gram (order {best})", score.bpc, score.bpb)
    for name, bits in compress_store(tokenizer, train, test):
        yield of_bits(name, bits, test)


def of_bits(name: str, bits: float, store: TokenStore) -> Baseline:
    """What needs so many bits for the text of ``store``."""
    counts = store.counts
    return Baseline(name, bits / max(counts.chars, 1), bits / max(counts.bytes, 1))


def score_ngrams(model: NgramModel, store: TokenStore, unknown_id: int | None) -> Score:
    """The score of the text of ``store``.  Raises ``TokenizerError`` for foreign ids."""
    counts = store.counts
    of_text = Score(chars=counts.chars, bytes=counts.bytes, words=counts.words)
    return of_text + score_ids(model.nll(store.tokens), store.tokens[1:], unknown_id)


def compress_store(
    tokenizer: Tokenizer, train: TokenStore, test: TokenStore
) -> Iterator[tuple[str, int]]:
    """Bits that gzip, bzip2 and xz, all at -9, need for the text of ``test``.

    Alone, or after as much of the end of ``train`` as they can remember, whichever is better.
    The text is what the tokenizer gives back.
    """
    size = sum(map(len, texts(tokenizer, test.tokens)))
    dictionary = min(max(size + XZ_WINDOW, XZ_LEAST), XZ_MOST)
    # A dictionary that holds all of the text gives the same bytes as -9's own, in less memory.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": dictionary}]
    compressors: tuple[tuple[str, int, Callable[[], Compressor]], ...] = (
        ("gzip -9", 1 << 15, lambda: zlib.compressobj(9, wbits=ZLIB_GZIP)),
        ("bzip2 -9", max(BZIP2_BLOCK - size, 0), lambda: bz2.BZ2Compressor(9)),
        ("xz -9", XZ_WINDOW, lambda: lzma.LZMACompressor(filters=filters)),
    )
    end = b"".join(texts(tokenizer, train.tokens[-XZ_WINDOW:]))
    for name, remembered, make in compressors:
        window = end[len(end) - min(remembered, len(end)) :]
        alone = compressed_size(make(), texts(tokenizer, test.tokens))
        both = compressed_size(make(), [window, *texts(tokenizer, test.tokens)])
        yield name, 8 * min(alone, both - compressed_size(make(), [window]))


def texts(tokenizer: Tokenizer, tokens: np.ndarray) -> Iterator[bytes]:
    """The text of tokens (N,) part by part, so that memory does not grow with it."""
    for begin in range(0, len(tokens), AT_ONCE):
        yield tokenizer.decode_bytes(tokens[begin : begin + AT_ONCE])


def compressed_size(compressor: Compressor, parts: Sequence[bytes] | Iterator[bytes]) -> int:
    """Bytes of all parts one after the other, compressed."""
    return sum(len(compressor.compress(part)) for part in parts) + len(compressor.flush())
