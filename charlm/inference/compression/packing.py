"""Whole numbers and byte strings in as few bytes as they need."""

from collections.abc import Iterable, Iterator

__all__ = ["number", "read", "read_number", "write"]


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
            raise ValueError("there are fewer bytes than there should be")
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
    raise ValueError("a number is too large")
