"""Fetching a corpus: download its files, verify, unpack, divide.

The finished corpus appears as a whole folder or not at all.  A zip archive is only ever a stream
of bytes: no name in it decides where anything is written.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import filelock

from charlm import durable
from charlm.data.cache import cache_folder
from charlm.data.catalogue.card import Card, CardFile
from charlm.data.catalogue.download import LARGEST, Fetching, Unreachable, download
from charlm.data.sources.pieces import reason
from charlm.errors import CorpusError, way_out

__all__ = ["Fetched", "Fetching", "fetch"]

BLOCK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """The end: where the texts lie, and whether they had been there before."""

    paths: tuple[Path, ...]
    already: bool


def fetch(card: Card) -> Iterator[Fetching | Fetched]:
    """Bring a corpus onto this machine; the last record is ``Fetched``.

    Raises ``CorpusError``, and then leaves what it has to be resumed by the next call.
    """
    if card.fetched:
        yield Fetched(card.paths, True)
        return
    if card.folder.exists():
        raise CorpusError(
            f"{card.folder} exists, but not all texts of {card.name} are in it",
            "move the folder away and give the same command again",
        )
    arrivals = cache_folder() / "downloads" / card.name
    with alone(card, arrivals):
        try:
            for file in {file.url: file for file in card.files}.values():
                yield from download(file, arrivals / file.arrival)
        except Unreachable as error:
            raise CorpusError(
                str(error),
                "go online and give the same command again; or download "
                f"{', '.join(card.origins)} elsewhere into {arrivals} and give it then",
            ) from None
        yield from unpack(card, arrivals)
    with suppress(OSError):
        durable.remove_folder(arrivals)
    yield Fetched(card.paths, False)


@contextmanager
def alone(card: Card, arrivals: Path) -> Iterator[None]:
    """Keep other processes from fetching the same corpus; turn disk trouble into advice."""
    try:
        durable.make_folder(arrivals)
        with filelock.FileLock(arrivals.with_name(f"{card.name}.lock"), timeout=0):
            yield
    except filelock.Timeout:
        raise CorpusError(
            f"another process is fetching {card.name}", "wait until it is done"
        ) from None
    except OSError as error:
        raise CorpusError(
            f"{card.name} cannot be stored under {cache_folder()}: {reason(error)}",
            f"{way_out(error)}, or set CHARLM_CACHE to another folder, then give the command again",
        ) from None


def unpack(card: Card, arrivals: Path) -> Iterator[Fetching]:
    """Turn what arrived into the texts of the corpus, all or nothing.  Raises ``CorpusError``."""
    durable.remove_leftovers(card.folder)
    with durable.write_folder(card.folder) as folder:
        for file in card.files:
            arrival = arrivals / file.arrival
            blocks = text_blocks(file, arrival)
            if file.strip_lines:
                blocks = stripped_lines(blocks)
            paths = [folder / path.name for path in card.paths]
            if not card.byte_split:
                paths = [folder / f"{file.part}.txt"]
            total = file.member_bytes or file.bytes
            for done in write(blocks, paths, card.byte_split or (LARGEST,), file.url):
                yield Fetching("unpack", file.arrival, done, total)


def write(
    blocks: Iterable[bytes], paths: list[Path], sizes: tuple[int, ...], name: str
) -> Iterator[int]:
    """Write ``blocks`` to ``paths``, so many bytes to each; yield the bytes written so far.

    Raises ``CorpusError`` where the text is shorter or longer than all sizes together.
    """
    done = 0
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    with ExitStack() as stack:
        files = [stack.enter_context(durable.create(path)) for path in paths]
        for block in blocks:
            for file, end in zip(files, ends, strict=True):
                share = block[: max(end - done, 0)]
                file.write(share)
                block, done = block[len(share) :], done + len(share)
            if block:
                raise CorpusError(f"{name} is longer than its division", "please report it")
            yield done
    if len(sizes) > 1 and done < ends[-1]:
        raise CorpusError(f"{name} is shorter than its division", "please report it")


def text_blocks(file: CardFile, arrival: Path) -> Iterator[bytes]:
    """The text of ``file`` out of what arrived, verified at its end.  Raises ``CorpusError``."""
    if file.member is None:
        with arrival.open("rb") as plain:
            yield from blocks_of(plain, LARGEST)
        return
    digest, size = hashlib.sha256(), 0
    damaged = CorpusError(
        f"{file.member} in {arrival} is missing, damaged or not what the card describes",
        "delete the archive and give the same command again",
    )
    try:
        with zipfile.ZipFile(arrival) as archive, archive.open(file.member) as packed:
            for block in blocks_of(packed, file.member_bytes or LARGEST):
                digest.update(block)
                size += len(block)
                yield block
    # What zipfile raises for archives that are damaged, encrypted or packed in unknown ways.
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError) as error:
        raise damaged from error
    if file.member_bytes not in (None, size):
        raise damaged
    if file.member_sha256 not in (None, digest.hexdigest()):
        raise damaged


def blocks_of(content: IO[bytes], limit: int) -> Iterator[bytes]:
    """``content`` in blocks, up to one byte more than ``limit``, which shows that it is longer."""
    while block := content.read(min(BLOCK, limit + 1)):
        yield block
        limit -= len(block)
        if limit < 0:
            return


def stripped_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """``blocks`` without the spaces at both ends of every line."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield b"".join(line.strip(b" ") + b"\n" for line in lines)
    yield rest.strip(b" ")
