"""What sources of synthetic text share: their alphabet and their random numbers."""

import string

import numpy as np
import numpy.typing as npt

from charlm.errors import ConfigError, CorpusError

__all__ = ["LETTERS", "Floats", "Ints", "generator_for", "impossible", "positions"]

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


def generator_for(chars: int, seed: int) -> np.random.Generator:
    """The random numbers of a text.  Raises ``ConfigError`` for a length out of range."""
    if type(chars) is not int or not 1 <= chars <= LONGEST:
        raise ConfigError(f"`chars` must be from 1 to {LONGEST:,}, got {chars!r}", "change `chars`")
    return np.random.Generator(np.random.PCG64(seed))
