"""Training of an n-gram model: counting.  Its steps are orders, and it keeps the best one.

It says what all training says, so that whoever listens need not know the difference.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

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
from charlm.training.reports import Done, Evaluated, Note, Report, Saved, Started
from charlm.training.validation import Validation

__all__ = ["check_countable", "train"]

FINISHED = "budget"
"""Why it ended, in the words of all training: there is no more to be had from the text."""


@dataclass(frozen=True)
class Counted:
    """A model, the mean nll in nats per token of each order tried for it, and the time it took."""

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
            "say --order 5, or give validation text with --valid or --split",
        )


def train(
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
    sitting = Sitting(run, train_store, Validation(valid_store, 0), vocab_size)
    found, notes = run.newest(anew=True)  # the same text gives the same counts
    yield from (Note(text=f"skipped: {note}") for note in notes)
    if found is not None:
        counters = Counters.from_table(found.state["counters"])
        yield sitting.started(found.state["parameters"], counters.step, resumed=True)
        yield sitting.done(found.state["parameters"], counters, rate=0.0)
        return
    counted = yield from count(run.config, train_store, valid_store, vocab_size, stop)
    if counted is not None:
        yield from sitting.keep(counted)


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
class Sitting:
    """What the reports of one training are about."""

    run: Run
    train_store: TokenStore
    validation: Validation
    vocab_size: int

    def started(self, parameters: int, step: int, *, resumed: bool) -> Started:
        """The n-grams are known; there are as many as ``parameters``."""
        return Started(
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
        best = self.best(counters)
        yield Saved(
            step=order, path=str(self.run.save(order, to_tensors(counted.model), {}, state, best))
        )
        yield self.done(counted.model.size, counters, tokens / max(counted.seconds, 1e-9))

    def evaluated(self, counted: Counted) -> Iterator[Evaluated]:
        """A validation of each order."""
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

    def best(self, counters: Counters) -> dict[str, Any] | None:
        """What ``best.json`` says."""
        if counters.best_step < 0:
            return None
        return {
            "step": counters.best_step,
            "valid_nll": counters.best_nll,
            "valid_bpc": counters.best_nll * self.validation.bits_per_char,
            "tokens": len(self.validation),
        }

    def done(self, parameters: int, counters: Counters, rate: float) -> Done:
        """The last report."""
        best = self.best(counters) or {}
        return Done(
            run=str(self.run.folder),
            finished=True,
            reason=FINISHED,
            step=counters.step,
            best_step=best.get("step"),
            valid_nll=best.get("valid_nll"),
            valid_bpc=best.get("valid_bpc"),
            seconds=counters.seconds,
            tokens_per_second=rate,
            parameters=parameters,
            skipped_steps=0,
        )
