"""A file through a model and back: compress, prove that it comes back, decompress."""

import hashlib
import lzma
import math
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from charlm.errors import CheckpointError, ConfigError, CorpusError, ModelError
from charlm.inference.compression import escapes
from charlm.inference.compression.archive import LARGEST, Archive, read_archive
from charlm.inference.compression.coder import Coded, CodingProgress, constriction, decode, encode
from charlm.inference.compression.escapes import Symbols
from charlm.inference.compression.models import (
    Arithmetic,
    CodingPlan,
    choose_plan,
    fingerprint,
    machine,
    open_model,
    repeatable,
)
from charlm.inference.loading import Loaded

__all__ = ["CodingProgress", "Compressed", "Decompressed", "compress", "decompress"]

UNPRINTED = ("content", "adapted")
"""Fields that are no figures."""

TRIAL = 4096
"""Tokens of each lane on which a rate of learning is chosen."""

RATES = (500, 1000, 2000, 4000)
"""Rates of learning, in millionths, for text like the model's own to text quite unlike it.

They were the best on an excerpt of Dickens, on Wikipedia's XML and on Python's documentation, by a
model of English.
"""


@dataclass(frozen=True)
class Compressed:
    """A compressed file that has been decompressed and found right, and its figures.

    ``model_bits`` are what the tokens cost under the model, ``coded_bits`` what they take;
    ``extra_bytes`` are those of what tokens cannot say.
    """

    content: bytes = field(repr=False)
    bytes_in: int
    bytes_out: int
    tokens: int
    model_bits: float
    coded_bits: int
    extra_bytes: int
    lanes: int
    arithmetic: str
    adapted: bool
    seconds: float

    @property
    def bits_per_byte(self) -> float:
        """Bits of the compressed file for each byte of the original; NaN for an empty one."""
        return 8 * self.bytes_out / self.bytes_in if self.bytes_in else math.nan

    @property
    def other_bytes(self) -> int:
        """Bytes of the compressed file beside the coded tokens."""
        return self.bytes_out - self.coded_bits // 8

    def record(self) -> dict[str, Any]:
        """The figures under the keys that scripts rely on."""
        figures = {name: value for name, value in vars(self).items() if name not in UNPRINTED}
        mode = "adaptive" if self.adapted else "static"
        return {"bits_per_byte": self.bits_per_byte, **figures, "mode": mode}


@dataclass(frozen=True)
class Decompressed:
    """The original file, its size ``bytes_out``, and that of the compressed file, ``bytes_in``."""

    content: bytes
    bytes_in: int
    bytes_out: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """The figures, without the content."""
        return {name: value for name, value in vars(self).items() if name not in UNPRINTED}


def compress(
    loaded: Loaded, content: bytes, *, adapt: bool = False, lanes: int | None = None
) -> Iterator[CodingProgress | Compressed]:
    """Compress any bytes; the last record is the result, proved by decompressing it.

    ``adapt`` lets the model learn as it codes.  ``lanes`` parts of the file are coded side by side;
    None chooses by size.  Raises ``CharlmError`` without constriction, ``ConfigError`` for a file
    of more than 4 GiB, ``ModelError`` for a model that cannot learn and if the bytes do not come
    back.
    """
    began = time.monotonic()
    constriction()
    if len(content) > LARGEST:
        raise ConfigError("the file is larger than 4 GiB", "cut it, for example with: split -b 1G")
    symbols = escapes.split(loaded.tokenizer, content)
    plan = choose_plan(loaded, len(symbols.ids), adapt=adapt, lanes=lanes)
    if adapt:
        plan = yield from choose_rate(loaded, plan, symbols)
    symbols, coded = yield from code_smallest(loaded, plan, symbols, content)
    archive = archive_of(loaded, plan, symbols, coded, content)
    packed = archive.to_bytes()
    for record in decompress(loaded, packed, "what was coded"):
        if isinstance(record, CodingProgress):
            yield replace(record, what="checking")
    yield Compressed(
        content=packed,
        bytes_in=len(content),
        bytes_out=len(packed),
        tokens=len(symbols.ids),
        model_bits=coded.nats / math.log(2),
        coded_bits=8 * len(coded.data),
        extra_bytes=len(archive.extras),
        lanes=plan.lanes,
        arithmetic=plan.arithmetic.name.lower(),
        adapted=adapt,
        seconds=time.monotonic() - began,
    )


