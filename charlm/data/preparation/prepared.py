"""From settings to tokens on disk, once for the same text and settings.

What was prepared lies in the cache under a key made of all that it depends on.  It appears whole
or not at all: it is built under a temporary name by the one process that holds the key's lock.
"""

import hashlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import store
from charlm.data.preparation.building import PARTS, Preparing, Source, build, open_sources
from charlm.data.preparation.encoding import refuse_respawn
from charlm.data.tokenizers.growth import KnownTokenizer
from charlm.data.tokenizers.kinds import Tokenizer, load
from charlm.durable import TEMPORARY_MARK, make_folder, remove_folder
from charlm.errors import CharlmError, CorpusError, way_out

__all__ = ["Prepared", "Preparing", "find_prepared", "prepare", "prepare_again"]

PATIENCE = 0.5
"""Seconds between two attempts to get a lock that another process holds."""


@dataclass(frozen=True, repr=False)
class Prepared:
    """A text that is ready for training.  ``digest`` is the key of all that it depends on."""

    tokenizer: Tokenizer
    train: store.TokenStore
    valid: store.TokenStore | None
    test: store.TokenStore | None
    digest: str
    notes: tuple[str, ...]
    folder: Path

    def __repr__(self) -> str:
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        tokens = [f"{part} {own.counts.tokens:,}" for part, own in parts.items() if own]
        return f"Prepared({', '.join(tokens)} tokens, vocabulary {self.tokenizer.vocab_size})"


def prepare(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    cache: Path,
    check: Callable[[str], None] | None = None,
    known: KnownTokenizer | None = None,
) -> Generator[Preparing | Prepared, None, None]:
    """Prepare a text, or find it prepared; the last record is ``Prepared``.

    ``known`` is a tokenizer to take over, of the kind that ``tokenizer`` names.

    ``check`` gets the text's digest before it is tokenized, and may raise.  May be closed at any
    time.  Raises ``CorpusError`` where the text cannot be read, is too small for its parts or only
    white space, and where the cache cannot be written; ``TokenizerError`` where no tokenizer can be
    made.
    """
    refuse_respawn()
    yield Preparing("reading", 0, None)
    sources = yield from open_sources(data, raw=tokenizer.kind == "byte")
    key = key_of(sources, tokenizer, known)
    if check is not None:
        check(key)
    prepared = find_prepared(cache, key, whole=True)
    if prepared is None:
        try:
            prepared = yield from build_alone(sources, tokenizer, cache, key, known)
        except OSError as error:
            raise CorpusError(
                f"{cache} cannot be written: {error.strerror or error}",
                f"{way_out(error)}, or set CHARLM_CACHE to another folder",
            ) from None
    # What the sources have to say depends on their names, and is not kept with the tokens.
    said = dict.fromkeys(note for source in sources for note in source.corpus.notes)
    yield replace(prepared, notes=(*said, *prepared.notes))


def key_of(
    sources: list[Source], tokenizer: TokenizerConfig, known: KnownTokenizer | None = None
) -> str:
    """SHA-256, in hex, over the texts and the settings that matter for their tokens."""
    relevant = {
        "byte": (),
        "char": ("vocab_size", "min_count"),
        "word": ("vocab_size", "min_count", "end_of_line"),
    }.get(tokenizer.kind, ("vocab_size",))
    parts = [(source.digest, source.parts, source.shares) for source in sources]
    settings = {name: getattr(tokenizer, name) for name in relevant}
    everything = [store.FORMAT, parts, tokenizer.kind, settings, *(known.key if known else ())]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def folder_of(cache: Path, key: str) -> Path:
    """Where the text lies that was prepared under a key."""
    return cache / "tokens" / key[:32]


def find_prepared(cache: Path, key: str, *, whole: bool = False) -> Prepared | None:
    """The text that was prepared under a key (``Prepared.digest``); None if the cache lacks it, or
    has a damaged one.

    ``whole``: check the hashes of its tokens even if their files were not written to.
    """
    folder = folder_of(cache, key)
    try:
        summary = store.read_summary(folder)
        if summary.get("key") != key:
            return None
        parts = [part for part in PARTS if part in summary["parts"]]
        stores = {part: store.open_store(folder, part, whole=whole) for part in parts}
        tokenizer = load(folder / "tokenizer")
        notes = tuple(map(str, summary["notes"]))
    except (CharlmError, KeyError, TypeError):
        return None
    if "train" not in stores or tokenizer.digest() != summary.get("tokenizer"):
        return None
    train, valid, test = map(stores.get, PARTS)
    assert train is not None
    return Prepared(tokenizer, train, valid, test, key, notes, folder)


def prepare_again(
    key: str,
    data: DataConfig,
    tokenizer: TokenizerConfig,
    cache: Path,
    known: KnownTokenizer | None = None,
) -> Generator[Preparing, None, Prepared]:
    """The text that was prepared under ``key``: found in the cache, or prepared from its sources.

    Yields progress.  Raises ``CorpusError`` where the text cannot be read or has changed.
    """

    def check(digest: str) -> None:
        if digest != key:
            raise CorpusError("the text has changed since it was prepared", "restore the text")

    kept = find_prepared(cache, key, whole=True)
    if kept is not None:
        return kept
    for record in prepare(data, tokenizer, cache, check, known):
        if isinstance(record, Prepared):
            return record
        yield record
    raise AssertionError("preparing ends with a prepared text")


def build_alone(
    sources: list[Source],
    config: TokenizerConfig,
    cache: Path,
    key: str,
    known: KnownTokenizer | None,
) -> Generator[Preparing, None, Prepared]:
    """Build the store, or wait while another process builds it; returns the prepared text."""
    folder = folder_of(cache, key)
    make_folder(folder.parent)
    lock = FileLock(lock_path(folder), thread_local=False)
    try:
        while not lock.is_locked:
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout:
                yield Preparing("waiting for another process to prepare this text", 0, None)
        prepared = find_prepared(cache, key, whole=True)
        if prepared is None:
            clean(folder.parent, own=folder)
            yield from build(sources, config, folder, key, known)
            prepared = find_prepared(cache, key, whole=True)
    finally:
        lock.release()
    if prepared is None:
        raise CorpusError(f"{folder} was changed while it was written", "try again")
    return prepared


def lock_path(folder: Path) -> Path:
    """The lock of whoever builds ``folder``."""
    return folder.with_name(folder.name + ".lock")


def clean(tokens: Path, own: Path) -> None:
    """Remove what killed builders left: temporary folders whose lock nobody holds, and ``own``.

    The caller holds the lock of ``own``.
    """
    if own.exists():
        remove_folder(own)
    for leftover in tokens.glob(f"*{TEMPORARY_MARK}*"):
        target = leftover.with_name(leftover.name.partition(TEMPORARY_MARK)[0])
        if target == own:
            remove_folder(leftover)
            continue
        try:
            with FileLock(lock_path(target), timeout=0):
                remove_folder(leftover)
        except Timeout:
            continue
