"""One session of training: learner, budget, counters, and the run that keeps them."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import torch

from charlm.data.batches import count_tokens
from charlm.data.preparation.store import TokenStore
from charlm.errors import CheckpointError, ModelError, counted, describe, way_out
from charlm.model.devices import choose_device, name_of
from charlm.model.language_model import LanguageModel
from charlm.storage.checkpoints import Checkpoint
from charlm.storage.run import Run
from charlm.training.budget.pace import Pace
from charlm.training.counters import Counters, counters_of
from charlm.training.distributed import World
from charlm.training.learner import Learner
from charlm.training.optimization.optimizers import learning_rate
from charlm.training.reports import Done, Evaluated, Note, Saved, Started, Stepped
from charlm.training.segments import segments_of
from charlm.training.validation import Validation

__all__ = ["Session"]

LOG_EVERY = 10
"""Steps whose mean loss makes one line of the log."""

SAVING_SHARE = 0.02
"""Share of the time that goes into saving between validations, at most."""

SKIPS_ALLOWED = 10
"""Steps in a row without finite numbers before training goes back to its last checkpoint."""

RETURNS_ALLOWED = 3
"""How often a run may go back to a checkpoint.  The learning rate is then an eighth."""


class Session:
    """One session of training a run: begins at its newest good checkpoint, or at step 0.

    ``train`` and ``valid`` are the tokens of its text; ``kept`` are those of another one, which
    ``training.keep_share`` of the lanes read.  Raises ``ModelError`` if there are fewer
    lanes than processes, ``CheckpointError`` if the checkpoint does not fit.
    """

    def __init__(
        self,
        run: Run,
        train: TokenStore,
        valid: TokenStore | None,
        vocab_size: int,
        world: World,
        kept: TokenStore | None = None,
    ) -> None:
        self.run, self.train_store, self.world = run, train, world
        self.config = config = run.config.training
        self.validation = Validation(valid, config.valid_tokens)
        device = choose_device(config.device)
        found, self.notes = run.newest()
        if found is None:
            counts = count_tokens(train.tokens, vocab_size)
            model = LanguageModel.create(run.config.model, vocab_size, config.seed, counts)
        else:
            model = LanguageModel.from_tensors(run.config.model, vocab_size, found.model)
        segments = segments_of(train, kept, config, device)
        if segments.batch_size < world.size:
            lanes = counted(segments.batch_size, "lane")
            raise ModelError(
                f"{lanes} cannot be shared by {world.size} processes",
                "use fewer processes, a larger `training.batch_size`, or more text",
            )
        self.learner = Learner(model.to(device), segments, config, world)
        if found is not None and found.step > 0:
            self.learner.restore(found.train)
        self.file = run.log
        self.take_up(found)
        self.saved_at, self.saving_took = self.counters.seconds, 0.0
        self.pace = Pace(config, len(segments), self.counters.seconds)
        # The next share of the budget may be another one than before.
        following = self.pace.next_evaluation(self.pace.fraction(self.counters.step))
        self.counters.next_evaluation = min(self.counters.next_evaluation, following)
        self.rate, self.learning_seconds, self.learned_tokens = 0.0, 0.0, 0

    def take_up(self, found: Checkpoint | None) -> None:
        """Go on with the counters and the log of a checkpoint; without one, with none."""
        self.counters = Counters(next_evaluation=1 / self.config.evaluations)
        if found is not None:
            self.counters = counters_of(found, self.run)
        self.saved_step = -1 if found is None else found.step
        if self.world.first:
            self.file.cut(self.counters.log_bytes)

    def started(self, resumed: bool) -> Started:
        """The report that opens the session."""
        segments = self.learner.segments
        return Started(
            run=str(self.run.folder), step=self.counters.step,
            parameters=self.learner.model.count_parameters(),
            vocab_size=self.learner.model.vocab_size, train_tokens=self.train_store.counts.tokens,
            valid_tokens=len(self.validation), lanes=segments.batch_size,
            steps_per_epoch=len(segments), device=str(self.learner.device),
            precision=name_of(self.learner.precision), resumed=resumed,
        )  # fmt: skip

    def progress(self, stop: Callable[[], str | None]) -> tuple[float, str | None]:
        """The share of the budget that is spent, and why to stop now or None; all processes get
        what process 0 finds.
        """
        reason = stop() if self.world.first else None
        values = [self.pace.seconds(), float(reason is not None)]
        seconds, stopped = self.world.from_first(values, self.learner.device)
        fraction = self.pace.fraction(self.counters.step, seconds)
        if fraction >= 1 or self.counters.finished == self.pace.budget:
            fraction, self.counters.finished = 1.0, self.pace.budget
        return fraction, (reason or "stopped") if stopped else None

    def evaluation_due(self, fraction: float) -> bool:
        """Whether to validate before the next step; not after one that left no checkpoint."""
        counters = self.counters
        if counters.skipped_in_row:
            return False
        due = fraction >= min(counters.next_evaluation, 1.0)
        return len(self.validation) > 0 and due and counters.evaluated_step != counters.step

    def end(self, fraction: float) -> str | None:
        """Why training is over, or None while it is not."""
        if 0 < self.config.patience <= self.counters.stale:
            return "patience"
        if fraction < 1:
            return None
        return "epochs" if self.counters.step >= self.pace.most_steps else "budget"

    def save_due(self, asked: bool) -> bool:
        """Whether the last checkpoint is too long ago, or one is ``asked`` for; all processes get
        what process 0 finds.
        """
        wait = max(60 * self.config.save_minutes, self.saving_took / SAVING_SHARE)
        late = asked or self.pace.seconds() - self.saved_at > wait
        return bool(self.world.from_first([float(late)], self.learner.device)[0])

    def step(self, fraction: float) -> Stepped:
        """Take one optimizer step.  Raises ``StoppedError`` if the learner was told to stop."""
        counters, before = self.counters, self.pace.seconds()
        rate = learning_rate(self.config, fraction, counters.divisor)
        self.learner.freeze(fraction)
        outcome = self.learner.learn(counters.step, rate)
        epoch = counters.step // len(self.learner.segments)
        counters.step += 1
        counters.tokens += outcome.tokens
        counters.skipped += not outcome.taken
        counters.skipped_in_row = 0 if outcome.taken else counters.skipped_in_row + 1
        seconds = self.pace.seconds()
        took = max(seconds - before, 1e-9)
        self.learning_seconds += took
        self.learned_tokens += outcome.tokens
        now = outcome.tokens / took
        self.rate = now if not self.rate else 0.95 * self.rate + 0.05 * now
        report = Stepped(
            step=counters.step, epoch=epoch, fraction=fraction, loss=outcome.loss,
            learning_rate=rate, gradient_norm=outcome.gradient_norm, tokens=counters.tokens,
            seconds=seconds, tokens_per_second=self.rate,
        )  # fmt: skip
        counters.window_loss += report.loss if math.isfinite(report.loss) else 0.0
        if counters.step % LOG_EVERY == 0:
            self.log(replace(report, loss=counters.window_loss / LOG_EVERY))
            counters.window_loss = 0.0
        return report

    def go_back(self) -> Note:
        """Go on from the last good checkpoint with half the learning rate; returns a note.

        Raises ``ModelError`` where there is none, or that has been done too often.
        """
        found, _ = self.run.newest()
        before, rate, clip = self.counters, self.config.learning_rate, self.config.clip
        what = (f"the loss or its gradient was not finite in {SKIPS_ALLOWED} steps in a row "
                f"(step {before.step:,})")  # fmt: skip
        if found is None or before.returns >= RETURNS_ALLOWED:
            clipping = "`training.clip`" if clip else "set `training.clip` (now 0: never)"
            raise ModelError(
                what,
                f"lower `training.learning_rate` (now {rate:g}) or {clipping}, and train into "
                "another `out=FOLDER`",
            )
        self.learner.go_back(found.model, found.train)
        self.take_up(found)
        self.counters.returns, self.counters.divisor = before.returns + 1, 2 * before.divisor
        self.counters.skipped, self.counters.skipped_in_row = before.skipped, 0
        back = f"back to the checkpoint of step {found.step:,}, with half the learning rate"
        return Note(text=f"{what}: {back}")

    def log(self, report: Stepped | Evaluated) -> None:
        """Add a report to the run's log; what cannot be written now waits for the next one."""
        if self.world.first:
            with suppress(OSError):
                self.file.append({"type": type(report).__name__.lower(), **asdict(report)})

    def evaluate(self, fraction: float, stop: Callable[[], str | None]) -> Evaluated | None:
        """Validate in process 0 and tell all processes; None if ``stop`` ended it early."""
        before = self.pace.seconds()
        with self.learner.average.in_place():
            nll = self.validation.nll(self.learner.model, stop) if self.world.first else None
        told = math.nan if nll is None else math.inf if math.isnan(nll) else nll
        values = [told, self.pace.seconds() - before]
        told, took = self.world.from_first(values, self.learner.device)
        if math.isnan(told):
            return None
        self.note_evaluation(told, fraction, took)
        report = Evaluated(
            step=self.counters.step, fraction=fraction, valid_nll=told,
            valid_bpc=told * self.validation.bits_per_char, tokens=len(self.validation),
            best=self.counters.best_step == self.counters.step, seconds=self.pace.seconds(),
        )  # fmt: skip
        self.log(report)
        return report

    def note_evaluation(self, nll: float, fraction: float, took: float) -> None:
        """Keep the best ``nll``, lower the plateau's rate, and set when to validate next."""
        counters, config = self.counters, self.config
        self.learner.average.note_validation(nll)
        if nll < counters.best_nll:
            counters.best_nll, counters.best_step, counters.stale = nll, counters.step, 0
        else:
            counters.stale += 1
            if config.schedule == "plateau":
                counters.divisor *= config.plateau_factor
        counters.evaluated_step = counters.step
        counters.next_evaluation = self.pace.next_evaluation(fraction, took)

    def save(self, *, again: bool = False, last: bool = False) -> Saved | None:
        """Write a checkpoint of this very step; finite weights only.

        If there is one already, only ``again``: it lacks a validation that was interrupted.  After
        a step without finite numbers only if it is the ``last`` one.  Raises ``CheckpointError``;
        the next call tries again.
        """
        counters = self.counters
        if (self.saved_step == counters.step and not again) or self.diverging(last):
            return None
        counters.seconds = self.saved_at = self.pace.seconds()
        train = self.learner.tensors()  # every process takes part in gathering
        path, failure = None, None
        if self.world.first:
            try:
                path = self.write(train)
            except CheckpointError as error:
                failure = error
        failed = self.world.from_first([float(failure is not None)], self.learner.device)[0]
        self.saved_step = self.saved_step if failed else counters.step
        self.saving_took = self.pace.seconds() - self.saved_at
        if failure is not None:
            raise failure
        return None if path is None else Saved(step=counters.step, path=str(path))

    def diverging(self, last: bool) -> bool:
        """Whether the present weights are not to be saved."""
        if self.counters.skipped_in_row and not last:
            return True
        return not all(weight.isfinite().all() for weight in self.learner.weights().values())

    def write(self, train: Mapping[str, torch.Tensor]) -> Path:
        """Write log and checkpoint to the disk.  Raises ``CheckpointError``."""
        try:
            self.counters.log_bytes = self.file.sync()
            state = {"counters": self.counters.to_table()}
            best = self.counters.best(self.validation)
            return self.run.save(self.counters.step, self.learner.weights(), train, state, best)
        except OSError as error:
            raise CheckpointError(
                f"cannot save a checkpoint: {describe(error)}",
                f"{way_out(error)}, then train again: training resumes from the checkpoint before",
            ) from error

    def done(self, finished: bool, reason: str) -> Done:
        """The report that ends the session."""
        return self.counters.done(
            self.run,
            self.validation,
            reason=reason,
            finished=finished,
            seconds=self.pace.seconds() if self.learned_tokens else self.counters.seconds,
            tokens_per_second=self.learned_tokens / max(self.learning_seconds, 1e-9),
            parameters=self.learner.model.count_parameters(),
        )
