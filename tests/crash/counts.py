"""What each part of the laboratory counts, and how it is said in one line."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Counts"]


@dataclass
class Counts:
    """How often something was tried, what came of it by name, and what went wrong."""

    trials: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def line(self, what: str) -> str:
        """The figures for the summary of the tests and for the drill's report."""
        hits = "".join(f", {count:,} {name}" for name, count in sorted(self.hits.items()))
        return f"{self.trials:,} {what}{hits}; {len(self.wrong)} went wrong"
