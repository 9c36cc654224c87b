"""A comparison of two models as figures for people and as JSON."""

import math
import sys
from collections.abc import Iterable

from rich.cells import cell_len

from charlm.console.figures import print_pairs
from charlm.console.scores import tracked
from charlm.console.streams import on_one_line, print_json
from charlm.errors import counted
from charlm.inference.comparison.difference import BITS, Comparison
from charlm.inference.comparison.units import PairedUnit
from charlm.inference.loading import Loaded
from charlm.inference.scoring.perplexity import ScoringProgress
from charlm.inference.scoring.uncertainty import LEVEL, Estimate
from charlm.metrics import Score

__all__ = ["show_comparison"]

WIDTH = 80
"""Columns of a line with an example."""

FIGURES = 28
"""Columns of the figures to the left of an example."""


def show_comparison(records: Iterable[ScoringProgress | Comparison], *, as_json: bool) -> None:
    """Draw progress while both models read, then print the figures and the examples."""
    found: Comparison = tracked(records, "comparing")
    if as_json:
        print_json(found.record())
        return
    print_figures(found)
    for title, sign in (("A", -1), ("B", 1)):
        examples = [each for each in found.examples if each.difference * sign > 0]
        if examples:
            title = f"{found.unit}s where {title} is better by most, in bits"
            print_examples(title, examples)


def print_figures(found: Comparison) -> None:
    """Both scores, their difference with its interval, and how often each is better."""
    score, bits = found.scores[0], (found.bpb, found.bpc)
    counts = f"{counted(score.chars, 'character')}, {counted(score.bytes, 'byte')}"
    print_pairs(
        {"text": f"{', '.join(found.names)}: {counts}", "A": found.a.name, "B": found.b.name}
    )
    sys.stdout.write(f"\n{'':12}{'bits per byte':<24}{'bits per character':<24}tokens\n")
    print_pairs(
        {
            "A": figures(found.a, found.scores[0]),
            "B": figures(found.b, found.scores[1]),
            "A - B": "".join(f"{side.value:<+24.4f}" for side in bits).rstrip(),
            f"{LEVEL:.0%}": "".join(f"{interval(side):<24}" for side in bits).rstrip(),
        }
    )
    print_pairs(verdicts(found))


def figures(loaded: Loaded, score: Score) -> str:
    """The figures of one model."""
    return f"{score.bpb:<24.4f}{score.bpc:<24.4f}{score.tokens:,} ({loaded.tokenizer.kind})"


def interval(estimate: Estimate) -> str:
    """The ends of an interval, or "unknown"."""
    if math.isnan(estimate.low):
        return "unknown"
    return f"{estimate.low:+.4f} to {estimate.high:+.4f}"


def verdicts(found: Comparison) -> dict[str, str]:
    """The verdict in words, and how it was found."""
    unit, (better_a, better_b) = found.unit, found.better
    of_tokens = counted(found.block, "token")
    size = of_tokens if unit == "token" else f"{counted(found.block, 'byte')} of whole lines"
    if math.isnan(found.difference.low):
        verdict = f"the text is too short to say: one block of {size}"
    elif found.verdict is None:
        verdict = "no difference is shown: the interval contains zero"
    else:
        verdict = f"{found.verdict} predicts this text better"
    rows = {
        "verdict": verdict,
        "better": f"A on {better_a / found.units:.1%} of {counted(found.units, unit)}, "
        f"B on {better_b / found.units:.1%}",
        "interval": f"paired, over {counted(found.blocks, 'block')} of {size}",
    }
    if found.with_unknown:
        of_a, of_b = (f"{score.oov:,} of {score.tokens:,}" for score in found.scores)
        rows["unknown"] = f"tokens scored as <unk>: A {of_a}, B {of_b}"
        without = counted(found.with_unknown, f"such {unit}")
        rows[""] = f"A - B without {without}: {known(found)}"
    return rows


def known(found: Comparison) -> str:
    """The difference in bits per byte where neither model meets an unknown token."""
    if found.with_unknown == found.units:
        return "none are left"
    bits = found.known.scaled(BITS)
    ends = "too few for an interval" if math.isnan(bits.low) else interval(bits)
    return f"{bits.value:+.4f} ({ends})"


def print_examples(title: str, examples: Iterable[PairedUnit]) -> None:
    """A line for each example: its bits under A and B, the difference, the text."""
    sys.stdout.write(f"\n{title}\n{'A':>8}{'B':>9}{'A - B':>9}\n")
    for each in examples:
        bits = (each.nll_a * BITS, each.nll_b * BITS, each.difference * BITS)
        sys.stdout.write(f"{bits[0]:8.2f} {bits[1]:8.2f} {bits[2]:+8.2f}  {excerpt(each)}\n")


def excerpt(example: PairedUnit) -> str:
    """The text of an example on the rest of a line: a token in «», between its neighbours."""
    columns = WIDTH - FIGURES
    if not example.before and not example.after:
        return on_one_line(example.text, columns)
    own = f"«{on_one_line(example.text)}»"
    side = max(0, columns - cell_len(own)) // 2
    before, after = on_one_line(example.before), on_one_line(example.after)
    while cell_len(before) > side:
        before = before[1:]
    while cell_len(after) > side:
        after = after[:-1]
    return before + own + after
