"""How frequent units are in the text that a run was trained on: their unigram surprisal."""

import codecs
import math
import re
from collections import Counter
from dataclasses import dataclass

from charlm.data.preparation.counting import SPACES
from charlm.data.tokenizers.base import UNKNOWN
from charlm.errors import CorpusError
from charlm.inference.loading import Loaded, load_part

__all__ = ["Frequencies", "count_units"]

AT_ONCE = 1 << 16
"""Tokens that are turned into text at a time."""

NOT_IN_WORDS = re.compile(f"[{SPACES}]+")


@dataclass(frozen=True)
class Frequencies:
    """Counts of words (without white space), characters or tokens.

    ``single`` says that a unit is a token, so that all units that the tokenizer does not know are
    one, the unknown symbol.
    """

    counts: Counter[str]
    words: bool
    single: bool

    def surprisal(self, text: str, oov: int = 0) -> float:
        """-ln of the unit's share of the training text, in nats, one added to every count.

        All units that never occurred count as one, so the shares sum to 1.  ``oov`` of its tokens
        are the unknown symbol.
        """
        key = UNKNOWN if oov and self.single else text.strip() if self.words else text
        total = self.counts.total() + len(self.counts) + 1
        return -math.log((self.counts[key] + 1) / total)


def count_units(loaded: Loaded, by: str) -> Frequencies | None:
    """Count the units of the run's training text; None for lines, which hardly ever come twice.

    Raises ``CorpusError`` where the training text is gone.
    """
    if by == "line":
        return None
    try:
        tokens = load_part(loaded, "train").tokens
    except CorpusError as error:
        raise CorpusError(
            f"unigram surprisals need the text the run was trained on: {error}",
            "bring that text back, or leave `more` out",
        ) from None
    counts: Counter[str] = Counter()
    # No word goes on from one document to the next; elsewhere a boundary stands for no text.
    boundary = b"\n" if by == "word" else b""
    table = [boundary, *loaded.tokenizer.table[1:]]
    single = by in ("token", loaded.tokenizer.kind)
    chunks = (tokens[at : at + AT_ONCE].tolist() for at in range(0, len(tokens), AT_ONCE))
    contents = (map(table.__getitem__, ids) for ids in chunks)
    if single:
        for tokens_of_chunk in contents:
            counts.update(content.decode("utf-8", "replace") for content in tokens_of_chunk)
        del counts[boundary.decode()]  # and, among words, the line break
        return Frequencies(counts, by == "word", single)
    rest = ""
    for text in codecs.iterdecode(map(b"".join, contents), "utf-8", "replace"):
        if by == "char":
            counts.update(text)
        else:
            *words, rest = NOT_IN_WORDS.split(rest + text)
            counts.update(filter(None, words))
    counts.update(filter(None, [rest]))
    return Frequencies(counts, by == "word", single)
