"""Baselines measured on the texts that a model was scored on."""

from collections.abc import Iterator, Sequence

import numpy as np

from charlm.data.preparation.counting import TextCounter
from charlm.data.preparation.encoding import encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.pieces import Piece
from charlm.errors import CorpusError
from charlm.inference.loading import Loaded, load_part
from charlm.inference.scoring.baselines import Baseline, measure_baselines
from charlm.inference.texts import TextSource

__all__ = ["measure_references", "stored"]


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
    return measure_baselines(loaded.tokenizer, train, valid, stored(loaded, texts))


def stored(loaded: Loaded, texts: Sequence[TextSource]) -> TokenStore:
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
