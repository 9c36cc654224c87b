"""From the tokens of a text to its sorted suffixes, once, in the cache.

index.json     format, and the size and time of writing of both files
text.bin       the text in UTF-8, 0xFF after each document
suffixes.bin   the offsets of all suffixes in order: int32, int64 from 2 GiB of text on
"""

import codecs
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from charlm.data.preparation.store import TokenStore
from charlm.data.suffixes.index import END, SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.durable import (
    create,
    make_folder,
    remove_folder,
    remove_leftovers,
    write_folder,
    write_text,
)
from charlm.errors import CharlmError, CorpusError, way_out
from charlm.untrusted import parse_json, read_file

__all__ = ["Indexing", "decoded", "fold", "index_text"]

FORMAT = 1
ABOUT, TEXT, SUFFIXES = "index.json", "text.bin", "suffixes.bin"
LARGEST_ABOUT = 1 << 16
"""Bytes of ``index.json`` that are read at most."""

MARK = END.decode("utf-8", "surrogateescape")
"""The end of a document in a str."""

TOKENS = 1 << 20
"""Tokens that are decoded at a time."""

SMALL = 1 << 26
"""Bytes of memory that every machine is taken to have."""

NARROW = 1 << 31
"""Bytes of text from which offsets take 8 bytes instead of 4."""

PATIENCE = 0.5
"""Seconds between two reports while suffixes are sorted."""

WHITE_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Indexing:
    """Progress: ``done`` of ``total`` tokens or seconds, ``total`` None if it is not known."""

    phase: str
    done: float
    total: float | None


def fold(text: str) -> str:
    """``text`` without what near copies may differ in: case, and the kind and amount of white
    space.
    """
    return WHITE_SPACE.sub(" ", text.casefold())


def index_text(
    stores: Callable[[], Sequence[TokenStore]],
    tokenizer: Tokenizer,
    digest: str,
    cache: Path,
    *,
    folded: bool = False,
) -> Iterator[Indexing | SuffixIndex]:
    """The index of the text that ``stores`` hold; the last record is the ``SuffixIndex``.

    It is found in the ``cache`` under the text's ``digest``, or built, for which the stores are
    opened.  With ``folded`` it is the index of the text without case and with single spaces.
    Raises ``CorpusError`` where memory or disk are too small, and ``CharlmError`` without the extra
    ``novelty``.
    """
    key = hashlib.sha256(f"{FORMAT} {digest} {folded}".encode()).hexdigest()
    folder = cache / "suffixes" / key[:32]
    found = open_index(folder)
    if found is None:
        opened = stores()
        try:
            yield from build(opened, tokenizer, folder, folded=folded)
        except OSError as error:
            # Another process may have made it meanwhile.
            if open_index(folder) is None:
                raise CorpusError(
                    f"{cache} cannot be written: {error.strerror or error}",
                    f"{way_out(error)}, or set CHARLM_CACHE to another folder",
                ) from None
        found = open_index(folder)
    if found is None:
        raise CorpusError(f"{folder} was changed while it was written", "try again")
    yield found


def open_index(folder: Path) -> SuffixIndex | None:
    """Map the index in ``folder``; None if there is none, or a damaged one."""
    try:
        about = parse_json(read_file(folder / ABOUT, LARGEST_ABOUT))
        if about != described(folder):
            return None
        text = np.memmap(folder / TEXT, np.uint8, mode="r")
        dtype = np.int32 if (folder / SUFFIXES).stat().st_size == 4 * len(text) else np.int64
        suffixes = np.memmap(folder / SUFFIXES, dtype, mode="r")
    except (OSError, ValueError, CharlmError):
        return None
    return SuffixIndex(text.data, suffixes.data) if len(suffixes) == len(text) else None


def described(folder: Path) -> dict[str, Any]:
    """What ``index.json`` says of whole files.  Raises ``OSError``."""
    stats = {name: (folder / name).stat() for name in (TEXT, SUFFIXES)}
    return {
        "format": FORMAT,
        **{name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()},
    }


