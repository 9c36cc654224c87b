"""Scores of texts: figures for one, a table for several, JSON for scripts."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.progress import Progress

from charlm.console.adaptation import adaptation_lines, adaptation_table, in_short
from charlm.console.figures import print_pairs
from charlm.console.streams import print_json, talk
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.mixing import with_parts
from charlm.inference.generation.text import name_unknown
from charlm.inference.loading import Loaded
from charlm.inference.scoring.baselines import Baseline
from charlm.inference.scoring.conventions import Request, Text, figures, score
from charlm.inference.scoring.curve import Bin
from charlm.inference.scoring.references import measure_references
from charlm.inference.scoring.table import Row, key_of, macro, micro, summed

__all__ = ["show_scores"]

BAR = 24
"""Characters of a curve's longest bar."""


def show_scores(
    readings: Sequence[Loaded],
    texts: Sequence[Text],
    request: Request,
    evaluation: Evaluation,
    *,
    baselines: bool,
    as_json: bool,
) -> None:
    """Score texts, measure baselines if they are asked for, and print all of it in the end.

    Where ``evaluation`` has methods, the second of ``readings`` is without them: the static one.
    Beside a mixture stands what each of its runs reaches alone.
    """
    loaded = readings[0]
    measured = list(measure_references(loaded, texts)) if baselines else []
    began = time.monotonic()
    rows = score_rows(loaded, texts, request)
    seconds = max(time.monotonic() - began, 1e-9)
    static = together(score_rows(readings[1], texts, request)) if evaluation.methods else None
    whole = together(rows)
    *parts, _ = with_parts(readings[-1])
    alone = [(part.name, together(score_rows(part, texts, request))) for part in parts]
    if as_json:
        beside: dict[str, Any] = {}
        if alone:
            beside["alone"] = {name: row.record(request.convention) for name, row in alone}
        if static:
            beside["evaluation"] = adaptation_table(evaluation)
            beside["static"] = static.record(request.convention)
        print_scores(loaded, rows, whole, request, measured, seconds, beside)
        return
    show_rows(loaded, rows, whole, texts, request)
    if static:
        print_pairs(adaptation_lines(evaluation, whole.score, static.score))
    for name, row in alone:
        print_pairs({"alone": f"{name}: {in_short(row.score)}"})
    show_unknown(rows)
    show_baselines(measured, whole)
    show_curve(list(whole.curve.rows()), request)


def score_rows(loaded: Loaded, texts: Sequence[Text], request: Request) -> list[Row]:
    """Score each text."""
    return [score_row(loaded, text, request, seed) for seed, text in enumerate(texts)]


def together(rows: Sequence[Row]) -> Row:
    """All texts as one."""
    return rows[0] if len(rows) == 1 else micro(rows)


def score_row(loaded: Loaded, text: Text, request: Request, seed: int) -> Row:
    """Score one text, with a progress bar."""
    console = talk()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=text.size)
        scored = score(loaded, text, request)
        return summed(text.name, scored, seed, lambda size: progress.advance(task, size))


def print_scores(
    loaded: Loaded,
    rows: Sequence[Row],
    whole: Row,
    request: Request,
    measured: Sequence[Baseline],
    seconds: float,
    beside: Mapping[str, Any],
) -> None:
    """One JSON object; of several texts the figures at its top are those of all together."""
    record = whole.record(request.convention) | {
        "tokens_per_second": whole.score.tokens / seconds,
        "mode": loaded.model.mode,
        "convention": request.convention,
        "reset": request.starts,
        "tokenizer": loaded.tokenizer.kind,
        "run": str(loaded.run.folder),
        "step": loaded.step,
        "unknown": dict(whole.unknown),
        **beside,
    }
    if len(rows) > 1:
        record["sources"] = [{"source": row.name} | row.record(request.convention) for row in rows]
        record["micro"] = whole.record(request.convention)
        record["macro"] = macro(rows, request.convention)
    if measured:
        record["baselines"] = [asdict(baseline) for baseline in measured]
    if request.curve:
        record["curve"] = [asdict(each) for each in whole.curve.rows()]
    print_json(record)


