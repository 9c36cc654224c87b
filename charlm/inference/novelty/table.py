"""The figures of a report on novelty: of single texts, of groups of texts, of all."""

from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from charlm.data.suffixes.index import Place
from charlm.errors import counted
from charlm.inference.novelty.overlaps import LENGTHS, Overlap, sum_overlaps

__all__ = ["NoveltyTable", "TextGroup", "TextNovelty"]


@dataclass(frozen=True)
class TextNovelty:
    """A text compared with the training text: as it is, and ``folded``, without case and with
    single spaces.  ``place`` is where its longest verbatim span stands, if it has one.
    """

    name: str
    exact: Overlap
    folded: Overlap
    place: Place | None

    def record(self) -> dict[str, Any]:
        """All figures, for JSON."""
        where = {} if self.place is None else vars(self.place)
        span = {"text": self.exact.longest, "chars": len(self.exact.longest), **where}
        return {
            "name": self.name,
            "chars": self.exact.chars,
            "longest": span,
            "new": shares(self.exact),
            "folded": {
                "longest": {"text": self.folded.longest, "chars": len(self.folded.longest)},
                "new": shares(self.folded),
            },
        }


@dataclass(frozen=True, repr=False)
class TextGroup:
    """Texts that belong together: samples at one temperature, documents of one file."""

    name: str
    texts: tuple[TextNovelty, ...]

    def __repr__(self) -> str:
        copy = f"longest copy {counted(len(self.exact.longest), 'character')}"
        return f"TextGroup({self.name!r}, {counted(len(self.texts), 'text')}, {copy})"

    @cached_property
    def exact(self) -> Overlap:
        """All texts as one."""
        return sum_overlaps([text.exact for text in self.texts])

    @cached_property
    def folded(self) -> Overlap:
        """All texts as one, without case and with single spaces."""
        return sum_overlaps([text.folded for text in self.texts])

    @property
    def longest(self) -> TextNovelty:
        """The text with the longest verbatim span."""
        return max(self.texts, key=lambda text: len(text.exact.longest))

    @property
    def mean_longest(self) -> float:
        """The mean over texts of the characters of their longest verbatim spans."""
        return fmean(len(text.exact.longest) for text in self.texts)

    @property
    def mean_folded(self) -> float:
        """``mean_longest`` without case and with single spaces."""
        return fmean(len(text.folded.longest) for text in self.texts)

    def record(self, *, texts: bool = True) -> dict[str, Any]:
        """All figures, for JSON; those of each text too if ``texts``."""
        whole = TextNovelty(self.name, self.exact, self.folded, self.longest.place).record()
        whole["mean_longest"] = self.mean_longest
        whole["folded"]["mean_longest"] = self.mean_folded
        if texts:
            whole["texts"] = [text.record() for text in self.texts]
        return whole


@dataclass(frozen=True)
class NoveltyTable:
    """Groups of texts, all texts, and the yardstick: ``human``, stretches of the held-out
    ``part`` as long as the texts.  ``missing`` says why there is no yardstick.
    """

    model: str
    groups: tuple[TextGroup, ...]
    human: TextGroup | None
    part: str
    missing: str

    @cached_property
    def whole(self) -> TextGroup:
        """All texts but the human ones."""
        return TextGroup("all", tuple(text for group in self.groups for text in group.texts))

    def record(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "model": self.model,
            "groups": [group.record() for group in self.groups],
            "all": self.whole.record(texts=False),
            "human": None if self.human is None else self.human.record(texts=False),
            "part": self.part,
        }


def shares(overlap: Overlap) -> dict[str, float]:
    """For each length of n-grams the share that is new."""
    return {str(n): overlap.share(n) for n in LENGTHS}