def build(
    stores: Sequence[TokenStore], tokenizer: Tokenizer, folder: Path, *, folded: bool
) -> Iterator[Indexing]:
    """Make the index ``folder``.  Raises ``OSError``, ``CorpusError`` and ``CharlmError``."""
    divsufsort = sorter()
    size, free = sum(store.counts.bytes for store in stores), free_memory()
    if free is not None and memory_for(size) > max(free, SMALL):
        raise too_large(size, free)
    make_folder(folder.parent)
    remove_leftovers(folder)
    if folder.exists():
        remove_folder(folder)
    with write_folder(folder) as temporary:
        with create(temporary / TEXT) as file:
            blocks = chain.from_iterable(decoded(store.tokens, tokenizer) for store in stores)
            total = sum(len(store.tokens) for store in stores)
            for number, block in enumerate(fold_all(blocks) if folded else blocks, 1):
                file.write(block.encode("utf-8", "surrogateescape"))
                yield Indexing("reading the training text", min(number * TOKENS, total), total)
        suffixes = yield from sort((temporary / TEXT).read_bytes(), divsufsort)
        with create(temporary / SUFFIXES) as file:
            file.write(suffixes.data)
        write_text(temporary / ABOUT, json.dumps(described(temporary)) + "\n")


def decoded(tokens: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The text of tokens (N,), one of them the last boundary, a block at a time; ``MARK`` stands
    for a boundary.  What is not UTF-8 becomes U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for first in range(0, len(tokens), TOKENS):
        block, begin, parts = tokens[first : first + TOKENS], 0, list[str]()
        for end in [*np.flatnonzero(block == tokenizer.boundary_id).tolist(), len(block)]:
            # A word's space depends on the token before it.
            before = tokens[max(first + begin - 1, 0) : first + begin]
            known = len(tokenizer.decode_bytes(before))
            whole = tokenizer.decode_bytes(np.concatenate([before, block[begin:end]]))
            parts.append(decoder.decode(whole[known:]))
            if end < len(block):
                parts += decoder.decode(b"", final=True), MARK
            begin = end + 1
        yield "".join(parts)


def fold_all(blocks: Iterable[str]) -> Iterator[str]:
    """``fold`` of a text that comes in blocks."""
    spaced = False
    for block in blocks:
        folded = fold(block)
        yield folded.removeprefix(" ") if spaced else folded
        spaced = folded.endswith(" ")


def sort(text: bytes, divsufsort: Callable[[bytes], Any]) -> Generator[Indexing, None, np.ndarray]:
    """The offsets of all suffixes of ``text`` in order.

    Sorted in a thread of its own, so that progress is told, and Ctrl-C heard.  Raises
    ``CorpusError`` where there is too little memory.
    """
    result: list[Any] = []

    def work() -> None:
        try:
            result.append(divsufsort(text))
        except Exception:  # of memory: the library's own tell nothing else
            result.append(None)

    thread = threading.Thread(target=work, daemon=True)
    began = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(PATIENCE)
        yield Indexing("sorting the training text", time.monotonic() - began, None)
    (sorted_suffixes,) = result
    if sorted_suffixes is None:
        raise too_large(len(text), None)
    found: np.ndarray = sorted_suffixes
    return found


def sorter() -> Callable[[bytes], Any]:
    """The function that sorts suffixes.  Raises ``CharlmError`` where it is not installed."""
    try:
        from pydivsufsort import divsufsort
    except ModuleNotFoundError:
        raise CharlmError(
            "finding copies needs the package pydivsufsort, which is not installed",
            "pip install -c constraints.txt -e '.[novelty]'",
        ) from None
    sort: Callable[[bytes], Any] = divsufsort
    return sort


def memory_for(size: int) -> int:
    """Bytes of memory that sorting a text of ``size`` bytes takes: the text and its offsets."""
    return size * (1 + (4 if size < NARROW else 8))


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return found[0] << 10 if found else None


def too_large(size: int, free: int | None) -> CorpusError:
    """The error for a text whose suffixes cannot be sorted in the memory that is ``free``."""
    have = "more than is free" if free is None else f"and {free / 1e9:.1f} GB are free"
    return CorpusError(
        f"sorting the training text ({size / 1e9:.1f} GB) needs {memory_for(size) / 1e9:.1f} GB of "
        f"memory, {have}",
        "close other programs, or run this once on a machine with more memory and copy "
        "the folder suffixes of its cache",
    )
