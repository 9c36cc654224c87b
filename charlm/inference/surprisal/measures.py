"""What a model expects where each token of a text comes: surprisal, entropy, rank and guesses.

Shapes: T tokens, V vocabulary, S kinds of white space that tokens begin with.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.predictors.reader import Reader, pick

__all__ = ["Measures", "Prediction", "Predictions", "leading_space"]


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
    """Reads tokens from a reader and says what was expected; the ``top`` guesses with it.

    Without ``splitting`` no token is split, which saves the time.
    """

    def __init__(self, tokenizer: Tokenizer, top: int = 0, *, splitting: bool = False) -> None:
        self.contents = tokenizer.table
        self.top = min(top, tokenizer.vocab_size)
        spaces = [leading_space(content)[0] for content in self.contents]
        # A space by itself, where no longer token begins with one, has nothing to be split from.
        kinds = sorted(
            {space for space, content in zip(spaces, self.contents, strict=True)
             if space and space != content and splitting}
        )  # fmt: skip
        self.kind = np.array([kinds.index(space) if space in kinds else -1 for space in spaces])
        """Which white space each token (V,) begins with, if it is split; else -1."""
        begins = [[content.startswith(kind) for content in self.contents] for kind in kinds]
        self.begins = torch.tensor(begins, dtype=torch.bool)
        """Whether tokens begin with each kind of white space (S, V)."""

    def read(self, reader: Reader, ids: np.ndarray) -> Iterator[Prediction]:
        """The ids (N,) that come next in a stream."""
        for begin in range(0, len(ids), reader.chunk):
            part = ids[begin : begin + reader.chunk]
            yield from self.measure(reader.log_probs(part), part)

    def measure(self, log_probs: Tensor, ids: np.ndarray) -> list[Prediction]:
        """log_probs (T, V) and the ids (T,) that met them, as many at a time as caches hold."""
        rows = max(1, AT_ONCE // log_probs.shape[1])
        found: list[Prediction] = []
        for at in range(0, len(ids), rows):
            found += self.measure_some(log_probs[at : at + rows], ids[at : at + rows])
        return found

    def measure_some(self, log_probs: Tensor, ids: np.ndarray) -> list[Prediction]:
        """``measure`` for few tokens."""
        found = [
            Prediction(token, self.contents[token], whole)
            for token, whole in zip(ids.tolist(), measures(log_probs, ids, self.top), strict=True)
        ]
        kinds = self.kind[ids]
        for kind in np.unique(kinds[kinds >= 0]):
            rows = np.flatnonzero(kinds == kind)
            others = ~self.begins[kind].to(log_probs.device)
            given = log_probs[torch.from_numpy(rows)].masked_fill(others, -torch.inf)
            share = given.logsumexp(dim=1, keepdim=True)
            given -= share.clamp_min(torch.finfo(share.dtype).min)
            rests = measures(given, ids[rows], self.top)
            for row, log_share, rest in zip(rows, share[:, 0].tolist(), rests, strict=True):
                # Not the rest's own: the two parts make exactly the whole.
                nll = max(0.0, found[row].whole.nll + log_share)
                found[row] = found[row]._replace(space_nll=-log_share, rest=rest._replace(nll=nll))
        return found


def measures(log_probs: Tensor, ids: np.ndarray, top: int) -> list[Measures]:
    """log_probs (T, V) and the ids (T,) that met them -> the measures of each."""
    own = pick(log_probs, ids)
    probs = log_probs.exp()
    # Finite, so that 0 log 0 is 0.
    finite = log_probs.clamp_min(torch.finfo(log_probs.dtype).min)
    entropy = -torch.linalg.vecdot(probs, finite)
    met = torch.from_numpy(own).to(log_probs)
    rank = (log_probs > met[:, None]).sum(dim=1) + 1
    best, tokens = probs.topk(top, dim=1)
    guesses = [
        tuple((token, prob) for token, prob in zip(*row, strict=True) if prob)
        for row in zip(tokens.tolist(), best.tolist(), strict=True)
    ]
    return list(map(Measures, (-own).tolist(), entropy.tolist(), rank.tolist(), guesses))


def leading_space(content: bytes) -> tuple[bytes, bytes]:
    """The white space of ASCII that bytes begin with, and the rest.

    That of other alphabets belongs to its word, for every tokenizer alike.
    """
    rest = content.lstrip()
    return content[: len(content) - len(rest)], rest
