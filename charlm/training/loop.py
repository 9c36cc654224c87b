"""The training loop: evaluate when due, stop when told or done, step, save."""

from collections.abc import Callable, Generator, Iterator

from charlm.data.preparation.store import TokenStore
from charlm.storage.run import Run
from charlm.training.distributed import World
from charlm.training.reports import Note, Report
from charlm.training.session import Session

__all__ = ["never", "train_network"]


def never() -> None:
    """Default for ``stop``: never request a stop."""


def train_network(
    run: Run,
    train_store: TokenStore,
    valid_store: TokenStore | None,
    vocab_size: int,
    *,
    stop: Callable[[], str | None] = never,
    world: World | None = None,
) -> Iterator[Report]:
    """Train a run from its last checkpoint to the end of its budget; yields a report per event.

    ``stop`` is asked at every step; a reason makes the loop save and end, and so does closing the
    iterator.  Training by steps or epochs that is stopped anywhere and resumed ends in the same
    weights as without the stop, on the same machine.  Seeds torch's global generators.

    Raises ``ModelError`` if numbers stop being finite, ``CheckpointError`` if saving fails.
    """
    session = Session(run, train_store, valid_store, vocab_size, world or World())
    yield from (Note(text=f"skipped: {note}") for note in session.notes)
    yield session.started(resumed=session.counters.step > 0)
    try:
        reason = yield from learn(session, stop)
    except GeneratorExit:
        if session.counters.step > 0:  # a run that has learned nothing stays replaceable
            session.save()
        raise
    saved = session.save()
    if saved:
        yield saved
    yield session.done(finished=reason in ("budget", "epochs", "patience"), reason=reason)


def learn(session: Session, stop: Callable[[], str | None]) -> Generator[Report, None, str]:
    """Take steps and validate until the budget is spent, patience ends or ``stop`` gives a reason.

    Returns the reason.
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
            yield from filter(None, [session.save(again=True)])
        end = session.end(fraction)
        if end:
            return end
        yield session.step(fraction)
        if session.save_due():
            yield from filter(None, [session.save()])
