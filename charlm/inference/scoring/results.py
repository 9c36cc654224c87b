"""What came out for texts: the score of each, of all of them together, and the mean over texts."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from charlm.inference.adaptation.mixing import evaluation_of
from charlm.inference.loading import Loaded
from charlm.inference.scoring.baselines import Baseline
from charlm.inference.scoring.conventions import Convention, ScoringOptions, figures
from charlm.inference.scoring.scorer import PartialScore
from charlm.inference.scoring.uncertainty import Estimate, estimate_mean, estimate_nll
from charlm.metrics import Score
from charlm.notebook import html_table

__all__ = [
    "PerplexityTable",
    "TextScore",
    "key_of",
    "macro_average",
    "micro_average",
]

MEANS = ("perplexity", "perplexity_without_oov", "char_perplexity", "word_perplexity",
         "byte_perplexity", "bpc", "bpb")  # fmt: skip
"""The figures that a macro average has, beside those of a convention."""

NAMES = ("bpc", "bpb", "perplexity per token", "95 % interval", "tokens", "characters", "unknown")
"""What the columns of a score are called in notebooks."""

COUNTED = ("nll", "tokens", "chars", "bytes", "words", "oov", "boundaries", "boundary_nll")
"""The sums that a record has; those of nll are in nats."""


@dataclass(frozen=True, kw_only=True, repr=False)
class TextScore(PartialScore):
    """The score of a text, with its name and how uncertain its perplexity is.

    ``unknown`` counts the characters or words that the vocabulary lacks; it is empty where the text
    is not kept.
    """

    name: str = "the text"

    @cached_property
    def estimate(self) -> Estimate:
        """The perplexity per token with its standard error and its 95 % interval."""
        return estimate_nll(self.blocks).exponential()

    @property
    def perplexity_se(self) -> float:
        """The standard error of the perplexity per token; NaN for less than two blocks of text."""
        return self.estimate.se

    @property
    def perplexity_interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval of the perplexity per token; NaN where unknown."""
        return self.estimate.low, self.estimate.high

    @property
    def never_seen(self) -> int:
        """Tokens of the text that were scored as the unknown symbol and are not that symbol.

        A tokenized corpus may hold the word ``<unk>`` itself, which is then a word like others.
        """
        return self.unknown.total()

    def _repr_html_(self) -> str:
        """The figures as a table for notebooks."""
        return html_table(self.name, [self.cells()], NAMES)

    def cells(self) -> tuple[object, ...]:
        """The figures under ``NAMES``."""
        low, high = self.perplexity_interval
        interval = "" if math.isnan(low) else f"{low:,.3f} to {high:,.3f}"
        return self.bpc, self.bpb, self.perplexity, interval, self.tokens, self.chars, self.oov

    def record(self, convention: Convention = "charlm") -> dict[str, Any]:
        """The figures under the keys that scripts rely on; nll and boundary_nll in nats."""
        own = figures(convention, self)
        return (
            {name: getattr(self, name) for name in (*COUNTED, *MEANS)}
            | {"perplexity_se": self.perplexity_se, "perplexity_interval": self.perplexity_interval}
            | {key_of(name): value for name, value in own.items()}
        )


@dataclass(frozen=True, kw_only=True)
class PerplexityTable:
    """The scores of one or several texts under one model.

    ``rows`` are the texts, ``whole`` is all of them together (micro average).  ``static`` is the
    score of all without the methods of evaluation time, ``alone`` the score of all under each run
    of a mixture, by its name; ``baselines`` were measured on all texts together.  ``seconds`` is
    the time that scoring the rows took.
    """

    loaded: Loaded
    options: ScoringOptions
    rows: tuple[TextScore, ...]
    whole: TextScore
    static: TextScore | None = None
    alone: tuple[tuple[str, TextScore], ...] = ()
    baselines: tuple[Baseline, ...] = ()
    seconds: float = 0.0

    def __repr__(self) -> str:
        return "\n".join(f"{row.name}: {row!r}" for row in (*self.rows, self.whole)[: self.lines])

    def _repr_html_(self) -> str:
        """A row for each text, for notebooks."""
        rows = (*self.rows, self.whole)[: self.lines]
        cells = [(row.name, *row.cells()) for row in rows]
        return html_table(self.loaded.name, cells, ("text", *NAMES))

    @property
    def lines(self) -> int:
        """Rows to show: a single text needs no line for all texts together."""
        return len(self.rows) + int(len(self.rows) > 1)

    @property
    def gain(self) -> float:
        """By how many nats per token methods of evaluation time help; NaN without them."""
        return self.static.mean_nll - self.whole.mean_nll if self.static else math.nan

    @property
    def macro(self) -> dict[str, Any]:
        """The mean over texts of their figures, each text counting the same."""
        return macro_average(self.rows, self.options.convention)

    def record(self) -> dict[str, Any]:
        """One JSON object; of several texts the figures at its top are those of all together."""
        loaded, convention = self.loaded, self.options.convention
        record = self.whole.record(convention) | {
            "tokens_per_second": self.whole.tokens / max(self.seconds, 1e-9),
            "mode": loaded.model.mode,
            "convention": convention,
            "reset": self.options.starts,
            "tokenizer": loaded.tokenizer.kind,
            "run": str(loaded.run.folder),
            "step": loaded.step,
            "unknown": dict(self.whole.unknown),
        }
        if self.alone:
            record["alone"] = {name: score.record(convention) for name, score in self.alone}
        if self.static:
            record["static"] = self.static.record(convention)
            record["evaluation"] = evaluation_of(loaded).record()
        if len(self.rows) > 1:
            record["sources"] = [{"source": row.name} | row.record(convention) for row in self.rows]
            record["micro"] = self.whole.record(convention)
            record["macro"] = self.macro
        if self.baselines:
            record["baselines"] = [asdict(baseline) for baseline in self.baselines]
        if self.options.curve:
            record["curve"] = [asdict(each) for each in self.whole.curve.rows()]
        return record


def micro_average(rows: Sequence[TextScore]) -> TextScore:
    """All texts as one: a long text counts more than a short one."""
    if len(rows) == 1:
        return rows[0]
    return TextScore(name="all together (micro)", **vars(sum(rows, start=PartialScore())))


def macro_average(rows: Sequence[TextScore], convention: Convention) -> dict[str, Any]:
    """The means over texts of their figures, under the keys of a record."""
    records = [row.record(convention) for row in rows]
    own = figures(convention, Score())
    names = (*MEANS, *(key_of(name) for name in own if not isinstance(own[name], int)))
    found = estimate_mean([row.estimate for row in rows])
    return {name: sum(record[name] for record in records) / len(rows) for name in names} | {
        "perplexity_se": found.se,
        "perplexity_interval": (found.low, found.high),
    }


def key_of(name: str) -> str:
    """The key of a figure that another tool prints under a name."""
    return name.lower().replace(" ", "_")
