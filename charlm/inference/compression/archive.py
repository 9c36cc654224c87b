"""The file that ``charlm compress`` writes: a header, coded tokens, extras, a checksum.

```
...   ``LAYOUT``: magic, format, numbers and two hashes
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

__all__ = ["LARGEST", "Archive", "read_archive"]

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
class Archive:
    """A compressed file: what has to be known to decompress it, and to notice that it went wrong.

    ``arithmetic`` says how probabilities are computed and ``rate``, in millionths, how fast the
    model learned.  ``length`` is the size of the file in bytes, ``content`` its SHA-256; ``model``
    are the first 12 bytes of that of tokenizer and weights.  ``run`` and ``step`` say where the
    model was, ``machine`` what computed the probabilities, where they may differ elsewhere.
    """

    arithmetic: int
    lanes: int
    rate: int
    tokens: int
    length: int
    step: int
    content: bytes
    model: bytes
    run: bytes
    machine: bytes
    coded: bytes
    extras: bytes

    def to_bytes(self) -> bytes:
        """The file."""
        *numbers, step, content, model, run, machine, coded, extras = vars(self).values()
        head = LAYOUT.pack(MAGIC, FORMAT, *numbers, len(coded), step, content, model)
        inner: bytes = head + b"\0".join([run, machine, coded + extras])
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
    if CHECKSUM.pack(zlib.crc32(inner)) != checksum or len(inner) <= len(MAGIC):
        raise damaged(name)
    version = inner[len(MAGIC)]
    if version != FORMAT:
        raise CorpusError(
            f"{name} has format {version}, not {FORMAT}",
            "decompress it with the version of charlm that wrote it",
        )
    try:
        _, _, *numbers, coded, step, digest, model = LAYOUT.unpack_from(inner)
        run, machine, rest = inner[LAYOUT.size :].split(b"\0", 2)
    except (struct.error, ValueError):
        raise damaged(name) from None
    fields = (*numbers, step, digest, model, run, machine, rest[:coded], rest[coded:])
    archive = Archive(*fields)
    # A token stands for a byte at least; the only one of an empty file for none.
    too_many = archive.tokens > archive.length + 1
    if not 1 <= archive.lanes <= MOST_LANES or coded > len(rest) or too_many:
        raise damaged(name)
    return archive


def damaged(name: str) -> CorpusError:
    """The error for a file whose bits have changed."""
    return CorpusError(
        f"{name} is damaged or cut short: its checksum does not agree",
        "restore it, or copy it again",
    )
