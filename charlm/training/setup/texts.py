"""The text of a training: prepared, or found in the cache, and what a user should know about it."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from charlm.config import Config, DataConfig
from charlm.config.section import assignment
from charlm.data.cache import cache_folder
from charlm.data.preparation.line_ends import store_has_windows_lines
from charlm.data.preparation.prepared import Prepared, Preparing, find_prepared, prepare
from charlm.data.sources.tables import kind_of
from charlm.data.tokenizers.growth import KnownTokenizer
from charlm.errors import CorpusError
from charlm.storage.run import Run
from charlm.training.reports import Note
from charlm.training.setup.resuming import OtherTextError, refuse_other_text

__all__ = ["notes_on", "prepare_for"]

MANY_UNKNOWN = 0.2
"""Share of unknown tokens in the validation text from which a note is given."""

WINDOWS_LINES = (
    "lines end with CR LF (as on Windows), which the model will learn; it predicts texts with LF "
    "worse then: convert this one to LF if that matters (tr -d '\\r' < OLD > NEW)"
)


def prepare_for(
    config: Config,
    stop: Callable[[], str | None],
    text_of: Run | None,
    begun: Run | None,
    known: KnownTokenizer | None = None,
) -> Generator[Preparing | Prepared | Note, None, Prepared | None]:
    """Prepare the text of a training; yields progress, returns ``Prepared``, or None if stopped.

    ``known`` is the tokenizer of a run to train on.  The text of the run ``text_of`` is known by
    its digest alone if it was standard input, or is not found.  Raises ``OtherTextError`` for a
    text that is not that of the run ``begun``.
    """
    data = config.data
    if text_of is not None and "-" in (*data.sources, *data.valid, *data.test):
        kept = yield from kept_text(text_of)
        if kept is not None:
            return kept
        yield Note(text="standard input is read again: this run's text is no longer in the cache")
    check = partial(refuse_other_text, begun, config) if begun else ignore
    try:
        for record in prepare(data, config.tokenizer, cache_folder(), check, known):
            yield record
            if isinstance(record, Prepared):
                return record
            if stop():
                return None
    except CorpusError as error:
        if text_of is None or isinstance(error, OtherTextError):
            raise
        yield Note(text=f"{error}; looking for its tokens in the cache")
        kept = yield from kept_text(text_of)
        if kept is not None:
            return kept
        raise CorpusError(
            f"the text of this run is not here: {error}",
            "name the text beside `out`, wherever it is now and whatever it is called",
        ) from error
    return None


def ignore(digest: str) -> None:
    """Any text will do: the run is new."""


def kept_text(run: Run) -> Generator[Prepared, None, Prepared | None]:
    """Yield and return the text of a run that is in the cache, if it is."""
    kept = find_prepared(cache_folder(), run.origin["digest"], whole=True)
    if kept is not None:
        yield kept
    return kept


def notes_on(data: DataConfig, prepared: Prepared, *, resumed: bool) -> Iterator[Note]:
    """What a user should know about a prepared text before training on it, or before going on."""
    yield from (Note(text=note) for note in prepared.notes)
    default, every = DataConfig(), (*data.sources, *data.valid, *data.test)
    paths = [Path(source) for source in every if source != "-"]
    if all(path.is_file() and not kind_of(path) for path in paths):
        for name in ("text_column", "dataset_split"):
            if getattr(data, name) != getattr(default, name):
                yield Note(text=f"`data.{name}` does nothing: plain text is no table or dataset")
    if not resumed and data.split and round(sum(data.split), 6) not in (1, 100):
        shares = ", ".join(f"{share:.3g} %" for share in np.multiply(data.shares, 100))
        yield Note(text=f"`{assignment('data.split', data.split)}` adds up to "
                   f"{sum(data.split):g}: the parts are {shares} of the text")  # fmt: skip
    if not resumed and store_has_windows_lines(prepared.train, prepared.tokenizer):
        yield Note(text=WINDOWS_LINES)
    unknown = prepared.tokenizer.unknown_id
    if unknown is not None and prepared.valid is not None and len(prepared.valid.tokens):
        share = float(np.mean(prepared.valid.tokens == unknown))
        if share >= MANY_UNKNOWN:
            yield Note(
                text=f"{share:.0%} of the tokens to validate on are unknown: the figures say "
                "little about the text; a larger vocabulary or smaller tokens would"
            )
