"""The training loop: evaluate when due, stop when told or done, step, save."""

from collections.abc import Callable, Generator, Iterator

from charlm.data.preparation.store import TokenStore
from charlm.errors import CheckpointError, CorpusError
from charlm.storage.run import Run
from charlm.training.distributed import World
from charlm.training.learner import StoppedError
from charlm.training.reports import Note, Report
from charlm.training.session import SKIPS_ALLOWED, Session

__all__ = ["never", "train_network"]


def never() -> None:
    """Default for ``stop`` and ``save``: never request a stop, or a checkpoint."""


def train_network(
    run: Run,
    train_store: TokenStore,
    valid_store: TokenStore | None,
    vocab_size: int,
    *,
    stop: Callable[[], str | None] = never,
    save: Callable[[], object] = never,
    world: World | None = None,
    kept: TokenStore | None = None,
) -> Iterator[Report]:
    """Train a run from its last checkpoint to the end of its budget; yields a report per event.

    ``stop`` is asked at every step, at every part of an accumulated batch and in validation; a
    reason makes the loop save and end, and so does closing the iterator.  ``save`` is asked after
    every step whether to save now and go on.  ``kept`` is another text that
    ``training.keep_share`` of the lanes read.  A checkpoint on the way that cannot be saved is
    noted and tried again later.  Training by steps or epochs that is stopped anywhere and resumed
    ends in the same weights as without the stop, on the same machine.  Seeds torch's global
    generators.

    Raises ``ModelError`` if numbers stay infinite, ``CheckpointError`` if the last save fails,
    ``CorpusError`` if the text's tokens are cut short; training is saved then.
    """
    session = Session(run, train_store, valid_store, vocab_size, world or World(), kept)
    session.learner.stop = stop = checking(stop, train_store, valid_store, kept)
    yield from (Note(text=f"skipped: {note}") for note in session.notes)
    yield session.started(resumed=session.counters.step > 0)
    try:
        reason = yield from learn(session, stop, save)
    except (GeneratorExit, CorpusError):
        if session.counters.step > 0:  # a run that has learned nothing stays replaceable
            session.save(last=True)
        raise
    saved = session.save(last=True)
    if saved:
        yield saved
    yield session.done(finished=reason in ("budget", "epochs", "patience"), reason=reason)


def checking(
    stop: Callable[[], str | None], *stores: TokenStore | None
) -> Callable[[], str | None]:
    """``stop``, which first raises ``CorpusError`` if the tokens in use have been cut short."""

    def checked() -> str | None:
        for store in filter(None, stores):
            store.check_length()
        return stop()

    return checked


def learn(
    session: Session, stop: Callable[[], str | None], save: Callable[[], object]
) -> Generator[Report, None, str]:
    """Take steps and validate until the budget is spent, patience ends or ``stop`` gives a reason.

    Returns the reason.  Raises ``CorpusError`` if the text's tokens are cut short.
    """
    while True:
        fraction, reason = session.progress(stop)
        if reason:
            return reason
        if session.evaluation_due(fraction):
            report = session.evaluate(fraction, stop)
            if report is None:
                continue
            yield report
            yield from saved_on_the_way(session, again=True)
        end = session.end(fraction)
        if end and session.diverging(last=True):
            yield session.go_back()
            continue
        if end:
            return end
        try:
            yield session.step(fraction)
        except StoppedError:
            continue
        if session.counters.skipped_in_row >= SKIPS_ALLOWED:
            yield session.go_back()
        elif session.save_due(bool(save())):
            yield from saved_on_the_way(session)


def saved_on_the_way(session: Session, *, again: bool = False) -> Iterator[Report]:
    """Save, or say why that failed: training is worth going on, and the cause may pass."""
    try:
        yield from filter(None, [session.save(again=again)])
    except CheckpointError as error:
        yield Note(text=f"{error}; training goes on, and will try again")
