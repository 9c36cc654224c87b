"""Whether what is tuned on and what is scored are the same text, as far as hashes tell."""

from collections.abc import Sequence

import numpy as np

from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.errors import CorpusError
from charlm.inference.loading import Loaded, load_part, open_for

__all__ = ["VALID", "refuse_overlap"]

VALID = "valid"
"""The name that stands for a run's own validation part among the texts to tune on."""


def refuse_overlap(loaded: Loaded, tuned_on: Sequence[str], scored: Corpus | TokenStore) -> None:
    """Raise ``CorpusError`` if a text that is scored is among those that are tuned on.

    ``tuned_on`` names sources, or ``valid`` for the run's validation part.  Files are compared
    whole, by their hashes, and a part of a run stands for the files that it was cut from; two parts
    of a run are different texts.  A passage that two different files share is not noticed.
    """
    for name in tuned_on:
        text = part_of(loaded, scored) if isinstance(scored, TokenStore) else scored
        if isinstance(text, str) and name == VALID:
            same = text == VALID
        else:
            tuned = files_of(loaded, VALID) if name == VALID else (name,)
            held = files_of(loaded, text) if isinstance(text, str) else text
            same = bool(hashes_of(loaded, held) & hashes_of(loaded, tuned))
        if same:
            raise CorpusError(
                "the text to tune on and the text to score are the same",
                "tune on text that is not scored (`tune_on='valid'`, or another file), or give the "
                "weight or the values",
            )


def part_of(loaded: Loaded, store: TokenStore) -> str:
    """Which part (train, valid or test) of the text that the run was made from ``store`` holds."""
    for part in loaded.run.origin["counts"]:
        if np.array_equal(load_part(loaded, part).tokens, store.tokens):
            return str(part)
    raise CorpusError("the prepared text is none of the run's parts", "name a text to score")


def files_of(loaded: Loaded, part: str) -> tuple[str, ...]:
    """The files that a part of the run's text was cut from; none for standard input."""
    data = loaded.run.config.data
    names: tuple[str, ...] = getattr(data, part, ()) or data.sources
    return () if "-" in names else names


def hashes_of(loaded: Loaded, text: Corpus | tuple[str, ...]) -> set[str]:
    """SHA-256, in hexadecimal, of each file of a corpus, or of the sources with these names."""
    if isinstance(text, Corpus):
        return {Corpus((origin,), text.encoding).digest() for origin in text.origins}
    try:
        return hashes_of(loaded, open_for(loaded, text)) if text else set()
    except CorpusError:  # the file is gone, so that it cannot be scored either
        return set()
