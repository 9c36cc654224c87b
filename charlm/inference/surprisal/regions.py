"""Surprisal of regions of interest, each item of an experiment read by itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from charlm.data.formats.alignment import join_texts, token_spans
from charlm.data.formats.listing import Listing
from charlm.data.formats.regions import Item, Region, RegionTable, column_names
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.loading import Loaded
from charlm.inference.predictors.lines import measure_lines
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.surprisal.measures import Predictions
from charlm.inference.surprisal.text import Surprisal, describe
from charlm.inference.surprisal.units import by_region

__all__ = ["measure_regions", "region_surprisals"]

TOGETHER = 128
"""Items that are read side by side."""


def measure_regions(
    loaded: Loaded,
    table: str | Path,
    columns: Sequence[str] = (),
    *,
    encoding: str | None = None,
    join: str = " ",
    top: int = 0,
) -> Iterator[Surprisal]:
    """Yield the regions of a table in a file, or in standard input (``-``), with their cells.

    ``columns`` say what columns are called if not item, region, text and context, like
    ``text=sentence``; ``encoding`` is that of the run's text if None.  Raises ``ConfigError`` for
    columns that there are not, and ``CorpusError`` for a table that is none, before anything is
    yielded.
    """
    listing = Listing(str(table), encoding or loaded.run.config.data.encoding)
    items = RegionTable(listing, column_names(columns))
    return region_surprisals(loaded.model, loaded.tokenizer, items, join=join, top=top)


@dataclass(frozen=True)
class EncodedItem:
    """The tokens (N,) of an item, where they lie (N, 2), and where its regions end, in bytes.

    The text before the item is a region too, the first.
    """

    ids: np.ndarray
    spans: np.ndarray
    ends: list[int]


def region_surprisals(
    model: Predictor, tokenizer: Tokenizer, items: Iterable[Item], *, join: str = " ", top: int = 0
) -> Iterator[Surprisal]:
    """Yield the regions of all items, which are gone through twice.

    Every item is a stream of its own and begins with its context, which is read but not scored.
    Where two regions meet and neither brings white space, ``join`` is put between them.  As with
    words, white space belongs to the region that it ends.

    Raises ``CorpusError`` for a region that ends inside a token, before anything is yielded.
    """
    for item in items:
        encode_item(tokenizer, item, join)
    predictions = Predictions(tokenizer, top, splitting=True)
    index, number = 0, 0
    waiting = iter(items)
    while some := [
        (item, encode_item(tokenizer, item, join)) for item in islice(waiting, TOGETHER)
    ]:
        measured = measure_lines(model, [encoded.ids for _, encoded in some], predictions.measure)
        for (item, encoded), tokens in zip(some, measured, strict=True):
            units = by_region(tokens, encoded.spans, encoded.ends)
            own = islice(units, int(bool(item.context)), None)
            described = describe(tokenizer, own, index, (number, 0))
            for region, found in zip(item.regions, described, strict=True):
                yield replace(found, cells=region.cells, text=region.text)
            index += len(item.regions)
            number += 1


def encode_item(tokenizer: Tokenizer, item: Item, join: str) -> EncodedItem:
    """Join the regions of an item and encode it.  Raises ``CorpusError``."""
    texts = [region.text for region in item.regions]
    whole, begins = join_texts([item.context, *texts] if item.context else texts, join)
    ids = tokenizer.encode(whole)
    spans = token_spans(tokenizer, whole, ids)
    encoded = EncodedItem(ids, spans, [*begins[1:], len(whole.encode())])
    check(whole.encode(), encoded, item.regions)
    return encoded


def check(whole: bytes, encoded: EncodedItem, regions: tuple[Region, ...]) -> None:
    """Raise ``CorpusError`` where a region ends inside a token."""
    starts, stops = encoded.spans.T
    for border, region in zip(encoded.ends, regions[1 - len(encoded.ends) :], strict=False):
        token = int(np.searchsorted(starts, border)) - 1
        if token >= 0 and stops[token] > border and whole[starts[token] : border].strip():
            content = whole[starts[token] : stops[token]].decode(errors="replace")
            raise CorpusError(
                f"{region.name} begins inside a token of this model: {content!r}",
                "let regions begin where words do, or use a model of characters or bytes",
            )
