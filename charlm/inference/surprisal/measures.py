"""How a model's distribution met each token of a text: surprisal, entropy, rank and guesses.

Shapes: T tokens, V vocabulary, S kinds of white space that tokens begin with.
"""

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.predictors.reader import Reader

__all__ = [
    "Measures",
    "Prediction",
    "Predictions",
    "ends_with_space",
    "leading_space",
    "measures",
]

AT_ONCE = 1 << 19
"""Log-probabilities that are measured at a time: what fits into the caches of a CPU."""


class Measures(NamedTuple):
    """How a distribution met the token that came.

    ``nll`` of the token and ``entropy`` of the distribution in nats; ``rank`` of the token, 1 if
    none was more probable; ``guesses``, the most probable tokens with their probabilities.
    """

    nll: float
    entropy: float
    rank: int
    guesses: tuple[tuple[int, float], ...] = ()


class Prediction(NamedTuple):
    """One token: its id, the bytes it stands for, and what was expected.

    A token like " dog" is split, and so is " " where there are such tokens: ``space_nll`` is the
    surprisal of "what comes next begins with this white space", and ``rest`` measures the token
    among those that do; ``space_nll + rest.nll`` is ``whole.nll``.
    """

    token: int
    content: bytes
    whole: Measures
    space_nll: float = 0.0
    rest: Measures | None = None


class Predictions:
    """Says what was expected at each token, with the ``top`` most probable tokens.

    Without ``splitting`` no token is split, which saves the time.  ``unknown`` holds the text of
    each unknown symbol that is still to be measured, in order (see ``note_unknown``).
    """

    def __init__(self, tokenizer: Tokenizer, top: int = 0, *, splitting: bool = False) -> None:
        self.tokenizer, self.top = tokenizer, min(top, tokenizer.vocab_size)
        self.unknown = deque[bytes]()
        spaces = [leading_space(content)[0] for content in tokenizer.table]
        # A space by itself, where no longer token begins with one, has nothing to be split from.
        kinds = sorted(
            {space for space, content in zip(spaces, tokenizer.table, strict=True)
             if space and space != content and splitting}
        )  # fmt: skip
        self.kind = np.array([kinds.index(space) if space in kinds else -1 for space in spaces])
        """Which white space each token (V,) begins with, if it is split; else -1."""
        begins = [[content.startswith(kind) for content in tokenizer.table] for kind in kinds]
        self.begins = torch.tensor(begins, dtype=torch.bool)
        """Whether tokens begin with each kind of white space (S, V)."""

    def note_unknown(self, piece: EncodedPiece) -> EncodedPiece:
        """Remember what the unknown symbols of a piece stand for; returns the piece."""
        unknown = self.tokenizer.unknown_id
        if unknown is not None and unknown in piece.ids:
            symbols = self.tokenizer.symbols_of(piece.text)
            places = np.flatnonzero(piece.ids == unknown).tolist()
            self.unknown += [symbols[at].encode() for at in places]
        return piece

    def read(self, reader: Reader, ids: np.ndarray) -> Iterator[Prediction]:
        """Measure ids (N,) that come next in a stream."""
        for begin in range(0, len(ids), reader.chunk):
            part = ids[begin : begin + reader.chunk]
            yield from self.measure(reader.log_probs(part), part)

    def measure(self, log_probs: Tensor, ids: np.ndarray) -> list[Prediction]:
        """log_probs (T, V) and the ids (T,) that met them -> the prediction of each."""
        rows, table = max(1, AT_ONCE // log_probs.shape[1]), self.tokenizer.table
        found: list[Prediction] = []
        for at in range(0, len(ids), rows):
            some, tokens = log_probs[at : at + rows], ids[at : at + rows]
            measured = zip(tokens.tolist(), measures(some, tokens, self.top), strict=True)
            found += [Prediction(token, table[token], whole) for token, whole in measured]
            for kind in np.unique(self.kind[tokens]):
                if kind >= 0:
                    own = np.flatnonzero(self.kind[tokens] == kind)
                    given, log_shares = among(some[torch.from_numpy(own)], self.begins[kind])
                    rests = measures(given, tokens[own], self.top)
                    for row, log_share, rest in zip(own + at, log_shares, rests, strict=True):
                        found[row] = split(found[row], log_share, rest)
        return found


def among(log_probs: Tensor, begins: Tensor) -> tuple[Tensor, list[float]]:
    """log_probs (T, V) given that the token is one of some (V,), and the ln of their share (T,)."""
    given = log_probs.masked_fill(~begins.to(log_probs.device), -torch.inf)
    share = given.logsumexp(dim=1, keepdim=True)
    given -= share.clamp_min(torch.finfo(share.dtype).min)
    return given, share[:, 0].tolist()


def split(found: Prediction, log_share: float, rest: Measures) -> Prediction:
    """The prediction in two parts: its white space, and the token among those that have it."""
    # Not the rest's own nll: the two parts make exactly the whole.
    nll = max(0.0, found.whole.nll + log_share)
    return found._replace(space_nll=-log_share, rest=rest._replace(nll=nll))


def measures(log_probs: Tensor, ids: np.ndarray, top: int) -> list[Measures]:
    """log_probs (T, V) and the ids (T,) that met them -> the measures of each."""
    targets = torch.from_numpy(ids.astype(np.int64)).to(log_probs.device)
    met = log_probs.gather(1, targets[:, None])  # (T, 1)
    probs = log_probs.exp()
    # Finite, so that 0 log 0 is 0.
    finite = log_probs.clamp_min(torch.finfo(log_probs.dtype).min)
    entropy = -torch.linalg.vecdot(probs, finite)
    rank = (log_probs > met).sum(dim=1) + 1
    best, tokens = probs.topk(top, dim=1)
    guesses = [
        tuple((token, prob) for token, prob in zip(*row, strict=True) if prob)
        for row in zip(tokens.tolist(), best.tolist(), strict=True)
    ]
    return list(map(Measures, (-met[:, 0]).tolist(), entropy.tolist(), rank.tolist(), guesses))


@lru_cache(maxsize=1 << 16)
def ends_with_space(content: bytes) -> bool:
    """Whether UTF-8, not empty, ends with white space of Unicode."""
    return content.decode("utf-8", "replace")[-1].isspace()


@lru_cache(maxsize=1 << 16)
def leading_space(content: bytes) -> tuple[bytes, bytes]:
    """The white space of Unicode that UTF-8 begins with, and the rest, whole or cut amid a
    character.
    """
    rest = content.decode("utf-8", "surrogateescape").lstrip().encode("utf-8", "surrogateescape")
    return content[: len(content) - len(rest)], rest
