"""All that one wants to see of a run: curves, settings, scores, samples, and a look inside."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from charlm.errors import CharlmError, CheckpointError, CorpusError
from charlm.explain.activations import Explanation, explain_text
from charlm.explain.reading import read_text
from charlm.inference.demonstration import SAMPLE, Sampled, prompt_of, write_sample
from charlm.inference.loading import Loaded, load_run
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.scoring.perplexity import ScoringProgress, measure_perplexity
from charlm.inference.scoring.results import PerplexityTable
from charlm.inference.texts import take_corpus, take_texts
from charlm.storage.curves import TrainingCurve, read_curves
from charlm.storage.run import Run
from charlm.storage.summary import RunSummary, summarise_run

__all__ = ["Reporting", "RunReport", "TrainedRun", "describe_run", "report_run"]

TEMPERATURES = (0.5, 0.8, 1.1)
"""The temperatures of the samples: cautious, usual, daring."""

SAMPLE_LENGTH = 280
"""Characters of each sample."""


@dataclass(frozen=True)
class TrainedRun:
    """What the folder of a run tells of its training.

    ``changed`` are the settings that differ from their defaults, as ``section.key``: value and
    default.
    """

    summary: RunSummary
    curves: tuple[TrainingCurve, ...]
    changed: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Reporting:
    """Progress: ``what`` is measured now."""

    what: str


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A run, and what its model does.

    ``table`` is the score of the test part (else of the validation part) beside baselines,
    ``samples`` are texts at several temperatures, ``passage`` is what goes on inside the model
    while it reads the beginning of the validation text.  What could not be had is None or empty,
    and the reason is among the ``notes``.
    """

    run: TrainedRun
    notes: tuple[str, ...]
    table: PerplexityTable | None = None
    samples: tuple[Sampled, ...] = ()
    passage: Explanation | None = None


def describe_run(run: Run) -> TrainedRun:
    """What the folder of a run tells of its training.  Raises ``TokenizerError``."""
    return TrainedRun(summarise_run(run), read_curves(run.log.path), run.config.changes())


def report_run(run: Run, device: str = "cpu") -> Iterator[Reporting | ScoringProgress | RunReport]:
    """Score a run, let it write and look inside; the last record is the ``RunReport``.

    A run without a checkpoint, or whose text is gone, has a report with less in it.
    """
    described, notes = describe_run(run), list[str]()
    try:
        loaded = load_run(run.folder, device=device)
    except CheckpointError as error:
        yield RunReport(run=described, notes=(f"{error}: {error.hint}",))
        return
    table = yield from measured(loaded, notes)
    yield Reporting("writing samples")
    prompt = prompt_of(loaded)
    samples = (
        write_sample(loaded, prompt, replace(SAMPLE, length=SAMPLE_LENGTH, temperature=each), 1)
        for each in TEMPERATURES
    )
    yield RunReport(
        run=described,
        table=table,
        samples=tuple(samples),
        passage=explained(loaded, prompt, notes),
        notes=tuple(notes),
    )


def measured(
    loaded: Loaded, notes: list[str]
) -> Generator[Reporting | ScoringProgress, None, PerplexityTable | None]:
    """The score of the run's own test or validation part beside baselines; None without either."""
    counts = loaded.run.origin.get("counts", {})
    part = next((part for part in ("test", "valid") if part in counts), None)
    if part is None:
        notes.append("no text was kept apart to test the model on")
        return None
    try:
        texts = take_texts(loaded, part=part)
        yield Reporting("measuring baselines")
        for record in measure_perplexity(loaded, texts, baselines="valid" in counts):
            if isinstance(record, PerplexityTable):
                return record
            yield record
    except CorpusError as error:
        notes.append(f"{error}: {error.hint}")
    return None


def explained(loaded: Loaded, text: str, notes: list[str]) -> Explanation | None:
    """What goes on inside the model while it reads ``text``; None for a model without an inside."""
    if not isinstance(loaded.model, Recurrent):
        return None
    if not text:
        notes.append("there is no passage of its text that the model knows all characters of")
        return None
    try:
        read = read_text(loaded.tokenizer, take_corpus(loaded, text))
        *_, found = explain_text(loaded, read)
    except CharlmError as error:
        notes.append(f"{error}: {error.hint}")
        return None
    assert isinstance(found, Explanation)
    return found
