"""Training of an n-gram model: counting.  Its steps are orders, and it keeps the best one.

It yields the reports of all training, so that a reader of reports need not know the difference.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict

from charlm.config import ModelConfig
from charlm.data.preparation.prepared import Preparing
from charlm.data.preparation.store import TokenStore
from charlm.errors import CorpusError, ModelError
from charlm.model.ngram.counts import count_grams
from charlm.model.ngram.kneser_ney import NgramModel, model_of
from charlm.model.ngram.merging import merged_counts
from charlm.model.ngram.orders import PATIENCE, Tried, highest_order, mean_nll, try_orders
from charlm.model.ngram.tensors import to_tensors
from charlm.storage.run import Run
from charlm.training.counters import Counters, counters_of
from charlm.training.distributed import World
from charlm.training.reports import Done, Evaluated, Note, Report, Saved, Started
from charlm.training.validation import Validation

__all__ = ["check_countable", "train_ngrams"]

FINISHED = "budget"
"""The reason of ``Done``: all of the text has been counted."""


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
    base: NgramModel | None = None,
) -> Iterator[Preparing | Report]:
    """Count a run's text, or find it counted; the last report is ``Done`` unless stopped before.

    ``stop`` is asked after each order.  The counts of ``base``, a model of the order of the
    settings, are added.  Raises ``CheckpointError`` or ``OSError`` if saving fails.
    """
    counting = Counting(run, train_store, valid_store, vocab_size)
    found, notes = run.newest(anew=True)  # the same text gives the same counts
    yield from (Note(text=f"skipped: {note}") for note in notes)
    if found is None:
        yield from counting.train(stop) if base is None else counting.add_to(base)
        return
    counters = counters_of(found, run)
    yield counting.started(found.state["parameters"], counters.step, resumed=True)
    yield counting.done(found.state["parameters"], counters, rate=0.0)


class Counting:
    """One counting of a run's text, and the reports on it."""

    def __init__(
        self, run: Run, train_store: TokenStore, valid_store: TokenStore | None, vocab_size: int
    ) -> None:
        self.run = run
        self.train_store = train_store
        self.valid_tokens = valid_store.tokens if valid_store else train_store.tokens[:1]
        self.validation = Validation(valid_store, 0)
        self.vocab_size = vocab_size

    def train(self, stop: Callable[[], str | None]) -> Iterator[Preparing | Report]:
        """Count n-grams of the order that the settings say, or of the best one; keep the model."""
        began, order = time.monotonic(), self.run.config.model.order
        highest = order or highest_order(self.run.config.tokenizer.kind)
        patience = highest if order else PATIENCE
        best: Tried | None = None
        tried = {}
        texts = self.train_store.tokens, self.valid_tokens
        for found in try_orders(*texts, self.vocab_size, highest, patience):
            yield Preparing("counting", found.counts.order, highest)
            if stop():
                return
            if best is None or order or found.nll < best.nll:
                best = found
            if order in (None, found.counts.order) and not math.isnan(found.nll):
                tried[found.counts.order] = found.nll
        assert best is not None
        model = model_of(best.counts)
        yield from self.keep(model, tried, time.monotonic() - began)

    def add_to(self, base: NgramModel) -> Iterator[Preparing | Report]:
        """Count n-grams of the order of ``base``, add its counts to them, and keep the model."""
        began = time.monotonic()
        yield Preparing("counting", base.order, base.order)
        counts = count_grams(self.train_store.tokens, self.vocab_size, base.order)
        model = model_of(merged_counts(base, counts))
        nll = mean_nll(model.nll(self.valid_tokens), self.valid_tokens)
        tried = {} if math.isnan(nll) else {base.order: nll}
        yield from self.keep(model, tried, time.monotonic() - began)

    def started(self, parameters: int, step: int, *, resumed: bool) -> Started:
        """The report that opens the session; a model has as many n-grams as ``parameters``."""
        return Started(
            run=str(self.run.folder), step=step, parameters=parameters, vocab_size=self.vocab_size,
            train_tokens=self.train_store.counts.tokens, valid_tokens=len(self.validation), lanes=1,
            steps_per_epoch=1, device="cpu", precision="float64", resumed=resumed, unit="order",
        )  # fmt: skip

    def keep(self, model: NgramModel, tried: dict[int, float], seconds: float) -> Iterator[Report]:
        """Save the model; report the mean nll (nats per token) of each order that was ``tried``."""
        order, tokens = model.order, self.train_store.counts.tokens
        counters = Counters(step=order, tokens=tokens, seconds=seconds, finished=FINISHED)
        yield self.started(model.size, 0, resumed=False)
        log = self.run.log
        log.cut(0)
        for each, nll in tried.items():
            best = nll < counters.best_nll
            if best:
                counters.best_step, counters.best_nll = each, nll
            report = Evaluated(
                step=each, fraction=each / max(tried), valid_nll=nll,
                valid_bpc=nll * self.validation.bits_per_char, tokens=len(self.validation),
                best=best, seconds=seconds,
            )  # fmt: skip
            with suppress(OSError):  # written with the next line, or refused below
                log.append({"type": "evaluated", **asdict(report)})
            yield report
        counters.log_bytes = log.sync()
        state = {"counters": counters.to_table(), "parameters": model.size}
        best_of_all = counters.best(self.validation)
        path = self.run.save(order, to_tensors(model), {}, state, best_of_all)
        yield Saved(step=order, path=str(path))
        yield self.done(model.size, counters, tokens / max(seconds, 1e-9))

    def done(self, parameters: int, counters: Counters, rate: float) -> Done:
        """The report that ends the session."""
        return counters.done(
            self.run, self.validation, reason=FINISHED, finished=True, seconds=counters.seconds,
            tokens_per_second=rate, parameters=parameters,
        )  # fmt: skip
