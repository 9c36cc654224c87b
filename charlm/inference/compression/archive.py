"""The file that ``charlm compress`` writes: a header, coded tokens, extras, a checksum.

```
...   ``LAYOUT``: magic, format, the numbers and the two hashes of ``Header``
...   run and machine, each with a zero byte behind it
...   tokens, coded
...   extras: what tokens cannot say
4     CRC-32 of all before, little-endian
```
"""

import struct
import zlib
from dataclasses import dataclass

from charlm.errors import CorpusError

__all__ = ["LARGEST", "Archive", "Header", "read_archive"]

MAGIC = b"\x89charlm\n"
FORMAT = 2
"""Format 1, until November 2026, was coded in other probabilities."""

LAYOUT = struct.Struct("<8sBBHHIIII32s12s")
CHECKSUM = struct.Struct("<I")

LARGEST = (1 << 32) - 1
"""Most bytes and tokens of a file."""

MOST_LANES = 1024
"""With more, a forged header could fill the memory."""


@dataclass(frozen=True)
class Header:
    """What has to be known to decompress a file, and to notice that it went wrong.

    ``arithmetic`` says how probabilities are computed and ``rate``, in millionths, how fast the
    model learned.  ``length`` counts the bytes of the file and ``coded`` those of its coded tokens.
    ``content`` is the SHA-256 of the file, ``model`` the first 12 of that of tokenizer and
    weights.  ``run`` and ``step`` say where the model was, ``machine`` what computed the
    probabilities, where they may differ elsewhere.
    """

    arithmetic: int
    lanes: int
    rate: int
    tokens: int
    length: int
    coded: int
    step: int
    content: bytes
    model: bytes
    run: bytes
    machine: bytes


@dataclass(frozen=True)
class Archive:
    """A compressed file: its header, the coded tokens, and the extras."""

    header: Header
    coded: bytes
    extras: bytes

    def to_bytes(self) -> bytes:
        """The file."""
        *fields, run, machine = vars(self.header).values()
        names = run + b"\0" + machine + b"\0"
        inner: bytes = LAYOUT.pack(MAGIC, FORMAT, *fields) + names + self.coded + self.extras
        return inner + CHECKSUM.pack(zlib.crc32(inner))


def read_archive(content: bytes, name: str) -> Archive:
    """Take the file ``name`` apart.

    Raises ``CorpusError`` if charlm has not written it, or in another format, and if it is cut
    short or damaged.
    """
    if not content.startswith(MAGIC):
        raise CorpusError(
            f"{name} is no file that charlm compress has written", "name one that it has"
        )
    inner, checksum = content[: -CHECKSUM.size], content[-CHECKSUM.size :]
    if CHECKSUM.pack(zlib.crc32(inner)) != checksum:
        raise damaged(name)
    version = inner[len(MAGIC)]
    if version != FORMAT:
        raise CorpusError(
            f"{name} has format {version}, not {FORMAT}",
            "decompress it with the version of charlm that wrote it",
        )
    try:
        _, _, *fields = LAYOUT.unpack_from(inner)
        run, machine, rest = inner[LAYOUT.size :].split(b"\0", 2)
    except (struct.error, ValueError):
        raise damaged(name) from None
    header = Header(*[*fields, run, machine])
    if not 1 <= header.lanes <= MOST_LANES or header.coded > len(rest):
        raise damaged(name)
    return Archive(header, rest[: header.coded], rest[header.coded :])


def damaged(name: str) -> CorpusError:
    """The error for a file whose bits have changed."""
    return CorpusError(
        f"{name} is damaged or cut short: its checksum does not agree",
        "restore it, or copy it again",
    )
