"""Training of an n-gram model: counting.  Its steps are orders, and it keeps the best one.

It yields the reports of all training, so that a reader of reports need not know the difference.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass

from charlm.config import Config, ModelConfig
from charlm.data.preparation.prepared import Preparing
from charlm.data.preparation.store import TokenStore
from charlm.errors import CorpusError, ModelError
from charlm.model.ngram.kneser_ney import NgramModel, model_of
from charlm.model.ngram.orders import PATIENCE, Tried, highest_order, try_orders
from charlm.model.ngram.tensors import to_tensors
from charlm.storage.run import Run
from charlm.training.counters import Counters
from charlm.training.distributed import World
from charlm.training.ending import best_of, done
from charlm.training.reports import Done, Evaluated, Note, Report, Saved, Started
from charlm.training.validation import Validation

__all__ = ["check_countable", "train_ngrams"]

FINISHED = "budget"
"""The reason of ``Done``: all of the text has been counted."""


@dataclass(frozen=True)
class Counted:
    """A counted model, the mean nll (nats per token) of each order tried, and the seconds taken."""

    model: NgramModel
    tried: dict[int, float]
    seconds: float


def check_countable(config: ModelConfig, valid: TokenStore | None, world: World) -> None:
    """Raise ``ModelError`` for several processes, ``CorpusError`` if nothing chooses the order."""
    if world.size > 1:
        raise ModelError(
            f"n-grams are counted by one process, not by {world.size}", "start it without torchrun"
        )
    if config.order is None and not (valid and valid.counts.tokens):
        raise CorpusError(
            "there is no validation text to choose the order of the n-grams on",
            "give `model.order=5`, or validation text with `data.valid=FILE`",
        )


def train_ngrams(
    run: Run,
    train_store: TokenStore,
    valid_store: TokenStore | None,
    vocab_size: int,
    *,
    stop: Callable[[], str | None],
    world: World,
) -> Iterator[Preparing | Report]:
    """Count a run's text, or find it counted; the last report is ``Done`` unless stopped before.

    ``stop`` is asked after each order.  Raises ``CheckpointError`` if saving fails.
    """
    counting = Counting(run, train_store, Validation(valid_store, 0), vocab_size)
    found, notes = run.newest(anew=True)  # the same text gives the same counts
    yield from (Note(text=f"skipped: {note}") for note in notes)
    if found is not None:
        counters = Counters.from_table(found.state["counters"])
        yield counting.started(found.state["parameters"], counters.step, resumed=True)
        yield counting.done(found.state["parameters"], counters, rate=0.0)
        return
    counted = yield from count(run.config, train_store, valid_store, vocab_size, stop)
    if counted is not None:
        yield from counting.keep(counted)


def count(
    config: Config,
    train_store: TokenStore,
    valid_store: TokenStore | None,
    vocab_size: int,
    stop: Callable[[], str | None],
) -> Generator[Preparing, None, Counted | None]:
    """Count n-grams of the order that the settings say, or of the best one; None if stopped."""
    began, order = time.monotonic(), config.model.order
    text = train_store.tokens
    valid = valid_store.tokens if valid_store else text[:1]
    highest = order or highest_order(config.tokenizer.kind)
    best: Tried | None = None
    tried = {}
    for found in try_orders(text, valid, vocab_size, highest, highest if order else PATIENCE):
        yield Preparing("counting", found.counts.order, highest)
        if stop():
            return None
        if best is None or order or found.nll < best.nll:
            best = found
        if order in (None, found.counts.order) and not math.isnan(found.nll):
            tried[found.counts.order] = found.nll
    assert best is not None
    return Counted(model_of(best.counts), tried, time.monotonic() - began)


@dataclass(frozen=True)
class Counting:
    """The run, texts and vocabulary that the reports of one counting are about."""

    run: Run
    train_store: TokenStore
    validation: Validation
    vocab_size: int

    def started(self, parameters: int, step: int, *, resumed: bool) -> Started:
        """The report that opens the session; a model has as many n-grams as ``parameters``."""
        return Started(
            run=str(self.run.folder),
            step=step,
            parameters=parameters,
            vocab_size=self.vocab_size,
            train_tokens=self.train_store.counts.tokens,
            valid_tokens=len(self.validation),
            lanes=1,
            steps_per_epoch=1,
            device="cpu",
            precision="float64",
            resumed=resumed,
            unit="order",
        )

    def keep(self, counted: Counted) -> Iterator[Report]:
        """Report the orders that were tried, and save the model."""
        order, tokens = counted.model.order, self.train_store.counts.tokens
        counters = Counters(step=order, tokens=tokens, seconds=counted.seconds, finished=FINISHED)
        yield self.started(counted.model.size, 0, resumed=False)
        self.run.log.cut(0)
        for report in self.evaluated(counted):
            self.run.log.append({"type": "evaluated", **asdict(report)})
            yield report
            if report.best:
                counters.best_step, counters.best_nll = report.step, report.valid_nll
        counters.log_bytes = self.run.log.sync()
        state = {"counters": counters.to_table(), "parameters": counted.model.size}
        best = best_of(counters, self.validation)
        yield Saved(
            step=order, path=str(self.run.save(order, to_tensors(counted.model), {}, state, best))
        )
        yield self.done(counted.model.size, counters, tokens / max(counted.seconds, 1e-9))

    def evaluated(self, counted: Counted) -> Iterator[Evaluated]:
        """One report of validation for each order that was tried."""
        best = math.inf
        for order, nll in counted.tried.items():
            yield Evaluated(
                step=order,
                fraction=order / max(counted.tried),
                valid_nll=nll,
                valid_bpc=nll * self.validation.bits_per_char,
                tokens=len(self.validation),
                best=nll < best,
                seconds=counted.seconds,
            )
            best = min(best, nll)

    def done(self, parameters: int, counters: Counters, rate: float) -> Done:
        """The report that ends the session."""
        return done(
            self.run,
            counters,
            self.validation,
            reason=FINISHED,
            finished=True,
            seconds=counters.seconds,
            tokens_per_second=rate,
            parameters=parameters,
        )