def decompress(
    loaded: Loaded, packed: bytes, name: str = "the file"
) -> Iterator[CodingProgress | Decompressed]:
    """Bring back what ``compress`` packed; the last record is the result.

    ``name`` is for messages.  Raises ``CorpusError`` for what charlm has not written or what is
    damaged, ``CheckpointError`` for another model, and ``ModelError`` if this machine computes
    other probabilities.
    """
    began = time.monotonic()
    archive = read_archive(packed, name)
    constriction()
    if fingerprint(loaded) != archive.model:
        raise CheckpointError(
            f"{name} was compressed with another model than step {loaded.step} of "
            f"{loaded.run.folder}",
            f"name the run it was compressed with, {os.fsdecode(archive.run)}, "
            f"step {archive.step}: `run=RUN`",
        )
    if archive.arithmetic not in list(Arithmetic):
        raise foreign(name)
    plan = CodingPlan(Arithmetic(archive.arithmetic), archive.lanes, archive.rate)
    try:
        with repeatable():
            model = open_model(loaded, plan)
            ids = yield from decode(model, archive.coded, archive.tokens, plan.lanes)
        # Extras are not much larger than the file; crafted ones shall not fill the memory.
        most = 1024 + 16 * (archive.length + archive.tokens)
        symbols = escapes.unpack_extras(loaded.tokenizer, archive.extras, ids, most)
        content = escapes.join(loaded.tokenizer, symbols)
    except (ValueError, IndexError, lzma.LZMAError):
        content = b""
    if hashlib.sha256(content).digest() != archive.content:
        raise went_astray(name, archive) if archive.machine else foreign(name)
    yield Decompressed(content, len(packed), len(content), time.monotonic() - began)


def choose_rate(
    loaded: Loaded, plan: CodingPlan, symbols: Symbols
) -> Generator[CodingProgress, None, CodingPlan]:
    """The plan with the rate of learning that makes the beginning of the file smallest."""
    beginning = Symbols(symbols.ids[: TRIAL * plan.lanes])
    best, fewest = plan, math.inf
    for rate in RATES:
        candidate = replace(plan, rate=rate)
        coded = yield from code(loaded, candidate, beginning, "choosing a rate")
        if len(coded.data) < fewest:
            best, fewest = candidate, len(coded.data)
    return best


def code_smallest(
    loaded: Loaded, plan: CodingPlan, symbols: Symbols, content: bytes
) -> Generator[CodingProgress, None, tuple[Symbols, Coded]]:
    """Code ``symbols``, or all of ``content`` as one escape where the model makes it larger."""
    coded = yield from code(loaded, plan, symbols)
    size = len(coded.data) + len(escapes.pack_extras(symbols))
    if size > len(content):
        alone = escapes.stored(content)
        alone_coded = yield from code(loaded, plan, alone)
        if len(alone_coded.data) + len(escapes.pack_extras(alone)) < size:
            return alone, alone_coded
    return symbols, coded


def code(
    loaded: Loaded, plan: CodingPlan, symbols: Symbols, what: str = "compressing"
) -> Generator[CodingProgress, None, Coded]:
    """Code the tokens of ``symbols``."""
    with repeatable():
        return (yield from encode(open_model(loaded, plan), symbols.ids, plan.lanes, what))


def archive_of(
    loaded: Loaded, plan: CodingPlan, symbols: Symbols, coded: Coded, content: bytes
) -> Archive:
    """The compressed file of ``content`` with all that decompressing has to know."""
    return Archive(
        arithmetic=plan.arithmetic,
        lanes=plan.lanes,
        rate=plan.rate,
        tokens=len(symbols.ids),
        length=len(content),
        step=loaded.step,
        content=hashlib.sha256(content).digest(),
        model=fingerprint(loaded),
        run=os.fsencode(loaded.run.folder),
        machine=b"" if plan.arithmetic is Arithmetic.WHOLE else machine().encode(),
        coded=coded.data,
        extras=escapes.pack_extras(symbols),
    )


def foreign(name: str) -> CorpusError:
    """The error for what charlm did not write, though its checksum is right."""
    return CorpusError(
        f"the contents of {name} make no sense, though its checksum is right",
        "compress the original again",
    )


def went_astray(name: str, archive: Archive) -> ModelError:
    """The error for probabilities that come out differently here."""
    other = archive.machine.decode(errors="replace")
    return ModelError(
        f"{name} does not come back: it was compressed with {other}, and with {machine()} the "
        "probabilities come out differently",
        "decompress it on the machine and with the torch it was compressed with",
    )
