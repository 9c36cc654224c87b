"""The file that ``charlm compress`` writes: a header, coded tokens, extras, a checksum.

```
8 bytes   magic
...       header: format, the whole numbers of ``Header``, its byte strings, as ``packing`` does
...       tokens, coded
...       extras: what tokens cannot say
4         CRC-32 of all before, little-endian
```
"""

import zlib
from dataclasses import dataclass

from charlm.errors import CorpusError
from charlm.inference.compression.packing import number, read, read_number, write

__all__ = ["Archive", "Header", "read_archive", "write_archive"]

MAGIC = b"\x89charlm\n"
FORMAT = 1
NUMBERS, STRINGS = 8, 5
CHECKSUM = 4


@dataclass(frozen=True)
class Header:
    """What has to be known to decompress, and to notice that it went wrong.

    ``arithmetic`` says how probabilities were computed, ``segment`` and ``rate`` (in millionths)
    how the model learned.  ``content`` is the SHA-256 of the file, ``model`` the beginning of that
    of tokenizer and weights; ``witness`` stands for the first logits, bit by bit, and ``machine``
    for what computed them, where that matters.  ``run`` and ``step`` say where the model was.
    """

    arithmetic: int
    lanes: int
    tokens: int
    length: int
    coded: int
    step: int
    segment: int
    rate: int
    content: bytes
    model: bytes
    witness: bytes
    run: bytes
    machine: bytes


@dataclass(frozen=True)
class Archive:
    """A compressed file, taken apart; ``size`` is that of the whole."""

    header: Header
    coded: bytes
    extras: bytes
    size: int = 0


def write_archive(archive: Archive) -> bytes:
    """The bytes of the file."""
    fields = list(vars(archive.header).values())
    numbers = b"".join(map(number, [FORMAT, *fields[:NUMBERS]]))
    content = MAGIC + numbers + write(fields[NUMBERS:]) + archive.coded + archive.extras
    return content + zlib.crc32(content).to_bytes(CHECKSUM, "little")


def read_archive(content: bytes, name: str) -> Archive:
    """Take the file ``name`` apart.

    Raises ``CorpusError`` if it is none of ours, from a newer version, cut short or damaged.
    """
    if not content.startswith(MAGIC):
        raise CorpusError(
            f"{name} is no file that charlm compress has written", "name one that it has"
        )
    inner, checksum = content[:-CHECKSUM], content[-CHECKSUM:]
    if zlib.crc32(inner).to_bytes(CHECKSUM, "little") != checksum:
        raise damaged(name)
    source = iter(inner[len(MAGIC) :])
    try:
        version = read_number(source)
        if version != FORMAT:
            raise newer(name, version)
        numbers = [read_number(source) for _ in range(NUMBERS)]
        header = Header(*[*numbers, *read(source)])  # type: ignore[arg-type]
    except (ValueError, TypeError):
        raise damaged(name) from None
    rest = bytes(source)
    if header.lanes < 1 or header.coded > len(rest):
        raise damaged(name)
    return Archive(header, rest[: header.coded], rest[header.coded :], len(content))


def damaged(name: str) -> CorpusError:
    """The error for a file whose bits have changed."""
    return CorpusError(
        f"{name} is damaged or cut short: its checksum does not agree",
        "restore it, or copy it again",
    )


def newer(name: str, version: int) -> CorpusError:
    """The error for a file of a later format."""
    return CorpusError(
        f"{name} has format {version}, not {FORMAT}",
        "use the version of charlm that wrote it, or a newer one",
    )
