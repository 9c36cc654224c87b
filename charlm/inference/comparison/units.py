"""Two models on one text: the nll that each gives to every unit of it.

The unit is the token where both have one tokenizer, and else the line; a long line is cut between
words.  A unit holds equal text for both models, and its nll under each is the sum over the tokens
in it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.loading import Loaded
from charlm.inference.predictors.reader import Reader
from charlm.metrics import Score

__all__ = ["PairedUnit", "PairedUnits", "cut_units", "pair_lines", "pair_tokens"]

CONTEXT = 40
"""Tokens before and after one that is shown."""

LONGEST = 4 * 255
"""Characters of a unit: a multiple of what sub-word tokenizers take as one word at most, so that
cutting there changes no token."""

BETWEEN_WORDS = re.compile(r"(?<=[^ \n]) (?=[^ \n])")


@dataclass(frozen=True)
class PairedUnit:
    """One unit, the ``index``-th of the text from 0, with its nll in nats under both models.

    ``before`` and ``after`` are the text around a token; they are empty for a line.
    """

    index: int
    nll_a: float
    nll_b: float
    text: str
    before: str = ""
    after: str = ""

    @property
    def difference(self) -> float:
        """A's nll less B's, in nats: positive where B predicts better."""
        return self.nll_a - self.nll_b


@dataclass(frozen=True)
class PairedUnits:
    """What some more text adds: n units, measured by both models.

    ``nll`` (2, n) is in nats; ``sizes`` (n,) in bytes, up to a common factor; ``lengths`` (n,) in
    tokens or bytes, whatever blocks are measured in; ``unknown`` (n,) says which units hold a token
    that A or B does not know.  ``examples`` are units where the models differ most.
    """

    nll: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    unknown: np.ndarray
    scores: tuple[Score, Score]
    examples: tuple[PairedUnit, ...]

    @property
    def read(self) -> float:
        """About how many bytes of text, for progress."""
        return float(self.sizes.sum())


def pair_tokens(
    a: Loaded, b: Loaded, chunks: Iterable[np.ndarray], most: int
) -> Iterator[PairedUnits]:
    """Pair the nll of two models of one tokenizer token by token.

    ``chunks`` are ids (N,) of one stream, boundaries among them; ``most`` examples are kept for
    either model.
    """
    readers = (Reader(a.model), Reader(b.model))
    tokenizer, index = a.tokenizer, 0
    sizes = np.array([max(1, len(content)) for content in tokenizer.table])
    for ids in chunks:
        nll = np.stack([reader.nll(ids) for reader in readers])
        of_text = ids != tokenizer.boundary_id
        ids, nll = ids[of_text], nll[:, of_text]
        unknown = ids == (-1 if tokenizer.unknown_id is None else tokenizer.unknown_id)
        ones = np.ones(len(ids), dtype=np.int64)
        scores = tuple(score_of(row, len(ids), row[unknown]) for row in nll)
        found = largest(nll[0] - nll[1], most)
        examples = tuple(example_of(tokenizer, ids, nll, at, index) for at in found)
        yield PairedUnits(nll, sizes[ids], ones, unknown, (scores[0], scores[1]), examples)
        index += len(ids)


def pair_lines(a: Loaded, b: Loaded, pieces: Iterable[Piece], most: int) -> Iterator[PairedUnits]:
    """Pair the nll of two models line by line, each with its own tokenizer.

    The pieces are text, not bytes.  Raises ``TokenizerError`` for text that cannot be encoded.
    """
    readers = (Reader(a.model), Reader(b.model))
    index = 0
    for number, piece in enumerate(pieces):
        units = cut_units(str(piece.text))
        sides = []
        for loaded, reader in ((a, readers[0]), (b, readers[1])):
            if piece.starts and number:
                reader.nll(np.zeros(1, dtype=loaded.tokenizer.dtype))
            sides.append(read_units(reader, loaded.tokenizer, units))
        nll = np.stack([side[0] for side in sides])
        sizes = np.array([len(unit.encode()) for unit in units])
        examples = tuple(
            PairedUnit(index + at, float(nll[0, at]), float(nll[1, at]), units[at])
            for at in largest(nll[0] - nll[1], most)
        )
        unknown = sides[0][1] | sides[1][1]
        yield PairedUnits(nll, sizes, sizes, unknown, (sides[0][2], sides[1][2]), examples)
        index += len(units)


def read_units(
    reader: Reader, tokenizer: Tokenizer, units: list[str]
) -> tuple[np.ndarray, np.ndarray, Score]:
    """The nll (n,) of units, which hold unknown tokens (n,), and the score of all."""
    encoded = [tokenizer.encode(unit) for unit in units]
    ids = np.concatenate(encoded)
    owner = np.repeat(np.arange(len(units)), [len(part) for part in encoded])
    nll = reader.nll(ids)
    unknown = ids == (-1 if tokenizer.unknown_id is None else tokenizer.unknown_id)
    sums = np.bincount(owner, weights=nll, minlength=len(units))
    holds = np.bincount(owner[unknown], minlength=len(units)) > 0
    return sums, holds, score_of(sums, len(ids), nll[unknown])


def score_of(nll: np.ndarray, tokens: int, of_unknown: np.ndarray) -> Score:
    """The score of units with ``nll`` (n,), made of so many tokens; their text is not counted."""
    oov_nll = float(of_unknown.sum())
    return Score(nll=float(nll.sum()), tokens=tokens, oov=len(of_unknown), oov_nll=oov_nll)


def cut_units(text: str) -> list[str]:
    """Cut text after line breaks, and long lines between words if they can be."""
    units = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        begin = 0
        while len(line) - begin > LONGEST:
            window = BETWEEN_WORDS.finditer(line, begin + 1, begin + LONGEST)
            last = max((match.start() for match in window), default=None)
            end = last or begin + LONGEST + line.startswith(" ", begin)
            units.append(line[begin:end])
            begin = end
        units.append(line[begin:])
    return [unit for unit in units if unit]


def largest(differences: np.ndarray, most: int) -> list[int]:
    """Where ``differences`` (n,) are the ``most`` smallest below zero and largest above."""
    order = np.argsort(differences, kind="stable")
    low = [int(at) for at in order[:most] if differences[at] < 0]
    return low + [int(at) for at in order[::-1][:most] if differences[at] > 0]


def example_of(
    tokenizer: Tokenizer, ids: np.ndarray, nll: np.ndarray, at: int, offset: int
) -> PairedUnit:
    """The token ``at`` of ids (n,) with the text around it."""
    stream, begin = tokenizer.stream(), max(at - CONTEXT, 0)
    texts = [stream.push(token) for token in ids[begin : at + 1 + CONTEXT].tolist()]
    own = at - begin
    before, after = "".join(texts[:own]), "".join(texts[own + 1 :])
    return PairedUnit(offset + at, float(nll[0, at]), float(nll[1, at]), texts[own], before, after)
