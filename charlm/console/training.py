"""Show a training: a bar on a terminal, elsewhere a line every few seconds."""

import math
import shlex
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from charlm.console.reports import print_reports
from charlm.console.streams import compact, duration, print_named, talk
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.errors import counted
from charlm.inference.demonstration import Sampled
from charlm.training.reports import Done, Evaluated, Note, Report, Saved, Started, Stepped

__all__ = ["Display", "is_live", "show_training"]

LINE_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""

SAMPLE_LINES = 4
"""Lines of a sample at most."""

PROMPT_WIDTH = 32
"""Characters of a prompt that are shown before its sample, at most."""

FIGURES_WIDTH = 64
"""Columns of the live line beside its bar, at most."""


def is_live(console: Console | None = None) -> bool:
    """Whether stderr is a terminal on which a training can be watched."""
    console = console or talk()
    return console.is_terminal and not console.is_dumb_terminal


class Display:
    """Shows one training; a context manager that leaves the terminal as it was."""

    def __init__(self, *, ending: bool = True) -> None:
        """``ending``: print at the end what to do next."""
        self.ending = ending
        self.console = talk()
        self.live = is_live(self.console)
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
        self.last_line = time.monotonic()
        self.smooth = math.nan
        self.bits_per_char = math.nan
        self.began: tuple[float, float] | None = None
        self.unit = "step"
        self.failed = False

    def __enter__(self) -> "Display":
        with suppress(OSError):
            self.progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        with suppress(OSError):
            self.progress.stop()

    def show(self, record: Preparing | Prepared | Report | Sampled) -> None:
        """Show one record; nothing more once stderr has failed."""
        try:
            if not self.failed:
                getattr(self, f"show_{type(record).__name__.lower()}")(record)
        except OSError:  # a reader that went away, a full disk: no reason to lose a training
            self.failed = True

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
        """The text is tokenized."""
        counts = record.train.counts
        self.bits_per_char = counts.tokens / max(counts.chars, 1) / math.log(2)
        held_out = {"validate": record.valid, "test": record.test}
        parts = [f"{counted(counts.tokens, 'token')} to train"]
        parts += [f"{part.counts.tokens:,} to {verb}" for verb, part in held_out.items() if part]
        self.say("text", ", ".join(parts))
        kind, size = record.tokenizer.kind, record.tokenizer.vocab_size
        self.say("tokenizer", f"{kind}, vocabulary {size:,}")

    def show_note(self, record: Note) -> None:
        """A note to the user."""
        self.say("note", record.text)

    def show_started(self, record: Started) -> None:
        """The model is ready to be trained."""
        self.unit = record.unit
        self.say(
            "model", f"{record.parameters:,} parameters on {record.device} in {record.precision}"
        )
        self.say("run", record.run + f", from {self.unit} {record.step:,}" * record.resumed)

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
        """How long the rest will take at the speed so far."""
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
        """A checkpoint is saved, as always; nothing to show."""

    def show_sampled(self, sample: Sampled) -> None:
        """A few lines that the model wrote, with their prompt and temperature."""
        *_, last = sample.prompt.strip().splitlines() or [""]
        last = "..." + last[-PROMPT_WIDTH:] if len(last) > PROMPT_WIDTH else last
        after = f'after "{last}"' if last else "from nothing"
        self.say("sample", f"{after}, temperature {sample.temperature:g}")
        lines = sample.text.strip().expandtabs(4).splitlines()
        shown = Text("\n".join(lines[:SAMPLE_LINES]), style="dim")
        self.console.print(Padding(shown, (0, 0, 0, 12)), soft_wrap=False)

    def show_done(self, record: Done) -> None:
        """The end of this session."""
        self.progress.stop()
        self.console.print()
        run = shlex.quote(record.run)
        if not record.finished:
            took = duration(record.seconds)
            self.say("stopped", f"at step {record.step:,} after {took} ({record.reason})")
            self.say("saved in", record.run)
            self.say("resume", f"charlm train --out {run}")
            return
        self.say("done", self.how_it_went(record))
        self.show_best(record)
        self.show_base(record)
        if record.skipped_steps:
            what = "without finite numbers"
            steps = counted(record.skipped_steps, f"step {what} was", f"steps {what} were")
            self.say("note", f"{steps} left out")
        self.say("saved in", record.run)
        if self.ending:
            self.say("next", f"charlm generate {run}")
            self.say("", f"charlm perplexity {run} FILE")

    def how_it_went(self, record: Done) -> str:
        """How much was trained in which time, or that the budget was used up before."""
        rate, counts = record.tokens_per_second, self.unit == "order"
        trained = f"{counted(record.step, self.unit)} in {duration(record.seconds)}"
        early = record.reason == "patience"
        if early:
            trained = f"early, because validation got no better: {trained}"
        if rate if counts else self.began:
            return f"{trained}, {compact(rate)} tokens/s"
        if counts:
            return f"already counted: {trained}"
        limits = {"patience": "--set training.patience", "epochs": "--set training.most_epochs"}
        limit = limits.get(record.reason, "--minutes, --epochs or --steps")
        full = "" if early else "already trained for its full budget: "
        return f"{full}{trained}; raise {limit} to continue"

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

    def show_base(self, record: Done) -> None:
        """What a run has learned of its text and forgotten of that of its base."""
        if record.base is None:
            return
        new = change_of(record.base.new_before, record.base.new_after)
        old = change_of(record.base.old_before, record.base.old_after)
        for name, change in (("new text", new), ("old text", old)):
            if change:
                self.say(name, f"{change} on the validation part")


def change_of(before: float | None, after: float | None) -> str:
    """A score before and after training, in bits per character; empty where there is none."""
    return "" if before is None or after is None else f"{before:.3f} -> {after:.3f} bpc"


def show_training(
    records: Iterable[Any],
    *,
    as_json: bool = False,
    silent: bool = False,
    ending: bool = True,
) -> Done:
    """Show a training to its end, reports with samples between them; returns the last report.

    ``as_json``: print reports as JSON to stdout; ``silent``: show nothing; ``ending``: print
    at the end what to do next.  Where stderr fails, training goes on and nothing more is shown.
    """
    if as_json and not silent:
        return print_reports(records)
    last = None
    with nullcontext() if silent else Display(ending=ending) as display:
        for record in records:
            last = record
            if display:
                display.show(record)
    assert isinstance(last, Done)
    return last
