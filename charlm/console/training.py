"""Training on the screen: a bar on a terminal, a line now and then elsewhere."""

import math
import shlex
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from charlm.config import GenerationConfig
from charlm.console.reports import print_reports
from charlm.console.samples import opening
from charlm.console.streams import compact, duration, print_named, printable, talk
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.inference.generation.text import stream
from charlm.inference.loading import load_run
from charlm.training.reports import Done, Evaluated, Note, Report, Saved, Started, Stepped

__all__ = ["Display", "show_training"]

LINE_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""

SAMPLE_LENGTH = 180
SAMPLE_LINES = 4

SAMPLE_SHARE = 0.02
"""At most this share of the time goes into samples."""

FIGURES_WIDTH = 64
"""Columns of the live line beside its bar, at most."""


class Display:
    """Shows one training; a context manager that leaves the terminal as it was."""

    def __init__(self, folder: Path, *, ending: bool = True) -> None:
        """``ending`` is about saying, at the end, what to do next."""
        self.folder = folder
        self.ending = ending
        self.console = talk()
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=min(24, max(4, self.console.width - FIGURES_WIDTH))),
            TextColumn(
                "{task.fields[figures]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
        )
        self.progress = Progress(
            *columns, console=self.console, transient=True, disable=not self.live
        )
        self.task = self.progress.add_task("reading", total=None, figures="")
        self.last_line = self.last_sample = time.monotonic()
        self.sample_took = 0.0
        self.smooth = math.nan
        self.bits_per_char = math.nan
        self.began: tuple[float, float] | None = None
        self.prompt = ""
        self.unit = "step"

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.progress.stop()

    def show(self, record: Preparing | Prepared | Report) -> None:
        """Draw one record."""
        getattr(self, f"show_{type(record).__name__.lower()}")(record)

    def say(self, name: str, text: str = "") -> None:
        """A line above the bar: what it is about, and the rest."""
        print_named(self.console, name, text)

    def draw(self, description: str, fraction: float | None, figures: str) -> None:
        """Update the bar; elsewhere print a line if the last one is long ago."""
        self.progress.update(
            self.task,
            description=description,
            total=None if fraction is None else 1.0,
            completed=fraction or 0.0,
            figures=figures if fraction is None else f"{fraction:>4.0%} {figures}",
        )
        if not self.live and time.monotonic() - self.last_line > LINE_EVERY:
            self.last_line = time.monotonic()
            share = "" if fraction is None else f"{fraction:>4.0%}  "
            self.console.print(f"{description:<11} {share}{figures}", markup=False)

    def show_preparing(self, record: Preparing) -> None:
        """Tokenizing; counted in characters, or bytes of the byte tokenizer."""
        fraction = record.done / record.total if record.total else None
        self.draw(record.phase, fraction, compact(record.done) if record.done else "")

    def show_prepared(self, record: Prepared) -> None:
        """The text is ready."""
        counts = record.train.counts
        self.bits_per_char = counts.tokens / max(counts.chars, 1) / math.log(2)
        self.prompt = opening(record.valid or record.train, record.tokenizer)
        held_out = {"validate": record.valid, "test": record.test}
        parts = [f"{counts.tokens:,} tokens to train"]
        parts += [f"{part.counts.tokens:,} to {verb}" for verb, part in held_out.items() if part]
        self.say("text", ", ".join(parts))
        kind, size = record.tokenizer.kind, record.tokenizer.vocab_size
        self.say("tokenizer", f"{kind}, vocabulary {size:,}")

    def show_note(self, record: Note) -> None:
        """Something to know."""
        self.say("note", record.text)

    def show_started(self, record: Started) -> None:
        """The model stands."""
        self.unit = record.unit
        self.say(
            "model", f"{record.parameters:,} parameters on {record.device} in {record.precision}"
        )
        self.say("run", str(self.folder) + (f", from {self.unit} {record.step:,}" * record.resumed))

    def show_stepped(self, record: Stepped) -> None:
        """A step was taken."""
        smooth = record.loss if math.isnan(self.smooth) else 0.98 * self.smooth + 0.02 * record.loss
        self.smooth = smooth if math.isfinite(smooth) else self.smooth
        self.began = self.began or (record.fraction, record.seconds)
        self.draw(
            "training" if self.live else f"step {record.step:,}",
            record.fraction,
            f"loss {self.smooth:.3f}  {self.smooth * self.bits_per_char:.2f} bpc  "
            f"{compact(record.tokens_per_second)} tok/s  {self.left(record)}",
        )

    def left(self, record: Stepped) -> str:
        """How long the rest will take at the pace so far."""
        assert self.began is not None
        fraction, seconds = self.began
        gone = record.fraction - fraction
        if gone <= 0:
            return ""
        return f"{duration((record.seconds - seconds) / gone * (1 - record.fraction))} left"

    def show_evaluated(self, record: Evaluated) -> None:
        """A validation."""
        mark = "  best so far" if record.best else ""
        self.say(
            f"{self.unit} {record.step:,}",
            f"{record.fraction:>4.0%}  validation {record.valid_nll:.4f} nats/token  "
            f"{record.valid_bpc:.3f} bpc{mark}",
        )

    def show_saved(self, record: Saved) -> None:
        """A checkpoint is there: let it write a little, if somebody is watching."""
        waited = time.monotonic() - self.last_sample
        if not self.live or waited < self.sample_took / SAMPLE_SHARE:
            return
        self.last_sample = time.monotonic()
        loaded = load_run(self.folder, step=record.step)
        config = GenerationConfig(length=SAMPLE_LENGTH)
        pieces = stream(loaded.model, loaded.tokenizer, self.prompt, config, seed=record.step)
        self.show_sample("".join(pieces))
        self.sample_took = time.monotonic() - self.last_sample

    def show_sample(self, text: str) -> None:
        """A few lines of what the model writes, set apart."""
        lines = printable(text).strip().expandtabs(4).splitlines()
        shown = Text("\n".join(lines[:SAMPLE_LINES]), style="dim")
        self.console.print(Padding(shown, (0, 0, 0, 12)), soft_wrap=False)

    def show_done(self, record: Done) -> None:
        """The end of this sitting."""
        run, took = shlex.quote(record.run), duration(record.seconds)
        self.progress.stop()
        self.console.print()
        if not record.finished:
            self.say("stopped", f"at step {record.step:,} after {took} ({record.reason})")
            self.say("saved in", record.run)
            self.say("go on", f"charlm train --out {run}")
            return
        early = "early, because validation got no better: " * (record.reason == "patience")
        counts, rate = self.unit == "order", record.tokens_per_second
        more = "raise training.most_epochs" if record.reason == "epochs" else "give a larger budget"
        before = " already" if counts else f" already; to go on {more}"
        worked = rate if counts else self.began
        speed = f", {compact(rate)} tokens/s" if worked else before
        self.say("done", f"{early}{record.step:,} {self.unit}s in {took}{speed}")
        self.show_best(record)
        if record.skipped_steps:
            self.say("note", f"{record.skipped_steps} steps without finite numbers were left out")
        self.say("saved in", record.run)
        if self.ending:
            self.say("next", f"charlm generate {run}")
            self.say("", f"charlm perplexity {run} FILE")

    def show_best(self, record: Done) -> None:
        """The best validation, if there was any."""
        if record.valid_nll is None or record.valid_bpc is None or record.best_step is None:
            return
        self.say(
            "validation",
            f"{record.valid_nll:.4f} nats/token, perplexity "
            f"{math.exp(min(record.valid_nll, 700)):,.3f}, {record.valid_bpc:.3f} bpc "
            f"({self.unit} {record.best_step:,})",
        )


def show_training(
    records: Iterable[Preparing | Prepared | Report],
    folder: Path,
    *,
    as_json: bool = False,
    silent: bool = False,
    ending: bool = True,
) -> Done:
    """Follow a training to its end; returns the last report.

    ``ending`` says what to do next; ``silent`` shows nothing.
    """
    if as_json and not silent:
        return print_reports(records)
    last = None
    with nullcontext() if silent else Display(folder, ending=ending) as display:
        for record in records:
            last = record
            if display:
                display.show(record)
    assert isinstance(last, Done)
    return last
