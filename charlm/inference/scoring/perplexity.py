"""Measure how well a model predicts texts: the work of ``charlm perplexity`` in one call."""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from charlm.inference.adaptation.mixing import with_parts
from charlm.inference.adaptation.overlap import refuse_overlap
from charlm.inference.loading import Loaded
from charlm.inference.scoring.baselines import measure_references
from charlm.inference.scoring.conventions import ScoringOptions, score
from charlm.inference.scoring.results import PerplexityTable, TextScore, micro_average
from charlm.inference.scoring.scorer import PartialScore
from charlm.inference.texts import TextSource

__all__ = ["ScoringProgress", "measure_perplexity"]


@dataclass(frozen=True)
class ScoringProgress:
    """So many more bytes of a text were read; ``size`` is how many it has, None if unknown."""

    text: str
    read: float
    size: int | None


def measure_perplexity(
    loaded: Loaded,
    texts: Sequence[TextSource],
    options: ScoringOptions | None = None,
    *,
    baselines: bool = False,
    static: Loaded | None = None,
) -> Iterator[ScoringProgress | PerplexityTable]:
    """Score each text by itself and all together; the last record is the table.

    ``baselines`` asks for n-gram models and compressors on the same texts.  ``static`` is the run
    without methods of evaluation time, scored beside; so are the runs of a mixture, each alone.
    Raises ``CorpusError`` for text that the model was tuned on or that cannot be scored so, and
    where baselines need the training text and it is gone.
    """
    options = options or ScoringOptions()
    for text in texts:
        refuse_overlap(loaded, loaded.tuned_on, text.content)
    measured = tuple(measure_references(loaded, texts)) if baselines else ()
    began = time.monotonic()
    rows = yield from score_each(loaded, texts, options)
    seconds = time.monotonic() - began
    beside = {} if static is None else {"static": static}
    *parts, _ = with_parts(static or loaded)
    beside |= {part.name: part for part in parts}
    found = {}
    for name, other in beside.items():
        found[name] = micro_average((yield from score_each(other, texts, options)))
    yield PerplexityTable(
        loaded=loaded,
        options=options,
        rows=tuple(rows),
        whole=micro_average(rows),
        static=found.pop("static", None),
        alone=tuple(found.items()),
        baselines=measured,
        seconds=seconds,
    )


def score_each(
    loaded: Loaded, texts: Iterable[TextSource], options: ScoringOptions
) -> Generator[ScoringProgress, None, list[TextScore]]:
    """Score texts one after the other; returns their scores."""
    rows = []
    for text in texts:
        whole = PartialScore()
        for part in score(loaded, text, options):
            whole += part
            yield ScoringProgress(text.name, part.read, text.size)
        rows.append(TextScore(name=text.name, **vars(whole)))
    return rows
