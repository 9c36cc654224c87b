"""Training on the screen: a bar on a terminal, a line now and then elsewhere, JSON on request."""

import math
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from charlm.config import Config
from charlm.console.streams import duration, print_json, printable, talk
from charlm.data.preparation import Prepared, Preparing
from charlm.inference.loading import load_run
from charlm.inference.sampling import Sampling, generate
from charlm.training.reports import Done, Evaluated, Note, Report, Saved, Started, Stepped

__all__ = ["show_plan", "show_training"]

LINE_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""

JSON_EVERY = 10
"""Steps between two JSON objects."""

SAMPLE_LENGTH = 150


class Display:
    """Shows one training; a context manager that leaves the terminal as it was."""

    def __init__(self, folder: Path, ending: bool) -> None:
        self.folder = folder
        self.ending = ending
        self.console = talk()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[figures]}"),
        )
        live = self.console.is_terminal
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not live)
        self.task = self.progress.add_task("reading", total=1.0, figures="")
        self.phase = ""
        self.last_line = -math.inf
        self.smooth = math.nan
        self.bits_per_char = math.nan
        self.began: tuple[float, float] | None = None

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.progress.stop()

    def show(self, record: Preparing | Prepared | Report) -> None:
        """Draw one record."""
        name = f"show_{type(record).__name__.lower()}"
        getattr(self, name)(record)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.console.print(text)

    def show_preparing(self, record: Preparing) -> None:
        """Tokenizing."""
        total = record.total or max(record.done, 1)
        figures = f"{record.done / 1e6:,.0f} M" if record.done > 1e6 else ""
        self.progress.update(
            self.task, description=record.phase, completed=record.done / total, figures=figures
        )
        if not self.console.is_terminal and time.monotonic() - self.last_line > LINE_EVERY:
            self.last_line = time.monotonic()
            self.say(f"{record.phase}  {record.done / 1e6:,.0f} M")

    def show_prepared(self, record: Prepared) -> None:
        """The text is ready."""
        counts = record.train.counts
        self.bits_per_char = counts.tokens / max(counts.chars, 1) / math.log(2)
        held_out = {"validation": record.valid, "test": record.test}
        parts = [f"{counts.tokens:,} tokens to train on"]
        parts += [f"{part.counts.tokens:,} for {name}" for name, part in held_out.items() if part]
        self.say(
            f"text: {', '.join(parts)}; {record.tokenizer.kind} tokenizer, "
            f"vocabulary {record.tokenizer.vocab_size:,}"
        )

    def show_note(self, record: Note) -> None:
        """Something to know."""
        self.say(f"note: {escape(record.text)}")

    def show_started(self, record: Started) -> None:
        """The model stands."""
        how = f"going on at step {record.step:,}" if record.resumed else "training"
        self.say(
            f"model: {record.parameters:,} parameters on {record.device} ({record.precision}); "
            f"{how} into {escape(str(self.folder))}"
        )
        self.progress.update(self.task, description="training", completed=0)

    def show_stepped(self, record: Stepped) -> None:
        """A step was taken."""
        smooth = record.loss if math.isnan(self.smooth) else 0.98 * self.smooth + 0.02 * record.loss
        self.smooth = smooth if math.isfinite(smooth) else self.smooth
        self.began = self.began or (record.fraction, record.seconds)
        figures = (
            f"loss {self.smooth:.3f}  {self.smooth * self.bits_per_char:.2f} bpc  "
            f"{record.tokens_per_second:,.0f} tok/s  {self.left(record)}"
        )
        self.progress.update(self.task, completed=record.fraction, figures=figures)
        if not self.console.is_terminal and time.monotonic() - self.last_line > LINE_EVERY:
            self.last_line = time.monotonic()
            self.say(f"step {record.step:,}  {record.fraction:.0%}  {figures}")

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
            f"step {record.step:,}  {record.fraction:.0%}  validation: {record.valid_nll:.4f} "
            f"nats/token, {record.valid_bpc:.3f} bpc{mark}"
        )

    def show_saved(self, record: Saved) -> None:
        """A checkpoint is there: let it write a little, if somebody is watching."""
        if not self.console.is_terminal:
            return
        loaded = load_run(self.folder, step=record.step)
        pieces = generate(
            loaded.model, loaded.tokenizer, length=SAMPLE_LENGTH, sampling=Sampling(temperature=0.8)
        )
        text = printable("".join(pieces)).strip()
        self.console.print("    " + text.replace("\n", "\n    "), style="dim", markup=False)

    def show_done(self, record: Done) -> None:
        """The end of this sitting."""
        run = escape(record.run)
        took = duration(record.seconds)
        self.say("")
        if not record.finished:
            self.say(
                f"stopped at step {record.step:,} after {took} ({record.reason}); saved in {run}"
            )
            self.say("go on:  give the same command again, or: " + f"charlm train --out {run}")
            return
        why = "no better for too long, " if record.reason == "patience" else ""
        self.say(
            f"done: {why}{record.step:,} steps in {took}, "
            f"{record.tokens_per_second:,.0f} tokens/s; saved in {run}"
        )
        if record.valid_nll is not None and record.valid_bpc is not None:
            self.say(
                f"validation: {record.valid_nll:.4f} nats/token, perplexity "
                f"{math.exp(min(record.valid_nll, 700)):,.3f}, {record.valid_bpc:.3f} bits/char "
                f"(step {record.best_step:,})"
            )
        if record.skipped_steps:
            self.say(f"note: {record.skipped_steps} steps without finite numbers were left out")
        if self.ending:
            self.say(f"next:  charlm generate {run}")
            self.say(f"       charlm perplexity {run} FILE")


