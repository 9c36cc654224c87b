"""A file through a model and back: compress, prove that it comes back, decompress."""

import hashlib
import lzma
import math
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

from charlm.errors import CheckpointError, CorpusError, ModelError
from charlm.inference.compression.archive import Archive, Header, read_archive, write_archive
from charlm.inference.compression.coder import Coded, constriction, decode, encode
from charlm.inference.compression.escapes import Symbols, join, split, whole
from charlm.inference.compression.extras import pack, unpack
from charlm.inference.compression.floating import Learning, repeatable
from charlm.inference.compression.models import (
    Arithmetic,
    Plan,
    at_rates,
    choose_plan,
    fingerprint,
    machine,
    make_steps,
)
from charlm.inference.loading import Loaded

__all__ = ["Coding", "Compressed", "Decompressed", "compress", "decompress"]

Result = TypeVar("Result")

TRIAL = 4096
"""Tokens of each lane on which a rate of learning is chosen."""


@dataclass(frozen=True)
class Coding:
    """So many of ``total`` tokens are done."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Compressed:
    """A compressed file that has been decompressed and found right, and its figures.

    ``model_bits`` are what the tokens cost under the model, ``coded_bits`` what they take;
    ``extra_bytes`` are those of what tokens cannot say.
    """

    content: bytes
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
        """Of the file as it was; NaN for an empty one."""
        return 8 * self.bytes_out / self.bytes_in if self.bytes_in else math.nan


@dataclass(frozen=True)
class Decompressed:
    """The file as it was, which ``bytes_in`` were enough for."""

    content: bytes
    bytes_in: int
    bytes_out: int
    seconds: float


def compress(
    loaded: Loaded, content: bytes, *, adapt: bool = False, lanes: int | None = None
) -> Iterator[Coding | Compressed]:
    """Compress any bytes; the last record is the result, proved by decompressing it.

    Raises ``CharlmError`` without constriction, ``ConfigError`` for a model that cannot adapt,
    ``ModelError`` if the bytes do not come back.
    """
    began = time.monotonic()
    constriction()
    symbols = split(loaded.tokenizer, content)
    plan = choose_plan(loaded, len(symbols.ids), adapt=adapt, lanes=lanes)
    if adapt:
        plan = yield from choose_rate(loaded, plan, symbols)
    symbols, coded = yield from code_smallest(loaded, plan, symbols, content)
    extras = pack(symbols)
    header = describe(loaded, plan, symbols, coded, content)
    packed = write_archive(Archive(header, coded.data, extras))
    for record in decompress(loaded, read_archive(packed, "what was coded"), "what was coded"):
        if isinstance(record, Coding):
            yield Coding("checking", record.done, record.total)
    yield Compressed(
        content=packed,
        bytes_in=len(content),
        bytes_out=len(packed),
        tokens=len(symbols.ids),
        model_bits=coded.nats / math.log(2),
        coded_bits=8 * len(coded.data),
        extra_bytes=len(extras),
        lanes=plan.lanes,
        arithmetic=plan.arithmetic.name.lower(),
        adapted=adapt,
        seconds=time.monotonic() - began,
    )


def decompress(loaded: Loaded, archive: Archive, name: str) -> Iterator[Coding | Decompressed]:
    """The file that ``name`` was made from; the last record is the result.

    Raises ``CheckpointError`` for another model, ``ModelError`` if this machine computes other
    probabilities, ``CorpusError`` for contents that charlm does not write.
    """
    began, header = time.monotonic(), archive.header
    constriction()
    if fingerprint(loaded) != header.model:
        raise CheckpointError(
            f"{name} was compressed with another model than step {loaded.step} of "
            f"{loaded.run.folder}",
            f"name the run it was compressed with, {os.fsdecode(header.run)}, step {header.step}: "
            "--run RUN",
        )
    if header.arithmetic not in list(Arithmetic):
        raise foreign(name)
    learning = Learning(header.segment, header.rate)
    plan = Plan(Arithmetic(header.arithmetic), header.lanes, learning)
    with repeatable():
        decoding = decode(make_steps(loaded, plan), archive.coded, header.tokens, plan.lanes)
        found = yield from reported("decompressing", header.tokens, decoding)
    try:
        # Extras are not much larger than the file; crafted ones shall not fill the memory.
        symbols = unpack(archive.extras, found.ids, 1024 + 16 * (header.length + header.tokens))
        content = join(loaded.tokenizer, symbols)
    except (ValueError, lzma.LZMAError):
        content = b""
    if hashlib.sha256(content).digest() != header.content:
        same = header.witness in (b"", found.witness)
        raise foreign(name) if same else went_astray(name, header)
    seconds = time.monotonic() - began
    yield Decompressed(content, archive.size, len(content), seconds)


def choose_rate(loaded: Loaded, plan: Plan, symbols: Symbols) -> Generator[Coding, None, Plan]:
    """The plan with the rate of learning that makes the beginning of the file smallest."""
    beginning = Symbols(symbols.ids[: TRIAL * plan.lanes])
    best, fewest = plan, math.inf
    for candidate in at_rates(plan):
        coded = yield from code(loaded, candidate, beginning, "choosing a rate")
        if len(coded.data) < fewest:
            best, fewest = candidate, len(coded.data)
    return best


def code_smallest(
    loaded: Loaded, plan: Plan, symbols: Symbols, content: bytes
) -> Generator[Coding, None, tuple[Symbols, Coded]]:
    """Code ``symbols``, or all of ``content`` as one escape where the model makes it larger."""
    coded = yield from code(loaded, plan, symbols)
    size = len(coded.data) + len(pack(symbols))
    if size > len(content):
        stored = whole(content)
        alone = yield from code(loaded, plan, stored)
        if len(alone.data) + len(pack(stored)) < size:
            return stored, alone
    return symbols, coded


def code(
    loaded: Loaded, plan: Plan, symbols: Symbols, what: str = "compressing"
) -> Generator[Coding, None, Coded]:
    """Code the tokens of ``symbols``."""
    with repeatable():
        coding = encode(make_steps(loaded, plan), symbols.ids, plan.lanes)
        return (yield from reported(what, len(symbols.ids), coding))


def reported(
    what: str, total: int, coding: Generator[int, None, Result]
) -> Generator[Coding, None, Result]:
    """Pass on how many tokens are done; returns what ``coding`` returns."""
    while True:
        try:
            yield Coding(what, next(coding), total)
        except StopIteration as end:
            result: Result = end.value
            return result


def describe(loaded: Loaded, plan: Plan, symbols: Symbols, coded: Coded, content: bytes) -> Header:
    """All that decompressing has to know."""
    exact = plan.arithmetic is Arithmetic.WHOLE
    return Header(
        arithmetic=plan.arithmetic,
        lanes=plan.lanes,
        tokens=len(symbols.ids),
        length=len(content),
        coded=len(coded.data),
        step=loaded.step,
        segment=plan.learning.segment,
        rate=plan.learning.rate,
        content=hashlib.sha256(content).digest(),
        model=fingerprint(loaded),
        witness=b"" if exact else coded.witness,
        run=os.fsencode(loaded.run.folder),
        machine=b"" if exact else machine().encode(),
    )


def foreign(name: str) -> CorpusError:
    """The error for what charlm did not write, though its checksum is right."""
    return CorpusError(
        f"the contents of {name} make no sense, though its checksum is right",
        "compress the original again",
    )


def went_astray(name: str, header: Header) -> ModelError:
    """The error for probabilities that come out differently here."""
    return ModelError(
        f"{name} does not come back: it was compressed with {header.machine.decode()}, and with "
        f"{machine()} the probabilities come out differently",
        "decompress it on the machine and with the torch it was compressed with",
    )
