"""What tokens cannot say, packed: raw bytes and gaps, as small as xz makes them."""

import lzma
from collections.abc import Iterable, Iterator
from itertools import accumulate

import numpy as np

from charlm.inference.compression.escapes import Gaps, Symbols

__all__ = ["pack", "unpack"]

STORED, XZ = b"\0", b"\1"
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 22}]


def pack(symbols: Symbols) -> bytes:
    """All of ``symbols`` but the ids; nothing where the ids say it all."""
    gaps, raw = symbols.gaps, symbols.raw
    if not raw and not gaps.usual:
        return b""
    places = list(gaps.unusual)
    steps = [place - before for before, place in zip([0, *places], places, strict=False)]
    plain = b"".join(
        [write(raw), write(gaps.usual), write(gaps.unusual.values()), *map(number, steps)]
    )
    small = lzma.compress(plain, lzma.FORMAT_RAW, filters=FILTERS)
    return XZ + small if len(small) < len(plain) else STORED + plain


def unpack(packed: bytes, ids: np.ndarray, most: int) -> Symbols:
    """What ``pack`` packed, with the ids.  Raises ``ValueError`` or ``lzma.LZMAError``.

    ``most`` bytes are unpacked at most, which nobody's memory should depend on.
    """
    if not packed:
        return Symbols(ids)
    plain = packed[1:]
    if packed[:1] == XZ:
        plain = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS).decompress(plain, most)
    source = iter(plain)
    raw, usual, unusual = read(source), read(source), read(source)
    places = accumulate(read_number(source) for _ in unusual)
    return Symbols(ids, raw, Gaps(usual, dict(zip(places, unusual, strict=True))))


def write(parts: Iterable[bytes]) -> bytes:
    """How many there are, how long each is, then all of them."""
    parts = list(parts)
    return b"".join([number(len(parts)), *(number(len(part)) for part in parts), *parts])


def read(source: Iterator[int]) -> tuple[bytes, ...]:
    """What ``write`` wrote.  Raises ``ValueError``."""
    sizes = [read_number(source) for _ in range(read_number(source))]
    return tuple(bytes(take(source, size)) for size in sizes)


def take(source: Iterator[int], size: int) -> Iterator[int]:
    """The next ``size`` bytes.  Raises ``ValueError`` where there are fewer."""
    for _ in range(size):
        byte = next(source, None)
        if byte is None:
            raise ValueError("the extras are cut short")
        yield byte


def number(value: int) -> bytes:
    """A whole number, 0 or more, in as few bytes as it needs: seven bits each, the lowest first."""
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def read_number(source: Iterator[int]) -> int:
    """What ``number`` wrote.  Raises ``ValueError``."""
    value = 0
    for place, byte in enumerate(take(source, 9)):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value
    raise ValueError("a number of the extras is too large")