def show_training(
    records: Iterable[Preparing | Prepared | Report],
    folder: Path,
    *,
    as_json: bool = False,
    silent: bool = False,
    ending: bool = True,
) -> Done | None:
    """Follow a training to its end; returns the last report, None if it was stopped before.

    ``ending`` says what to do next; ``silent`` shows nothing.
    """
    last = None
    if silent or as_json:
        for record in records:
            last = record if isinstance(record, Done) else last
            if as_json and not silent:
                print_report(record)
        return last
    with Display(folder, ending) as display:
        for record in records:
            last = record if isinstance(record, Done) else last
            display.show(record)
    if last is None:
        talk().print("stopped before training began; nothing was lost")
    return last


def print_report(record: Preparing | Prepared | Report) -> None:
    """One JSON object for a report; of the steps, some."""
    if isinstance(record, Stepped) and record.step % JSON_EVERY:
        return
    if isinstance(record, Preparing):
        return
    if isinstance(record, Prepared):
        print_json({"type": "prepared", **counted(record)})
        return
    print_json({"type": type(record).__name__.lower(), **asdict(record)})


def counted(prepared: Prepared) -> dict[str, Any]:
    """What is in a prepared text."""
    parts = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    counts = {name: asdict(part.counts) for name, part in parts.items() if part is not None}
    return {
        "tokenizer": prepared.tokenizer.kind,
        "vocab_size": prepared.tokenizer.vocab_size,
        "notes": list(prepared.notes),
        **counts,
    }


def show_plan(
    config: Config, records: Iterable[Preparing | Prepared], *, as_json: bool = False
) -> None:
    """Say what would be trained: the settings, the text, the size of the model."""
    import tomli_w

    from charlm.model.language_model import LanguageModel

    prepared = None
    for record in records:
        prepared = record if isinstance(record, Prepared) else prepared
    if prepared is None:
        return
    model = LanguageModel(config.model, prepared.tokenizer.vocab_size)
    plan = {"parameters": model.count_parameters(), "text": counted(prepared)}
    if as_json:
        print_json({"type": "plan", **plan, "settings": config.to_tables()})
    else:
        sys.stdout.write(tomli_w.dumps({**plan, **config.to_tables()}))
