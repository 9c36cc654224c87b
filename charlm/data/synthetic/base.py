"""What sources of synthetic text share: their alphabet and the checks of their parameters."""

import string

import numpy as np
import numpy.typing as npt

from charlm.errors import ConfigError, CorpusError

__all__ = ["LETTERS", "LONGEST", "Floats", "Ints", "check", "impossible", "positions"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits
LONGEST = 1 << 30
"""Characters of a text at most."""


def positions(text: str, alphabet: str) -> Ints:
    """Where each character of ``text`` stands in ``alphabet``: (n,).  Raises ``CorpusError``."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    places = np.full(256, -1)
    places[np.frombuffer(alphabet.encode("latin-1"), np.uint8)] = np.arange(len(alphabet))
    ids = np.where(codes < 256, places[codes % 256], -1)
    if len(ids) and ids.min() < 0:
        at = int(ids.argmin())
        raise impossible(text[at], at)
    return ids


def impossible(character: str, at: int) -> CorpusError:
    """The error for a text that a source cannot have written."""
    return CorpusError(
        f"this source cannot have written {character!r} at character {at:,}", "use the right source"
    )


def check(name: str, value: float, lowest: float, highest: float) -> None:
    """Raise ``ConfigError`` unless ``value`` is a number from ``lowest`` to ``highest``."""
    number = isinstance(value, int | float if isinstance(lowest, float) else int)
    if not number or isinstance(value, bool) or not lowest <= value <= highest:
        raise ConfigError(
            f"{name} must be from {lowest} to {highest}, got {value!r}", f"change {name}"
        )
