"""The rows of ``charlm score``: units of texts, or regions of interest of a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from charlm.data.preparation.streams import Reset
from charlm.data.sources.corpora import Corpus
from charlm.errors import ConfigError, counted
from charlm.inference.loading import Loaded
from charlm.inference.surprisal.regions import measure_regions
from charlm.inference.surprisal.text import Surprisal, SurprisalSums, measure_surprisal, with_sums
from charlm.inference.texts import has_tables, tell

__all__ = ["measure_rows"]


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
    ``sentences`` asks for the rows of neural-complexity: each line is a stream, and its end is a
    row by itself for a word tokenizer, else the end of its last word.  Raises what
    ``measure_regions`` and ``measure_surprisal`` do.
    """
    size, kind = models[0].tokenizer.vocab_size, models[0].tokenizer.kind
    if top > size:
        tell(f"the vocabulary has {counted(size, 'token')}, so `top` is that many")
    if sentences:
        by, reset, more = "token" if kind == "word" else by, "line", False
    each: list[Iterator[Surprisal]]
    if by == "region":
        if isinstance(given, Corpus):
            raise ConfigError("`by='region'` reads one table", "give the Path of a table")
        how: Any = {"encoding": encoding, "join": join, "top": top}
        each = [measure_regions(model, given, columns, **how) for model in models]
    else:
        assert isinstance(given, Corpus)
        if reset is None and has_tables(given):
            tell("each row of the table is scored by itself; `reset='never'` carries the state on")
        how = {"reset": reset, "top": top, "more": more}
        each = [measure_surprisal(model, given, by, **how) for model in models]
    return each[0] if len(each) == 1 else with_sums(*each)
