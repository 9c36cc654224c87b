"""Text that a model writes, as it is written."""

import math
import shutil
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charlm.console.streams import print_json, talk, write_text
from charlm.console.terminal import harmless, without_protection
from charlm.console.wrapping import SHADES, TerminalText, shade_of, shades
from charlm.inference.generation.pieces import Sample, Written
from charlm.inference.generation.search.filling import Filled

__all__ = ["show_filled", "show_samples", "tell_seed"]

RULE = 60
"""Columns of the line between two samples on a terminal."""

NARROWEST = 24
"""Least columns of a text beside others."""


def tell_seed(seeds: Sequence[int]) -> None:
    """Print the seeds, which were chosen at random, on stderr: they give these texts again."""
    last = f" to {seeds[-1]}" if len(seeds) > 1 else ""
    talk().print(f"seed {seeds[0]}{last}", style="dim")


def show_samples(samples: Sequence[Sample], *, as_json: bool, color: bool = False) -> None:
    """Print the prompt and its continuation for every sample.

    Several are separated by a line with the seed on a terminal, by a blank line elsewhere; texts
    at several temperatures stand side by side on a terminal that is wide enough.
    """
    color = color and shades()
    if color and not as_json:
        tell_shades()
    if as_json:
        for sample in samples:
            show_json(sample)
    elif not sys.stdout.isatty():
        for number, sample in enumerate(samples):
            write_text("\n\n" * (number > 0) + sample.prompt)
            for piece in sample:
                write_text(piece)
            tell_end(sample)
    else:
        for _, row in groupby(samples, key=lambda each: (each.prompt, each.seed)):
            texts = list(row)
            wide = shutil.get_terminal_size().columns >= NARROWEST * len(texts)
            if len(texts) > 1 and texts[0].temperature is not None and wide:
                show_columns(texts, color=color)
            else:
                for sample in texts:
                    show_on_terminal(sample, several=len(samples) > 1, color=color)


def show_json(sample: Sample) -> None:
    """Print one object."""
    text = "".join(sample)
    record: dict[str, Any] = {"prompt": sample.prompt, "text": text, "seed": sample.seed}
    record["finish"] = sample.finish
    if sample.temperature is not None:
        record["temperature"] = sample.temperature
    tokens = [{"text": token.text, "log_prob": token.log_prob} for token in sample.written]
    print_json({**record, "log_prob": sample.log_prob, "tokens": tokens})


def show_on_terminal(sample: Sample, *, several: bool, color: bool) -> None:
    """Write a text as it is made, wrapped between words."""
    if several:
        sys.stdout.write(f"── {title(sample)} ".ljust(RULE, "─") + "\n")
    terminal = TerminalText()
    terminal.write(sample.prompt)
    shown = 0
    for piece in sample:
        tokens = sample.written[shown:]
        shown = len(sample.written)
        terminal.write(piece, shade_of(surprise(tokens)) if color else None)
    terminal.close()
    tell_end(sample)


def title(sample: Sample) -> str:
    """What tells a text from the others."""
    if sample.seed is None:
        return "beam"
    if sample.temperature is None:
        return f"seed {sample.seed}"
    return f"seed {sample.seed}, temperature {sample.temperature:g}"


def show_columns(samples: Sequence[Sample], *, color: bool) -> None:
    """Texts at several temperatures side by side, once they are finished."""
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False)
    for sample in samples:
        table.add_column(f"temperature {sample.temperature:g}", ratio=1, overflow="fold")
    table.add_row(*(shaded(sample, color=color) for sample in samples))
    Console(file=without_protection(sys.stdout), highlight=False).print(table)


def shaded(sample: Sample, *, color: bool) -> Text:
    """A prompt and its continuation, with a color for each token if wanted."""
    text = Text(shown(sample.prompt))
    for piece in sample:
        if not color:
            text.append(shown(piece))
    for token in sample.written if color else ():
        shade = shade_of(surprise([token]))
        text.append(shown(token.text), style=f"#000000 on {shade}" if shade else None)
    return text


def shown(text: str) -> str:
    """Text of a model without what could steer a terminal; tabs and line breaks stay."""
    return harmless(text.replace("\r", ""), kept="\n\t")


def surprise(tokens: Sequence[Written]) -> float:
    """The mean surprise of tokens in bits."""
    return -sum(token.log_prob for token in tokens) / max(len(tokens), 1) / math.log(2)


def tell_shades() -> None:
    """Print on stderr what the colors mean."""
    legend = Text("surprise in bits per token, from: ")
    for least, color in SHADES:
        legend.append(f" {least:g} ", style=f"#000000 on {color}")
    talk().print(legend)


def tell_end(sample: Sample) -> None:
    """Note on stderr that a text is short because the model ended the document."""
    if sample.finish == "end" and not sample.constrained:
        advice = "" if sample.seed is None else "; --past-end begins another"  # no beam search does
        talk().print(f"the model ended the document here{advice}", style="dim")


def show_filled(found: Sequence[Filled], *, as_json: bool) -> None:
    """Print the texts with their gaps filled, one on a line or more; the best first."""
    for each in found:
        if as_json:
            print_json({"text": each.text, "fills": list(each.fills), "log_prob": each.log_prob})
        else:
            write_text(each.text + "\n")
