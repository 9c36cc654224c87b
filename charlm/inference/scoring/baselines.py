"""Baselines: uniform guessing, n-gram models, PPM and the compressors that everybody has.

All are measured on the held-out text of a model's score, in bits per character and per byte.
"""

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.data.preparation.counting import TextCounter
from charlm.data.preparation.encoding import encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.loading import Loaded, load_part
from charlm.inference.texts import TextSource
from charlm.model.ngram.kneser_ney import NgramModel, train_ngrams
from charlm.model.ngram.orders import choose_order, highest_order
from charlm.model.ngram.ppm import learn_orders

__all__ = ["Baseline", "compress_store", "measure_baselines", "measure_references"]

ORDERS = {1: "unigram", 3: "n-gram of order 3"}
"""Orders of n-gram models that are always measured."""

PPM_READS = 1 << 21
"""Tokens before a block that PPM remembers at least, if there are so many: all take memory."""

PPM_BLOCK = 1 << 20
"""Tokens that PPM predicts at a time."""

UNITS = {"char": "character", "byte": "byte", "word": "word"}

AT_ONCE = 1 << 16  # tokens turned into text at a time

ZLIB_GZIP = 31  # window bits that ask zlib for the largest window and the gzip format
BZIP2_BLOCK = 899_000  # its 900,000 less some bytes of its own, so that all lies in one block
XZ_WINDOW = 1 << 22  # what xz gains from still earlier text does not pay for its time
XZ_LEAST, XZ_MOST = 1 << 12, 1 << 26  # bytes of the dictionary: the least there is, and -9's


@dataclass(frozen=True)
class Baseline:
    """What a simple predictor or a compressor needs per character and per byte of held-out text."""

    name: str
    bpc: float
    bpb: float


def measure_references(loaded: Loaded, texts: Sequence[TextSource]) -> Iterator[Baseline]:
    """Measure the baselines on all texts together.

    They learn from the text that the run was trained on.  Raises ``CorpusError`` if it is gone.
    """
    try:
        train, valid = load_part(loaded, "train"), load_part(loaded, "valid")
    except CorpusError as error:
        raise CorpusError(
            f"baselines learn from the text the run was trained on: {error}",
            "bring that text back, or leave `baselines` out",
        ) from None
    return measure_baselines(loaded.tokenizer, train, valid, store_texts(loaded, texts))


def store_texts(loaded: Loaded, texts: Sequence[TextSource]) -> TokenStore:
    """The tokens and counts of all texts, in memory."""
    tokenizer, counter = loaded.tokenizer, TextCounter()
    boundary = np.zeros(1, dtype=tokenizer.dtype)
    found: list[np.ndarray] = []
    for text in texts:
        if isinstance(text.content, TokenStore):
            return text.content  # a part of the run comes alone
        for piece in encode_documents(tokenizer, text.content):
            counter.add(Piece(piece.text, piece.starts), tokens=len(piece.ids))
            found += [boundary, piece.ids] if piece.starts else [piece.ids]
    return TokenStore(np.concatenate([*found, boundary]), counter.counts)


def measure_baselines(
    tokenizer: Tokenizer, train: TokenStore, valid: TokenStore, test: TokenStore
) -> Iterator[Baseline]:
    """Measure guessing, n-gram models and compressors on ``test``, one after the other.

    The n-gram models are over the tokens, and the order of the last two is chosen on ``valid``.
    PPM goes on learning from ``test`` while it predicts it; all others only know ``train``.
    Raises ``CorpusError`` if ``valid`` is empty.
    """
    unit, size = UNITS.get(tokenizer.kind, "token"), tokenizer.vocab_size
    nats = test.counts.tokens * math.log(size - 1)  # any but the boundary
    yield of_nats(f"every {unit} equally likely", nats, test)
    for order, name in ORDERS.items():
        yield of_ngrams(name, train_ngrams(train.tokens, size, order), test)
    best = choose_order(train.tokens, valid.tokens, size, highest_order(tokenizer.kind))
    yield of_ngrams(f"best n-gram (order {best.order})", best, test)
    order, nats = measure_ppm(tokenizer, train.tokens, valid.tokens, test.tokens)
    yield of_nats(f"adaptive PPM (order {order})", nats, test)
    for name, bits in compress_store(tokenizer, train, test):
        yield of_nats(name, bits * math.log(2), test)


def of_nats(name: str, nats: float, test: TokenStore) -> Baseline:
    """The baseline that needs so many nats in all for the text of ``test``."""
    bits, counts = nats / math.log(2), test.counts
    return Baseline(name, bits / max(counts.chars, 1), bits / max(counts.bytes, 1))


def of_ngrams(name: str, model: NgramModel, test: TokenStore) -> Baseline:
    """The baseline of an n-gram model; boundaries are read and not counted, as in every score."""
    nll = model.nll(test.tokens)
    return of_nats(name, float(nll[test.tokens[1:] != BOUNDARY_ID].sum()), test)


def measure_ppm(
    tokenizer: Tokenizer, train: np.ndarray, valid: np.ndarray, test: np.ndarray
) -> tuple[int, float]:
    """The order of PPM that suits ``valid`` best, and the nats that it needs for ``test``.

    Both are read after ``train``; all (N,) are boundary first.
    """
    size = tokenizer.vocab_size
    tried = islice(learn(train, valid[: PPM_BLOCK + 1], size), highest_order(tokenizer.kind))
    order = 1 + int(np.argmin(list(tried)))
    nats, before = 0.0, train
    for begin in range(1, len(test), PPM_BLOCK):
        block = test[begin - 1 : begin + PPM_BLOCK]
        nats += next(islice(learn(before, block, size), order - 1, None))
        before = np.concatenate([before[-PPM_READS:], block[1:]])
    return order, nats


def learn(before: np.ndarray, block: np.ndarray, vocab_size: int) -> Iterator[float]:
    """For orders 1, 2, ...: the nats that PPM needs for a block (n,), after what comes before it.

    The first token of the block is the last one before it.
    """
    before = before[-PPM_READS:]
    of_text = block[1:] != BOUNDARY_ID
    for nll in learn_orders(np.concatenate([before, block[1:]]), vocab_size):
        yield float(nll[len(before) - 1 :][of_text].sum())


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
    compressors: tuple[tuple[str, int, Callable[[], Any]], ...] = (
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


def compressed_size(compressor: Any, parts: Sequence[bytes] | Iterator[bytes]) -> int:
    """Bytes of all parts one after the other, by a compressor of zlib, bz2 or lzma."""
    return sum(len(compressor.compress(part)) for part in parts) + len(compressor.flush())
