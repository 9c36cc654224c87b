"""What tokens cannot say, packed: raw bytes and gaps, as small as xz makes them."""

import lzma
from itertools import accumulate

import numpy as np

from charlm.inference.compression.escapes import Gaps, Symbols
from charlm.inference.compression.packing import number, read, read_number, write

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
