"""The file that ``charlm compress`` writes: a header, coded tokens, extras, a checksum.

```
8 bytes   magic
2         format; 2 bytes size of the header
...       header: the fields of ``Header`` in their order, little-endian, then two short texts
...       tokens, coded
...       extras: what tokens cannot say
4         CRC-32 of all before
```
"""

import struct
import zlib
from dataclasses import dataclass

from charlm.errors import CorpusError

__all__ = ["Archive", "Header", "read_archive", "write_archive"]

MAGIC = b"\x89charlm\n"
FORMAT = 1
START = struct.Struct("<8sHH")
FIELDS = struct.Struct("<BHQQQQ32s16s8sHd")
END = struct.Struct("<I")
LONGEST_TEXT = 255


@dataclass(frozen=True)
class Header:
    """What has to be known to decompress, and to notice that it went wrong.

    ``arithmetic`` says how probabilities were computed; ``content`` is the SHA-256 of the file,
    ``model`` the beginning of that of the model and its tokenizer; ``witness`` stands for the
    first logits, bit by bit.  ``segment`` and ``rate`` are those of learning.  ``run`` and ``step``
    say where the model was, ``machine`` with what it computed.
    """

    arithmetic: int
    lanes: int
    tokens: int
    length: int
    coded: int
    step: int
    content: bytes
    model: bytes
    witness: bytes
    segment: int
    rate: float
    run: str
    machine: str


@dataclass(frozen=True)
class Archive:
    """A compressed file, taken apart."""

    header: Header
    coded: bytes
    extras: bytes
    size: int = 0
    """Bytes of the whole file."""


def write_archive(archive: Archive) -> bytes:
    """The bytes of the file."""
    *numbers, run, machine = vars(archive.header).values()
    header = FIELDS.pack(*numbers) + write_text(run) + write_text(machine)
    start = START.pack(MAGIC, FORMAT, len(header))
    content = start + header + archive.coded + archive.extras
    return content + END.pack(zlib.crc32(content))


def read_archive(content: bytes, name: str) -> Archive:
    """Take the file ``name`` apart.

    Raises ``CorpusError`` if it is none of ours, from a newer version, cut short or damaged.
    """
    if len(content) < START.size + END.size or not content.startswith(MAGIC):
        raise CorpusError(
            f"{name} is no file that charlm compress has written", "name one that it has"
        )
    _, version, size = START.unpack_from(content)
    if END.unpack(content[-END.size :])[0] != zlib.crc32(content[: -END.size]):
        raise damaged(name)
    if version != FORMAT:
        raise CorpusError(
            f"{name} has format {version}, not {FORMAT}",
            "use the version of charlm that wrote it, or a newer one",
        )
    begin = START.size + size
    try:
        fields = FIELDS.unpack_from(content, START.size)
        texts = read_texts(content[START.size + FIELDS.size : begin])
    except (struct.error, ValueError):
        raise damaged(name) from None
    header = Header(*fields, *texts)
    middle = begin + header.coded
    if header.lanes < 1 or middle > len(content) - END.size:
        raise damaged(name)
    return Archive(header, content[begin:middle], content[middle : -END.size], len(content))


def write_text(text: str) -> bytes:
    """A short text with its size; too long a one is left out."""
    content = text.encode("utf-8", errors="surrogateescape")
    return bytes([len(content)]) + content if len(content) <= LONGEST_TEXT else b"\0"


def read_texts(content: bytes) -> tuple[str, str]:
    """The two texts at the end of the header.  Raises ``ValueError``."""
    texts = []
    while content:
        size = content[0] + 1
        texts.append(content[1:size].decode("utf-8", errors="surrogateescape"))
        content = content[size:]
    first, second = texts
    return first, second


def damaged(name: str) -> CorpusError:
    """The error for a file whose bits have changed."""
    return CorpusError(
        f"{name} is damaged or cut short: its checksum does not agree",
        "restore it, or copy it again",
    )
