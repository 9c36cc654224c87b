"""What a model expects where each token of a text comes: surprisal, entropy, rank and guesses.

Shapes: T tokens, V vocabulary, S kinds of white space that tokens begin with.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from charlm.data.tokenizers import Tokenizer
from charlm.inference.predictors import Reader
from charlm.model.likelihood import pick

__all__ = ["Measures", "Prediction", "Predictions", "leading_space"]


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

    A token like " dog" is split: ``space_nll`` is the surprisal of "what comes next begins with
    this white space", ``rest`` measures the token among those that do; ``space_nll + rest.nll``
    is ``whole.nll``.  Of other tokens ``space_nll`` is 0 and ``rest`` is ``whole``.
    """

    token: int
    content: bytes
    whole: Measures
    space_nll: float
    rest: Measures


class Predictions:
    """Reads tokens from a reader and says what was expected; the ``top`` guesses with it.

    Without ``splitting`` no token is split, which saves the time.
    """

    def __init__(self, tokenizer: Tokenizer, top: int = 0, *, splitting: bool = False) -> None:
        self.contents = tokenizer.table
        self.top = min(top, tokenizer.vocab_size)
        beginnings = [leading_space(content) for content in self.contents]
        kinds = sorted({space for space, rest in beginnings if space and rest and splitting})
        self.kind = np.array(
            [kinds.index(space) if rest and space in kinds else -1 for space, rest in beginnings]
        )
        """Which white space each token (V,) begins with, if something follows it; else -1."""
        begins = [[content.startswith(kind) for content in self.contents] for kind in kinds]
        self.begins = torch.tensor(begins, dtype=torch.bool)
        """Whether tokens begin with each kind of white space (S, V)."""

    def read(self, reader: Reader, ids: np.ndarray) -> list[Prediction]:
        """The ids (T,) that come next in a stream, at most ``reader.chunk``."""
        return self.measure(reader.predict(ids), ids)

    def measure(self, log_probs: Tensor, ids: np.ndarray) -> list[Prediction]:
        """log_probs (T, V) and the ids (T,) that met them."""
        whole = measures(log_probs, ids, self.top)
        space_nll, rest = np.zeros(len(ids)), list(whole)
        kinds = self.kind[ids]
        for kind in np.unique(kinds[kinds >= 0]):
            rows = np.flatnonzero(kinds == kind)
            others = ~self.begins[kind].to(log_probs.device)
            given = log_probs[torch.from_numpy(rows)].masked_fill(others, -torch.inf)
            share = given.logsumexp(dim=1, keepdim=True)
            space_nll[rows] = -share.squeeze(1).double().cpu().numpy()
            for row, found in zip(rows, measures(given - share, ids[rows], self.top), strict=True):
                rest[row] = found._replace(nll=whole[row].nll - space_nll[row])
        tokens = ids.tolist()
        contents = map(self.contents.__getitem__, tokens)
        return list(map(Prediction, tokens, contents, whole, space_nll.tolist(), rest))


def measures(log_probs: Tensor, ids: np.ndarray, top: int) -> list[Measures]:
    """log_probs (T, V) and the ids (T,) that met them -> the measures of each."""
    own = pick(log_probs, ids)
    probs = log_probs.exp()
    # Finite, so that 0 log 0 is 0.
    entropy = -(probs * log_probs.clamp_min(torch.finfo(log_probs.dtype).min)).sum(dim=1)
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
