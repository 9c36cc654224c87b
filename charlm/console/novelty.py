"""Show how much of a text is copied: a bar while texts are compared, then the figures."""

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich.progress import BarColumn, TimeElapsedColumn

from charlm.console.figures import print_pairs, print_sentences
from charlm.console.streams import on_one_line, print_json, print_note, result_of
from charlm.data.suffixes.building import Indexing
from charlm.data.suffixes.index import SuffixIndex
from charlm.errors import counted
from charlm.inference.novelty.overlaps import Overlap
from charlm.inference.novelty.report import Comparing
from charlm.inference.novelty.table import NoveltyTable, TextGroup, TextNovelty

__all__ = ["show_indexing", "show_novelty"]

SHOWN = (4, 8, 12, 16, 25, 50)
"""Lengths of n-grams that the table has columns for."""

SPAN = 200
"""Most columns of a span that is shown."""

PROGRESS: dict[type, Callable[[Any], tuple[str, float, float | None]]] = {
    Indexing: lambda each: (each.phase, each.done, each.total),
    Comparing: lambda each: ("comparing", each.done, each.total),
}
COLUMNS = ("{task.description}", BarColumn(), TimeElapsedColumn())

HEAD = (
    f"{'':<20} {'longest copy':>16}  {'% of n-grams that are new':>36}\n"
    f"{'':<20} {'verbatim':>9} {'near':>6}  " + "".join(f"{f'{n}':>6}" for n in SHOWN)
)


def show_indexing(records: Iterable[Indexing | SuffixIndex]) -> SuffixIndex:
    """Draw how the training text is read and sorted; returns the index."""
    found: SuffixIndex = result_of(records, PROGRESS, *COLUMNS)
    return found


def show_novelty(records: Iterable[object], *, as_json: bool) -> None:
    """Draw progress, then print all figures."""
    table: NoveltyTable = result_of(records, PROGRESS, *COLUMNS)
    if as_json:
        print_json(table.record())
        return
    print_pairs({"model": table.model})
    sys.stdout.write(f"\n{HEAD}\n")
    for group in table.groups:
        show_group(group, texts=len(group.texts) > 1)
    if len(table.groups) > 1:
        show_group(table.whole)
    if table.human:
        show_group(table.human)
    else:
        print_note(f"no human text to compare with: {table.missing}")
    sys.stdout.write("\n")
    print_sentences(
        "Longest copies in characters, of several texts the mean; near: without case and with "
        "single spaces.  n-grams of 4 to 50 characters, for each length: --json."
    )
    sys.stdout.write("\n")
    groups = [*table.groups, *filter(None, [table.human])]
    print_pairs({group.name: span_of(group.longest, group.name) for group in groups})


def show_group(group: TextGroup, *, texts: bool = False) -> None:
    """A line for all texts of a group, then one for each text if wanted."""
    sys.stdout.write(line(group.name, group.mean_longest, group.mean_folded, group.exact))
    for text in group.texts if texts else ():
        verbatim, near = len(text.exact.longest), len(text.folded.longest)
        sys.stdout.write(line(f"  {text.name}", verbatim, near, text.exact))


def line(name: str, verbatim: float, near: float, overlap: Overlap) -> str:
    """A line of the table."""
    name = on_one_line(name, 20)
    cells = "".join(f"{percent(overlap.share(n)):>6}" for n in SHOWN)
    return f"{name:<20} {verbatim:>9,.4g} {near:>6,.4g}  {cells}\n"


def percent(share: float) -> str:
    """A share as a percentage; nothing where there is none."""
    return "" if math.isnan(share) else f"{100 * share:.1f}"


def span_of(text: TextNovelty, name: str) -> str:
    """The longest verbatim span of the texts of a group, and where it stands."""
    place = text.place
    if place is None:
        return "copies nothing"
    times = f", and {counted(place.times - 1, 'time')} more" if place.times > 1 else ""
    document = f"document {place.document:,}, " if place.document > 1 else ""
    own = "" if text.name == name else f"{text.name}: "
    where = f"{document}line {place.line:,} (character {place.position:,}){times}"
    longest = text.exact.longest
    count = counted(len(longest), "character")
    if longest.isspace():
        return f"{own}{count} of white space from {where}"
    return f"{own}{count} from {where}\n{on_one_line(longest, SPAN)}"