def show_rows(
    loaded: Loaded, rows: Sequence[Row], whole: Row, texts: Sequence[Text], request: Request
) -> None:
    """The figures for people."""
    about = {"model": loaded.name}
    if loaded.model.mode != "static":
        about["mode"] = loaded.model.mode
    if request.note:
        about["convention"] = request.note
    if len(rows) > 1:
        print_pairs(about)
        show_table(rows, whole, request)
        return
    added = whole.score
    names = ", ".join(texts[0].names[:3]) + (" ..." if len(texts[0].names) > 3 else "")
    text = f"{added.chars:,} characters, {added.words:,} words, {added.tokens:,} tokens"
    own = {name: shown(value) for name, value in figures(request.convention, added).items()}
    print_pairs({"text": f"{names}: {text}"} | about)
    print_pairs(own or detailed(whole, loaded.tokenizer.kind))


def detailed(row: Row, kind: str) -> dict[str, str]:
    """Our own figures in every unit."""
    added = row.score
    return {
        "perplexity": f"{added.perplexity:,.3f}{plus_minus(row.spread.se)} per token ({kind})",
        "": f"{added.char_perplexity:,.3f} per character, {added.byte_perplexity:,.3f} per byte, "
        f"{added.word_perplexity:,.1f} per word",
        "bits": f"{added.bpc:.4f} per character (bpc), {added.bpb:.4f} per byte (bpb)",
        "nats": f"{added.mean_nll:.4f} per token, {added.nll:,.1f} in all",
    }


def plus_minus(error: float) -> str:
    """A standard error, where there is one."""
    return f" ± {error:.3f}" if math.isfinite(error) else ""


def show_table(rows: Sequence[Row], whole: Row, request: Request) -> None:
    """A line for each text, then for all of them; names come last, so that they may be long."""
    own = figures(request.convention, whole.score)
    keys = [key_of(name) for name in own] or ["chars", "tokens", "perplexity", "bpc", "bpb"]
    titles = [name.removeprefix("Perplexity ") for name in own] or keys
    records = [row.record(request.convention) for row in (*rows, whole)]
    records.append(macro(rows, request.convention))
    names = [*(row.name for row in (*rows, whole)), "mean of the sources (macro)"]
    cells = [titles, *([cell(record, key) for key in keys] for record in records)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line, name in zip(cells, ["source", *names], strict=True):
        padded = (f"{value:>{width}}" for value, width in zip(line, widths, strict=True))
        sys.stdout.write(f"{'  '.join(padded)}  {name}\n")


def cell(record: Mapping[str, Any], key: str) -> str:
    """A figure of a row; nothing for one that the row has not."""
    value = record.get(key)
    if key == "perplexity":
        return f"{value:,.3f}{plus_minus(record['perplexity_se'])}"
    return "" if value is None else shown(value)


def shown(value: float) -> str:
    """A number, counts without decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def show_unknown(rows: Sequence[Row]) -> None:
    """The tokens that were never seen in training, and the figure without them."""
    for row in rows:
        if row.score.oov:
            named = f": {name_unknown(row.unknown)}" if row.unknown else ""
            of = f" of {row.name}" if len(rows) > 1 else ""
            print_pairs(
                {
                    "unknown": f"{row.score.oov:,} of {row.score.tokens:,} tokens{of} were never "
                    f"seen in training{named}",
                    "": f"perplexity without them {row.score.perplexity_without_oov:,.3f}",
                }
            )


def show_baselines(measured: Sequence[Baseline], whole: Row) -> None:
    """The model between the baselines, the worst first."""
    if not measured:
        return
    lines = [(baseline.name, baseline.bpc, baseline.bpb) for baseline in measured]
    lines.append(("this model", whole.score.bpc, whole.score.bpb))
    width = max(len(name) for name, *_ in lines)
    sys.stdout.write(f"\n{'':<{width}}  {'bpc':>8}  {'bpb':>8}\n")
    for name, bpc, bpb in lines:
        sys.stdout.write(f"{name:<{width}}  {bpc:>8.4f}  {bpb:>8.4f}\n")


def show_curve(bins: Sequence[Bin], request: Request) -> None:
    """The mean nll of tokens by how far they are from the start."""
    if not bins:
        return
    if request.starts == "never":
        talk().print(
            "note        one stream passes each position once: --reset line or document, or\n"
            "            --convention nanogpt --window N, starts more often"
        )
    most = max(each.nll for each in bins)
    sys.stdout.write(f"\n{'position':>15}  {'tokens':>11}  nats per token\n")
    for each in bins:
        where = f"{each.first:,}-{each.last:,}" if each.last > each.first else f"{each.first:,}"
        error = plus_minus(each.nll_se)
        bar = "█" * round(BAR * each.nll / most) if most > 0 else ""
        sys.stdout.write(f"{where:>15}  {each.tokens:>11,}  {each.nll:6.3f}{error:<8}  {bar}\n")
