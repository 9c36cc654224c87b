"""The rows of ``charlm score``: units of texts, or regions of interest of a table."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from charlm.data.preparation.streams import Reset
from charlm.data.sources.corpora import Corpus
from charlm.errors import ConfigError, counted
from charlm.inference.loading import Loaded
from charlm.inference.surprisal.neural_complexity import measure_sentences
from charlm.inference.surprisal.regions import measure_regions
from charlm.inference.surprisal.text import (
    Surprisal,
    SurprisalSums,
    measure_surprisal,
    with_sums,
)
from charlm.inference.texts import has_tables, tell

__all__ = ["REGION", "measure_rows"]

REGION = "region"
"""The unit of a table that has a row for each region of an item."""


def measure_rows(
    models: Sequence[Loaded],
    given: Corpus | str | Path,
    by: str = "word",
    *,
    reset: Reset | None = None,
    top: int = 0,
    more: bool = False,
    columns: Sequence[str] = (),
    join: str = " ",
    encoding: str | None = None,
    sentences: bool = False,
) -> Iterator[Surprisal | SurprisalSums]:
    """Yield the units of a corpus, or the regions of the table that ``given`` names.

    ``models`` are the model and, where methods of evaluation time are in use, the static one; then
    the last record is the sum of both.  ``columns``, ``join`` and ``encoding`` are for regions;
    ``sentences`` asks for the rows of neural-complexity.  Raises what ``measure_regions`` and
    ``measure_surprisal`` do.
    """
    model, *static = models
    size = model.tokenizer.vocab_size
    if top > size:
        tell(f"the vocabulary has {counted(size, 'token')}, so `top` is that many")
    if by == REGION:
        if isinstance(given, Corpus):
            raise ConfigError("`by='region'` reads one table", "give the Path of a table")
        measure = partial(
            measure_regions, table=given, columns=columns, encoding=encoding, join=join, top=top
        )
    else:
        assert isinstance(given, Corpus)
        if reset is None and has_tables(given) and not sentences:
            tell("each row of the table is scored by itself; `reset='never'` carries the state on")
        measure = partial(measure_surprisal, corpus=given, by=by, reset=reset, top=top, more=more)
        measure = partial(measure_sentences, corpus=given) if sentences else measure
    rows = measure(model)
    return with_sums(rows, measure(static[0])) if static else rows
