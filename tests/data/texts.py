"""What the tests of corpora share: opening one, putting its documents together, its error."""

from pathlib import Path

import pytest

from charlm.config import DataConfig
from charlm.data.sources.corpora import Corpus, open_corpus
from charlm.errors import CorpusError


def corpus(*sources: Path | str, raw: bool = False, **options: str) -> Corpus:
    return open_corpus([str(source) for source in sources], DataConfig(**options), raw=raw)


def documents(text: Corpus) -> list[str | bytes]:
    found: list[str | bytes] = []
    for piece in text.pieces():
        if piece.starts:
            found.append(piece.text[:0])
        found[-1] += piece.text  # type: ignore[operator]
    return found


def failure(text: Corpus) -> CorpusError:
    with pytest.raises(CorpusError) as caught:
        list(text.pieces())
    assert "\n" not in str(caught.value)
    assert "\n" not in caught.value.hint
    return caught.value
