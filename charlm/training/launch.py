"""From settings and a folder to a trained run: prepare the text, make or open the run, train."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charlm.config import DEFAULT_MINUTES, Config
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.model.devices import choose_device
from charlm.model.language_model import LanguageModel
from charlm.storage.run import Run, lock, open_run
from charlm.training import ngrams
from charlm.training.budget.decisions import decide
from charlm.training.distributed import World
from charlm.training.loop import never, train_network
from charlm.training.reports import Note, Report
from charlm.training.setup import resuming
from charlm.training.setup.resolution import Sources, resolve
from charlm.training.setup.texts import notes_on, prepare_for
from charlm.training.transfer import ancestry
from charlm.training.transfer.ancestry import FirstModel
from charlm.training.transfer.scores import with_scores

__all__ = ["TrainingPlan", "launch", "plan", "train"]


@dataclass(frozen=True)
class TrainingPlan:
    """What would be trained: run folder, settings, text and number of parameters.

    ``prepared`` is None where the text is not there yet; ``parameters`` is None there, and for
    n-grams, which have to be counted first.
    """

    run: str
    config: Config
    prepared: Prepared | None
    parameters: int | None


def train(
    sources: Sources = (),
    out: str | Path | None = None,
    *,
    stop: Callable[[], str | None] = never,
    save: Callable[[], object] = never,
    world: World | None = None,
    find_run: Callable[[str], Path] = Path,
    **settings: Any,
) -> Iterator[Preparing | Prepared | Report]:
    """Train a model on text, or resume a run; yields reports, the last of which is ``Done``.

    ``sources``: one or several files, folders, globs, corpus names or ``-``.  ``out``: the run
    folder, by default ``runs/NAME``; without ``sources`` the run in it is resumed.  ``settings``:
    keyword arguments like ``minutes=2``, ``hidden_size=256``, ``tokenizer="bpe"``,
    ``training={"bptt": 32}`` or ``**{"model.cell": "gru"}``; they win over a
    ``config_file`` in TOML, and that over a ``recipe``.  What is left out is decided by the
    minutes, the text and the machine.  ``find_run`` gives the folder of a run that ``base`` names.
    Exhausting or closing the iterator leaves a saved run.

    Raises ``ConfigError`` for settings at once, ``CharlmError`` of every kind later.
    """
    request = resolve(sources, out, settings, find_run)
    choose_device(request.config.training.device)  # refused before the text is prepared
    return launch(
        request.config, request.folder, stop=stop, save=save, world=world, text_of=request.run,
        find_run=find_run,
    )  # fmt: skip


def launch(
    config: Config,
    folder: Path,
    *,
    stop: Callable[[], str | None] = never,
    save: Callable[[], object] = never,
    world: World | None = None,
    text_of: Run | None = None,
    find_run: Callable[[str], Path] = Path,
) -> Iterator[Preparing | Prepared | Report]:
    """Train into ``folder``, or resume the run there; ends with ``Done`` unless stopped early.

    A run that is given minutes decides what is None in ``config`` by the text and the machine;
    other runs have fixed defaults.  ``stop`` and ``save`` are asked now and then whether to end,
    and whether to save and go on.  The prepared text of the run ``text_of`` may be used instead of
    standard input.  ``find_run`` gives the folder of the run that ``training.base`` names.
    Raises ``CharlmError`` of every kind; what existed is then as it was.
    """
    world = world or World()
    begun, config = resuming.look_for_begun(folder, config)
    base = ancestry.look_for_ancestry(begun, config, folder, find_run)
    known = base.known if base else None
    if (prepared := (yield from prepare_for(config, stop, text_of, begun, known))) is None:
        return
    if config.model.kind == "ngram":
        ngrams.check_countable(config.model, prepared.valid, world)
    yield from notes_on(config.data, prepared, resumed=begun is not None)
    first, old, keeps = None, None, config.training.keep_share > 0
    if base:
        old = yield from ancestry.base_text(base, prepared, required=keeps)
    if begun:
        resuming.refuse_other_tokenizer(begun, prepared)
        yield from resuming.budget_notes(begun.config, config)
    elif world.first:
        config = yield from settle(config, prepared)
        first = ancestry.first_model(base, config, prepared, old) if base else None
        resuming.begin(folder, config, prepared, first)
    with opened(folder, config, prepared, world) as run:
        reports = reports_of(run, prepared, old, first, stop=stop, save=save, world=world)
        yield from with_scores(reports, run, old) if base and world.first else reports


def reports_of(
    run: Run,
    prepared: Prepared,
    old: Prepared | None,
    first: FirstModel | None,
    *,
    stop: Callable[[], str | None],
    save: Callable[[], object],
    world: World,
) -> Iterator[Preparing | Report]:
    """Train an opened run on its text; ``old`` and ``first`` are what it has from its base."""
    texts = (prepared.train, prepared.valid, prepared.tokenizer.vocab_size)
    if run.config.model.kind == "ngram":
        return ngrams.train_ngrams(run, *texts, stop=stop, base=first.ngrams if first else None)
    kept = old.train if old and run.config.training.keep_share else None
    return train_network(run, *texts, stop=stop, save=save, world=world, kept=kept)


@contextmanager
def opened(folder: Path, config: Config, prepared: Prepared, world: World) -> Iterator[Run]:
    """The run in ``folder`` with the settings ``config``, mended and locked by process 0.

    Raises ``CheckpointError`` if it is in use, or no longer the run that was looked at before.
    """
    world.wait()
    with lock(folder) if world.first else nullcontext():
        run = open_run(folder)
        if world.first:
            resuming.refuse_other_run(run, config, prepared)
            run.recover()
            run = run.update(config)
        world.wait()
        yield run if world.first else open_run(folder)


def plan(
    sources: Sources = (),
    out: str | Path | None = None,
    *,
    find_run: Callable[[str], Path] = Path,
    **settings: Any,
) -> Iterator[Preparing | Prepared | Note | TrainingPlan]:
    """Plan what ``train`` with these arguments would train; the last report is a ``TrainingPlan``.

    Raises what ``train`` does, but not for a corpus that has not been fetched, of which it plans
    what it can.  Nothing is written but the prepared text.
    """
    request = resolve(sources, out, settings, find_run, need_text=False)
    choose_device(request.config.training.device)
    begun, config = resuming.look_for_begun(request.folder, request.config)
    run = str(request.folder)
    if request.missing:
        yield Note(text=f"nothing is known about the text: {request.missing}")
        yield TrainingPlan(run, config, None, None)
        return
    base = ancestry.look_for_ancestry(begun, config, request.folder, find_run)
    known = base.known if base else None
    prepared = yield from prepare_for(config, never, request.run, begun, known)
    assert prepared is not None
    yield from notes_on(config.data, prepared, resumed=begun is not None)
    if not begun:
        if base is not None:
            yield from ancestry.vocabulary_notes(base, prepared)
        config = yield from settle(config, prepared)
    parameters = None
    if config.model.kind == "recurrent":
        model = LanguageModel(config.model, prepared.tokenizer.vocab_size)
        parameters = model.count_parameters()
    yield TrainingPlan(run, config, prepared, parameters)


def settle(config: Config, prepared: Prepared) -> Generator[Note, None, Config]:
    """Decide what nobody has chosen; yields the reasons, returns all settings."""
    if not resuming.decides(config):
        return config
    training = config.training
    if training.minutes is None:
        config = replace(config, training=replace(training, minutes=DEFAULT_MINUTES))
    decision = decide(config, prepared.train.tokens, prepared.tokenizer.vocab_size)
    yield from (Note(text=reason) for reason in decision.reasons)
    return decision.config
