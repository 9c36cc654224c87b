"""The table that neural-complexity prints (van Schijndel and Linzen 2018, EMNLP)."""

from collections.abc import Iterable, Iterator
from typing import Any

from charlm.inference.surprisal.text import Surprisal

__all__ = ["complexities"]


def complexities(rows: Iterable[Surprisal], scale: float = 1.0) -> Iterator[dict[str, Any]]:
    """The words of sentences as neural-complexity prints them: ``word``, ``sentid`` and
    ``sentpos``, the numbers from 0 of its sentence and in it, ``wlen`` characters, and ``surp``,
    ``entropy`` and ``entred``; ``scale`` is how many of their unit a nat is.

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
            yield {
                "word": word, "sentid": sentence, "sentpos": number, "wlen": len(word),
                "surp": row.nll * scale, "entropy": row.entropy * scale,
                "entred": row.reduction * scale,
            }  # fmt: skip
