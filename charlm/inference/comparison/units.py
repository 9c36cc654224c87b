"""Two models reading the same text: the nll that each gives to every unit of it.

Where the tokenizers are the same the unit is the token.  Where they differ it is the line, which
both must have read before the next begins; a long line is cut between words.  Every unit holds
the same text for both models, and its nll under each is the sum over the tokens in it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from charlm.data.preparation.counting import Counts, TextCounter
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.loading import Loaded
from charlm.inference.predictors.reader import Reader
from charlm.metrics import Score

__all__ = ["Paired", "Place", "count_more", "cut_units", "pair_lines", "pair_tokens"]

CONTEXT = 40  # tokens before and after one that is shown
LONGEST = 4 * 255
"""Characters of a unit: a multiple of what sub-word tokenizers take as one word at most, so that
cutting there changes no token."""

BETWEEN_WORDS = re.compile(r"(?<=[^ \n]) (?=[^ \n])")


@dataclass(frozen=True)
class Place:
    """One unit, the ``index``-th from 0, with its nll in nats under both models.

    ``before`` and ``after`` are the text around a token; a line has none.
    """

    index: int
    nll_a: float
    nll_b: float
    text: str
    before: str = ""
    after: str = ""

    @property
    def difference(self) -> float:
        """Positive where B predicts better."""
        return self.nll_a - self.nll_b


@dataclass(frozen=True)
class Paired:
    """What some more text adds: n units as both models met them.

    ``nll`` (2, n) in nats; ``sizes`` (n,) in bytes, up to a common factor; ``lengths`` (n,) in what
    blocks are measured in; ``unknown`` (n,): holds a token that A or B does not know.  ``places``
    are those where the models differ most.
    """

    nll: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    unknown: np.ndarray
    scores: tuple[Score, Score]
    places: tuple[Place, ...]

    @property
    def read(self) -> float:
        """About how many bytes of text, for progress."""
        return float(self.sizes.sum())


def pair_tokens(
    a: Loaded, b: Loaded, stretches: Iterable[tuple[np.ndarray, Counts]], most: int
) -> Iterator[Paired]:
    """Pair token by token what two models of one tokenizer make of the same stream.

    ``stretches`` are ids (N,), boundaries among them, and the counts of their text.
    """
    readers = (Reader(a.model), Reader(b.model))
    tokenizer, index = a.tokenizer, 0
    sizes = np.array([max(1, len(content)) for content in tokenizer.table])
    for ids, counts in stretches:
        nll = np.stack([reader.nll(ids) for reader in readers])
        of_text = ids != tokenizer.boundary_id
        ids, nll = ids[of_text], nll[:, of_text]
        unknown = ids == (-1 if tokenizer.unknown_id is None else tokenizer.unknown_id)
        ones = np.ones(len(ids), dtype=np.int64)
        scores = tuple(score_of(row, ones, row[unknown], counts) for row in nll)
        found = largest(nll[0] - nll[1], most)
        places = tuple(place_of(tokenizer, ids, nll, at, index) for at in found)
        yield Paired(nll, sizes[ids], ones, unknown, (scores[0], scores[1]), places)
        index += len(ids)


def pair_lines(a: Loaded, b: Loaded, pieces: Iterable[Piece], most: int) -> Iterator[Paired]:
    """Pair line by line what two models make of the same text, each with its own tokenizer.

    The pieces are text, not bytes.  Raises ``TokenizerError`` for text that cannot be encoded.
    """
    readers = (Reader(a.model), Reader(b.model))
    counter, index = TextCounter(), 0
    for piece in pieces:
        counts = count_more(counter, piece)
        units = cut_units(str(piece.text))
        sides = []
        for loaded, reader in ((a, readers[0]), (b, readers[1])):
            if piece.starts and counter.counts.documents > 1:
                reader.nll(np.zeros(1, dtype=loaded.tokenizer.dtype))
            sides.append(read_units(reader, loaded.tokenizer, units, counts))
        nll = np.stack([side[0] for side in sides])
        sizes = np.array([len(unit.encode()) for unit in units])
        places = tuple(
            Place(index + at, float(nll[0, at]), float(nll[1, at]), units[at])
            for at in largest(nll[0] - nll[1], most)
        )
        unknown = sides[0][1] | sides[1][1]
        yield Paired(nll, sizes, sizes, unknown, (sides[0][2], sides[1][2]), places)
        index += len(units)


def read_units(
    reader: Reader, tokenizer: Tokenizer, units: list[str], counts: Counts
) -> tuple[np.ndarray, np.ndarray, Score]:
    """The nll (n,) of units, which hold unknown tokens (n,), and the score of all."""
    encoded = [tokenizer.encode(unit) for unit in units]
    ids = np.concatenate(encoded)
    owner = np.repeat(np.arange(len(units)), [len(part) for part in encoded])
    nll = reader.nll(ids)
    unknown = ids == (-1 if tokenizer.unknown_id is None else tokenizer.unknown_id)
    sums = np.bincount(owner, weights=nll, minlength=len(units))
    holds = np.bincount(owner[unknown], minlength=len(units)) > 0
    return sums, holds, score_of(sums, ids, nll[unknown], counts)


def score_of(nll: np.ndarray, tokens: np.ndarray, of_unknown: np.ndarray, counts: Counts) -> Score:
    """The score of units with ``nll`` (n,), made of ``tokens`` (N,), of a text of ``counts``."""
    return Score(
        nll=float(nll.sum()),
        tokens=len(tokens),
        oov=len(of_unknown),
        oov_nll=float(of_unknown.sum()),
        chars=counts.chars,
        bytes=counts.bytes,
        words=counts.words,
    )


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


def place_of(tokenizer: Tokenizer, ids: np.ndarray, nll: np.ndarray, at: int, offset: int) -> Place:
    """The token ``at`` of ids (n,) with the text around it."""
    stream, begin = tokenizer.stream(), max(at - CONTEXT, 0)
    texts = [stream.push(token) for token in ids[begin : at + 1 + CONTEXT].tolist()]
    own = at - begin
    before, after = "".join(texts[:own]), "".join(texts[own + 1 :])
    return Place(offset + at, float(nll[0, at]), float(nll[1, at]), texts[own], before, after)


def count_more(counter: TextCounter, piece: Piece) -> Counts:
    """Count a piece; returns what it adds."""
    before = counter.counts
    counter.add(piece)
    after = counter.counts
    return Counts(
        chars=after.chars - before.chars,
        bytes=after.bytes - before.bytes,
        words=after.words - before.words,
    )
