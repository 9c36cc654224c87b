"""The table that neural-complexity prints (van Schijndel and Linzen 2018, EMNLP)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charlm.data.sources.corpora import Corpus
from charlm.inference.loading import Loaded
from charlm.inference.surprisal.text import Surprisal, measure_surprisal

__all__ = ["Complexity", "complexities", "measure_sentences"]


class Complexity(NamedTuple):
    """A word, the numbers of its sentence and in it (from 0), its characters, and nats."""

    word: str
    sentid: int
    sentpos: int
    wlen: int
    surp: float
    entropy: float
    entred: float


def measure_sentences(loaded: Loaded, corpus: Corpus) -> Iterator[Surprisal]:
    """Yield the words of a corpus, the state reset on each line, which is a sentence.

    The end of a line is a row by itself for a word tokenizer, and else the end of the last word.
    """
    by = "token" if loaded.tokenizer.kind == "word" else "word"
    return measure_surprisal(loaded, corpus, by, reset="line")


def complexities(rows: Iterable[Surprisal]) -> Iterator[Complexity]:
    """The words of sentences under the names and in the units of neural-complexity.

    Rows of white space alone are left out: the end of a line is not scored for a word tokenizer,
    and a blank line is no sentence.  ``entred`` is by how much the entropy before the word is below
    that before the word before it.  White space within a word is printed as ``_``.
    """
    sentence, number, last = -1, 0, None
    for row in rows:
        if word := "_".join(row.text.split()):
            here = (row.document, row.sentence)
            sentence, number = (sentence, number + 1) if here == last else (sentence + 1, 0)
            last = here
            measures = (row.nll, row.entropy, row.reduction)
            yield Complexity(word, sentence, number, len(word), *measures)
