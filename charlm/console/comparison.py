"""A comparison of two models as figures for people and as JSON."""

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.progress import Progress

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json, printable, talk, visible
from charlm.inference.comparison.difference import Comparison, Pairing, compare
from charlm.inference.comparison.units import Paired, Place
from charlm.inference.loading import Loaded
from charlm.inference.scoring.intervals import LEVEL, Estimate
from charlm.metrics import Score

__all__ = ["show_comparison"]

BITS = 1 / math.log(2)
WIDTH = 80
FIGURES = 28
"""Columns that the figures beside a text take."""


def show_comparison(a: Loaded, b: Loaded, pairing: Pairing, most: int, *, as_json: bool) -> None:
    """Compare while it is read, then print: the figures, then ``most`` places each way."""
    found = compare(tracked(pairing), pairing.unit, most)
    if as_json:
        print_json(comparison_table(a, b, found))
        return
    print_figures(a, b, pairing.names, found)
    for title, sign in (("A", -1), ("B", 1)):
        places = [place for place in found.places if place.difference * sign > 0]
        if places:
            print_places(f"{found.unit}s where {title} is better by most, in bits", places)


def tracked(pairing: Pairing) -> Iterator[Paired]:
    """The records of ``pairing`` as they come, with a progress bar on a terminal."""
    console = talk()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("comparing", total=pairing.size)
        for part in pairing.parts:
            yield part
            progress.advance(task, part.read)


def print_figures(a: Loaded, b: Loaded, names: Iterable[str], found: Comparison) -> None:
    """Both scores, their difference with its interval, and who is better how often."""
    score = found.scores[0]
    per_char = score.bytes / max(score.chars, 1)
    bits = (found.difference.scaled(BITS), found.difference.scaled(BITS * per_char))
    print_pairs(
        {
            "text": f"{', '.join(names)}: {score.chars:,} characters, {score.bytes:,} bytes",
            "A": a.name,
            "B": b.name,
        }
    )
    sys.stdout.write(f"\n{'':12}{'bits per byte':<24}{'bits per character':<24}tokens\n")
    print_pairs(
        {
            "A": figures(a, found.scores[0]),
            "B": figures(b, found.scores[1]),
            "A - B": "".join(f"{side.value:<+24.4f}" for side in bits).rstrip(),
            f"{LEVEL:.0%}": "".join(f"{interval(side):<24}" for side in bits).rstrip(),
        }
    )
    print_pairs(verdicts(found))


def figures(loaded: Loaded, score: Score) -> str:
    """One model's."""
    return f"{score.bpb:<24.4f}{score.bpc:<24.4f}{score.tokens:,} ({loaded.tokenizer.kind})"


def interval(estimate: Estimate) -> str:
    """The ends of an interval, where there is one."""
    if math.isnan(estimate.low):
        return "unknown"
    return f"{estimate.low:+.4f} to {estimate.high:+.4f}"


def verdicts(found: Comparison) -> dict[str, str]:
    """What follows from the figures, in words."""
    unit, (better_a, better_b) = found.unit, found.better
    low, high = found.difference.low, found.difference.high
    size = f"{found.block:,} {'tokens' if unit == 'token' else 'bytes of whole lines'}"
    if math.isnan(low):
        verdict = f"the text is too short to say: one block of {size}"
    elif low <= 0 <= high:
        verdict = "no difference is shown: the interval holds zero"
    else:
        verdict = f"{'A' if high < 0 else 'B'} predicts this text better"
    rows = {
        "so": verdict,
        "better": f"A on {better_a / found.units:.1%} of {found.units:,} {unit}s, "
        f"B on {better_b / found.units:.1%}",
        "interval": f"paired bootstrap over {found.blocks:,} blocks of {size}",
    }
    if found.with_unknown:
        of_a, of_b = (f"{score.oov:,} of {score.tokens:,}" for score in found.scores)
        rows["unknown"] = f"tokens scored as <unk>: A {of_a}, B {of_b}"
        rows[""] = f"A - B without {found.with_unknown:,} such {unit}s: {known(found)}"
    return rows


def known(found: Comparison) -> str:
    """The difference in bits per byte where neither model meets an unknown token."""
    if found.with_unknown == found.units:
        return "none are left"
    bits = found.known.scaled(BITS)
    return f"{bits.value:+.4f} ({interval(bits)})"


def print_places(title: str, places: Iterable[Place]) -> None:
    """A line for each place: its bits under A and B, the difference, the text."""
    sys.stdout.write(f"\n{title}\n{'A':>8}{'B':>9}{'A - B':>9}\n")
    for place in places:
        bits = (place.nll_a * BITS, place.nll_b * BITS, place.difference * BITS)
        sys.stdout.write(f"{bits[0]:8.2f} {bits[1]:8.2f} {bits[2]:+8.2f}  {excerpt(place)}\n")


def excerpt(place: Place) -> str:
    """The text of a place on what is left of a line: a token in «» amid what surrounds it."""
    room = WIDTH - FIGURES
    text = on_one_line(place.text)
    if not place.before and not place.after:
        return text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"
    own = f"«{text}»"
    side = max(0, room - cell_len(own)) // 2
    before, after = on_one_line(place.before), on_one_line(place.after)
    while cell_len(before) > side:
        before = before[1:]
    while cell_len(after) > side:
        after = after[:-1]
    return before + own + after


def on_one_line(text: str) -> str:
    """``text`` harmless on a terminal, with pictures for tabs and line breaks as well."""
    return "".join(visible(char) if char in "\n\t" else char for char in printable(text))


def comparison_table(a: Loaded, b: Loaded, found: Comparison) -> dict[str, Any]:
    """The same for scripts: differences are A - B, in bits; an interval's ends may be null."""
    score = found.scores[0]
    per_char = score.bytes / max(score.chars, 1)
    return {
        "unit": found.unit,
        "units": found.units,
        "chars": score.chars,
        "bytes": score.bytes,
        "words": score.words,
        "a": side_table(a, found.scores[0]),
        "b": side_table(b, found.scores[1]),
        **estimate_table("bpb", found.difference.scaled(BITS)),
        **estimate_table("bpc", found.difference.scaled(BITS * per_char)),
        "a_better": found.better[0],
        "b_better": found.better[1],
        "units_with_unknown": found.with_unknown,
        **estimate_table("bpb_without_unknown", found.known.scaled(BITS)),
        "blocks": found.blocks,
        "block_size": found.block,
        "most": [place_table(place) for place in found.places],
    }


def side_table(loaded: Loaded, score: Score) -> dict[str, Any]:
    """One model's own figures."""
    return {
        "run": str(loaded.run.folder),
        "step": loaded.step,
        "tokenizer": loaded.tokenizer.kind,
        "mode": loaded.model.mode,
        "nll": score.nll,
        "tokens": score.tokens,
        "oov": score.oov,
        "oov_nll": score.oov_nll,
        "bpb": score.bpb,
        "bpc": score.bpc,
    }


def estimate_table(name: str, estimate: Estimate) -> dict[str, float]:
    """A difference and its interval."""
    ends = asdict(estimate)
    return {f"{name}_difference": ends["value"], f"{name}_low": ends["low"],
            f"{name}_high": ends["high"]}  # fmt: skip


def place_table(place: Place) -> dict[str, Any]:
    """One place, in bits."""
    return {
        "index": place.index,
        "a_bits": place.nll_a * BITS,
        "b_bits": place.nll_b * BITS,
        "before": place.before,
        "text": place.text,
        "after": place.after,
    }
