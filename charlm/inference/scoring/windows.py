"""Windows of tokens without carried context, as nanoGPT evaluates.

nanoGPT (Karpathy 2022, ``get_batch`` in its ``train.py``) draws windows at random and averages
over them; here they cover the text in order, each token once, so that the figure has no noise.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from charlm.data.preparation.encoding import encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.preparation.streams import cut_store, cut_text
from charlm.data.sources.corpora import Corpus
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.scoring.documents import TextCounts, of_counts
from charlm.inference.scoring.scorer import PartialScore, Scorer, StreamOptions

__all__ = ["score_windows"]

LANES = 64
"""Windows that are read side by side."""


def score_windows(
    model: Predictor,
    tokenizer: Tokenizer,
    content: Corpus | TokenStore,
    size: int,
    *,
    curve: bool = False,
) -> Iterator[PartialScore]:
    """Score a text in windows of ``size`` tokens, each from state zero.

    With the ids data (N,) a window has the inputs data[i : i + size] and the targets data[i + 1 :
    i + 1 + size], for i = 0, size, 2 * size, ...: the first id of all is given and not scored.
    Boundaries lie between documents only, and are tokens like all others.  Raises ``CorpusError``
    for fewer than two tokens.
    """
    scorer = Scorer(model, tokenizer, StreamOptions(score_ends=True, curve=curve))
    counts = TextCounts(tokenizer)
    if isinstance(content, TokenStore):
        parts = cut_store(tokenizer, content, "never")
    else:
        parts = cut_text(tokenizer, counts.count(encode_documents(tokenizer, content)), "never")
    sizes = np.array([len(content) for content in tokenizer.table])
    tokens = 0
    found = windows((part.ids for part in parts), size)
    while batch := list(islice(found, LANES)):
        targets, first = [ids[1:] for ids in batch], [int(ids[0]) for ids in batch]
        tokens += sum(map(len, targets))
        size_read = float(sizes[np.concatenate(targets)].sum())
        yield scorer.score_lines(targets, size_read, [None] * len(batch), first)
    if not tokens:
        raise CorpusError(
            "the text has one token, which nanoGPT's windows take as given",
            "give a longer text, or another `convention`",
        )
    if isinstance(content, TokenStore):
        yield of_counts(content.counts, content.unknown)
    else:
        yield counts.total()


def windows(chunks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Ids (size + 1,) that overlap by one; the last ones may be fewer, but are at least two."""
    rest = np.empty(0, dtype=np.uint8)
    for chunk in chunks:
        rest = np.concatenate([rest, chunk])
        begin = 0
        while len(rest) - begin > size:
            yield rest[begin : begin + size + 1]
            begin += size
        rest = rest[begin:]
    if len(rest) > 1:
        yield rest
