"""The table that neural-complexity prints (van Schijndel and Linzen 2018, EMNLP)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.surprisal.text import surprisals

__all__ = ["Complexity", "complexities"]


class Complexity(NamedTuple):
    """A word, the numbers of its sentence and in it (from 0), its characters, and nats."""

    word: str
    sentid: int
    sentpos: int
    wlen: int
    surp: float
    entropy: float
    entred: float


def complexities(
    model: Predictor, tokenizer: Tokenizer, pieces: Iterable[EncodedPiece]
) -> Iterator[Complexity]:
    """Yield the words of a text with a sentence on each line, the state reset on each.

    Lines of white space are no sentences.  ``entred`` is by how much the entropy before the word
    is below that before the word before it.  The end of a line is not scored for a word
    tokenizer, as there; for the others it is the end of the last word.  White space within a
    word is printed as ``_``.

    Raises ``ConfigError`` where no token ends a line.
    """
    unit = "token" if tokenizer.kind == "word" else "word"
    sentence, place, fresh = -1, 0, True
    for row in surprisals(model, tokenizer, pieces, unit, context="line"):
        word = "_".join(row.text.split())
        fresh = fresh or row.position == 0
        if word:
            sentence, place = (sentence + 1, 0) if fresh else (sentence, place + 1)
            fresh = False
            measures = (row.nll, row.entropy, row.reduction)
            yield Complexity(word, sentence, place, len(word), *measures)
