"""Tokens on disk: one flat little-endian file per part, beside JSON that says what they are.

store.json       format, dtype, hashes of source, tokenizer and tokens, notes, counts of each part
train.bin ...    boundary, document, boundary, document, ..., boundary
tokenizer/       the tokenizer that made the tokens
"""

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from charlm.data.preparation.counting import Counts, TextCounter
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer, as_text
from charlm.durable import create, write_text
from charlm.errors import CorpusError
from charlm.untrusted import parse_json, read_file

__all__ = ["FORMAT", "PartWriter", "TokenStore", "open_store", "read_summary", "write_summary"]

FORMAT = 1
SUMMARY = "store.json"
LARGEST_SUMMARY = 1 << 22
DTYPES = ("<u1", "<u2", "<u4")
HELD = 128 << 20
"""Bytes of tokens up to which ``whole`` reads them into memory.  A file that is cut short while it
is mapped ends the process at once, unsaved."""

LONGEST_NAMES = 1 << 16
"""Characters of all unknown symbols of a part; of a part that has more, none is kept."""


@dataclass(frozen=True)
class TokenStore:
    """One part of a prepared text.

    ``tokens`` (N,) are read-only, and memory-mapped if there are many: boundary, document, ...,
    boundary.  ``unknown`` counts the characters or words that the vocabulary lacks; it is empty
    where there are none, or too many to keep.
    ``mapped`` is the file that must stay as it is while the tokens are in use, if there is one.
    """

    tokens: np.ndarray
    counts: Counts
    unknown: Counter[str] = field(default_factory=Counter)
    mapped: Path | None = None

    def check_length(self) -> None:
        """Raise ``CorpusError`` if the mapped file has been cut short; to read it would end the
        process.  A file that was removed can still be read.
        """
        try:
            cut = self.mapped is not None and self.mapped.stat().st_size < self.tokens.nbytes
        except OSError:
            return
        if cut:
            assert self.mapped is not None
            raise damaged(self.mapped.parent, f"{self.mapped.name} was cut short while in use")


class PartWriter:
    """Writes the tokens of one part as they come; a context manager."""

    def __init__(self, folder: Path, part: str, tokenizer: Tokenizer) -> None:
        self.file = create(part_path(folder, part))
        self.tokenizer = tokenizer
        self.oov = 0
        self.unknown = Counter[str]()
        self.boundary = np.array([tokenizer.boundary_id], dtype=tokenizer.dtype)
        self.counter = TextCounter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self.file:
            self.file.write(self.boundary.data)

    def add(self, piece: EncodedPiece) -> None:
        """Append a piece, after a boundary if it starts a document.  Raises ``OSError``."""
        if piece.starts:
            self.file.write(self.boundary.data)
        self.file.write(piece.ids.data)
        self.counter.add(Piece(piece.text, piece.starts), tokens=len(piece.ids))
        if lacking := int(np.count_nonzero(self.tokenizer.oov(piece.text, piece.ids))):
            self.oov += lacking
            self.unknown.update(self.tokenizer.unknown(as_text(piece.text)))
            if sum(map(len, self.unknown)) > LONGEST_NAMES:
                self.unknown.clear()

    @property
    def counts(self) -> Counts:
        """The counts of what was written so far."""
        return self.counter.counts

    @property
    def missing(self) -> Counter[str]:
        """What the vocabulary lacks, with its counts; empty where it was too much to be kept."""
        return self.unknown if self.unknown.total() == self.oov else Counter()


def write_summary(
    folder: Path, tokenizer: Tokenizer, parts: dict[str, Counts], about: dict[str, Any]
) -> None:
    """Write the JSON that completes a store.  Raises ``OSError``."""
    summary = {
        "format": FORMAT,
        "dtype": tokenizer.dtype.str.replace("|", "<"),
        "tokenizer": tokenizer.digest(),
        "files": {part: seal_of(part_path(folder, part)) for part in parts},
        **about,
        "parts": {part: dataclasses.asdict(counts) for part, counts in parts.items()},
    }
    write_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")


def read_summary(folder: Path) -> dict[str, Any]:
    """The JSON of a store.  Raises ``CorpusError`` if it is missing, damaged or too new."""
    try:
        summary = parse_json(read_file(folder / SUMMARY, LARGEST_SUMMARY))
    except OSError as error:
        raise damaged(folder, f"{SUMMARY} cannot be read: {error.strerror}") from None
    except ValueError:
        raise damaged(folder, f"{SUMMARY} is no JSON") from None
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise damaged(folder, f"{SUMMARY} has not format {FORMAT}")
    return summary


def seal_of(path: Path) -> dict[str, Any]:
    """The SHA-256 of a file, and when it was written, in nanoseconds.  Raises ``OSError``."""
    with path.open("rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "written": path.stat().st_mtime_ns,
        }


def open_store(folder: Path, part: str, *, whole: bool = False) -> TokenStore:
    """Map the tokens of a part: train, valid or test.

    Raises ``CorpusError`` if the store is missing, or not of the size and content that its JSON
    tells.  The content is read for that if the file was written to since, or the ``whole`` is to
    be checked in any case.  Stores of earlier versions tell no hash.
    """
    summary = read_summary(folder)
    try:
        counts = Counts(**summary["parts"][part])
        numbers = [value for value in dataclasses.astuple(counts) if value >= 0]
        length = counts.documents + counts.tokens + 1
        dtype = np.dtype(DTYPES[DTYPES.index(summary["dtype"])])
        fine = all(type(value) is int for value in numbers) and len(numbers) == 5
        unknown = Counter[str](summary.get("unknown", {}).get(part))
        fine = fine and unknown.total() >= 0
    except (AttributeError, KeyError, TypeError, ValueError):
        fine = False
    if not fine:
        raise damaged(folder, f"{SUMMARY} does not tell the counts of {part}")
    path = part_path(folder, part)
    try:
        if path.stat().st_size != length * dtype.itemsize:
            raise damaged(folder, f"{path.name} has not the size that {SUMMARY} tells")
        held = whole and length * dtype.itemsize <= HELD
        content = memoryview(path.read_bytes()) if held else np.memmap(path, mode="r").data
        check_content(path, content, summary.get("files"), part, whole)
    except OSError as error:
        raise damaged(folder, f"{path.name} cannot be read: {error.strerror}") from None
    mapped = None if held else path
    return TokenStore(np.frombuffer(content, dtype=dtype), counts, unknown, mapped)


def check_content(path: Path, content: memoryview, seals: Any, part: str, whole: bool) -> None:
    """Raise ``CorpusError`` unless ``content`` has the SHA-256 that ``seals`` tell of its part.

    Unless the ``whole`` is to be checked, a file that was not written to since it was sealed is
    taken for what it was.
    """
    seal = seals.get(part) if isinstance(seals, dict) else None
    if not isinstance(seal, dict):  # a store of an earlier version
        return
    if not whole and seal.get("written") == path.stat().st_mtime_ns:
        return
    if hashlib.sha256(content).hexdigest() != seal.get("sha256"):
        raise damaged(path.parent, f"{path.name} has changed since it was written")


def part_path(folder: Path, part: str) -> Path:
    """The file of the tokens of a part."""
    return folder / f"{part}.bin"


def damaged(folder: Path, what: str) -> CorpusError:
    """The error for a store that cannot be used."""
    return CorpusError(
        f"the prepared text in {folder} is unusable: {what}",
        "delete that folder; it is made again from the text",
    )
