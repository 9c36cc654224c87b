"""One step of truncated back-propagation through time, and everything it changes.

Truncated BPTT with the state carried on: Mikolov et al. 2010; the state is detached between
segments, so gradients reach back one segment.
"""

import math
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from charlm.config import TrainConfig
from charlm.data.batches import MixedSegments, Segment, Segments
from charlm.model.devices import choose_precision, keep_freed_memory, name_of
from charlm.model.language_model import LanguageModel, State, detach
from charlm.training.distributed import World
from charlm.training.optimization.averaging import Average
from charlm.training.optimization.cuda_graphs import replayed
from charlm.training.optimization.objective import Objective, Terms
from charlm.training.optimization.optimizers import (
    make_optimizer,
    misfit,
    optimizer_tensors,
    restore_optimizer,
)

__all__ = ["Learner", "Outcome", "StoppedError"]

FLOAT16_SCALE = 2.0**13
"""What losses are multiplied by in float16, so that gradients below 6e-8 do not become zero.  It is
halved whenever a gradient exceeds 65,504, the largest number of float16 (Micikevicius et al. 2018,
arXiv:1710.03740)."""


ONE_STEP = threading.Lock()
"""Held for a step: torch's global generators, which a step seeds, belong to the whole process."""


class StoppedError(Exception):
    """A step was given up between two parts of its batch."""


@dataclass(frozen=True)
class Outcome:
    """The result of a step: mean loss in nats per token, norm of the gradients, number of targets,
    and whether the weights were changed.
    """

    loss: float
    gradient_norm: float
    tokens: int
    taken: bool


class Learner:
    """A model, its optimizer, its average and the carried state of this process's lanes.

    ``stop`` is asked between the parts of an accumulated batch; a reason ends the step.  On a CPU
    the process keeps the memory that it frees from then on.
    """

    stop: Callable[[], str | None]

    def __init__(
        self,
        model: LanguageModel,
        segments: Segments | MixedSegments,
        config: TrainConfig,
        world: World,
    ) -> None:
        config = config.with_defaults()
        self.model = model
        self.segments = segments
        self.config = config
        self.world = world
        self.device = model.head.bias.device
        if self.device.type == "cpu":
            keep_freed_memory()
        self.optimizer = make_optimizer(config, model, self.device)
        self.average = Average(config, model)
        self.lanes = world.share(segments.batch_size)
        self.state = self.fresh_state()
        self.precision = choose_precision(config.precision, self.device)
        self.scale = FLOAT16_SCALE if self.precision is torch.float16 else 1.0
        self.objective = self.make_objective()
        self.stop = lambda: None
        self.frozen: list[nn.Parameter] = []

    def make_objective(self) -> nn.Module:
        """The function that a step minimises, for this process alone or as one of several."""
        self.model.train()  # a CUDA graph keeps the mode in which it was captured
        objective = Objective(self.model, self.config, self.precision)
        if self.world.size > 1 or self.config.accumulate > 1:
            return self.world.wrap(objective)
        return replayed(objective, self.segments.bptt, self.state)

    def fresh_state(self) -> State:
        """A state of zeros for the lanes of this process."""
        return self.model.zero_state(self.lanes.stop - self.lanes.start)

    def freeze(self, fraction: float) -> None:
        """Let the lowest layers rest that the settings freeze at a ``fraction`` of training."""
        count = self.config.freeze
        if self.config.thaw is not None:
            count = max(0, count - int(fraction * count / self.config.thaw + 1e-9))
        self.frozen = list(self.model.layers[:count].parameters())

    def learn(self, step: int, rate: float) -> Outcome:
        """Take optimizer step ``step`` (from 0) at learning rate ``rate``.

        A non-finite loss or gradient leaves the weights as they are and clears the state.
        Seeds torch's global generators from (seed, step), so that a step does not depend on
        what was drawn before it; trainings in several threads take turns, step by step.

        Raises ``StoppedError`` if ``stop`` gives a reason meanwhile, and what ``stop`` raises;
        nothing has changed then.
        """
        before, scale = self.state, self.scale
        try:
            with ONE_STEP:
                return self.take_step(step, rate)
        except BaseException:
            self.state, self.scale = before, scale
            raise

    def take_step(self, step: int, rate: float) -> Outcome:
        """Take a step as ``learn`` does, which puts the state back if it is stopped."""
        self.model.train()
        segment = self.segments[step]
        seed = np.random.default_rng([self.config.seed, step, self.world.rank]).integers(2**63)
        state = reset_lanes(self.state, segment.fresh[self.lanes])
        scale = self.scale
        loss, norm = self.forward_backward(segment, state, int(seed))
        while math.isfinite(loss) and not math.isfinite(norm) and self.scale > 1:
            self.scale /= 2  # what did not fit into float16 does next time
            loss, norm = self.forward_backward(segment, state, int(seed))
        taken = math.isfinite(loss) and math.isfinite(norm)
        if taken:
            for group in self.optimizer.param_groups:
                group["lr"] = rate * segment.weight * group["factor"]
            self.optimizer.step()
            self.average.update()
        else:
            self.state, self.scale = self.fresh_state(), scale
        return Outcome(loss, norm, segment.count, taken)

    def forward_backward(self, segment: Segment, state: State, seed: int) -> tuple[float, float]:
        """Compute the gradients of a segment from ``state`` on; returns the mean loss in nats per
        token, and the norm of the gradients before clipping.
        """
        seed_generators(seed, self.device)
        self.state = state
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.world.sum(self.backward(segment), self.device)
        for weight in self.frozen:
            weight.grad = None  # the optimizer leaves a parameter without a gradient alone
        return loss, float(self.clip())

    def backward(self, segment: Segment) -> float:
        """Gradients of the segment's mean loss; returns this process's share of the mean nll."""
        mine = segment.rows(self.lanes)
        parts = np.array_split(np.arange(len(mine.inputs)), self.config.accumulate)
        slices = [slice(int(p[0]), int(p[-1]) + 1) for p in parts if len(p)]
        total, states = 0.0, []
        for index, rows in enumerate(slices):
            # Of several processes only the first is told to stop, and all must do so at one step.
            if index and self.world.size == 1 and self.stop():
                raise StoppedError
            state = tuple(tuple(part[rows] for part in layer) for layer in self.state)
            with self.reduction(last=index == len(slices) - 1):
                part = mine.rows(rows)
                inputs = part.inputs.to(self.device, non_blocking=True)
                targets = part.targets.to(self.device, non_blocking=True)
                terms: Terms = self.objective(inputs, targets, state)
                nll = terms.nll / segment.count
                loss = nll + terms.penalty * (len(part.inputs) / self.segments.batch_size)
                # The wrapped model averages gradients over processes, and this makes it their sum.
                (loss * (self.world.size * self.scale)).backward()  # type: ignore[no-untyped-call]
            total += nll.item()
            states.append(detach(terms.state))
        self.state = tuple(
            tuple(torch.cat(parts) for parts in zip(*layers, strict=True))
            for layers in zip(*states, strict=True)
        )
        return total

    def reduction(self, last: bool) -> AbstractContextManager[None]:
        """Gradients travel between processes with the last part only."""
        if last or not isinstance(self.objective, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self.objective.no_sync()

    def clip(self) -> Tensor:
        """Take the loss's scale out of the gradient, then scale it down to the largest norm
        allowed; returns its norm before.

        Pascanu, Mikolov and Bengio 2013 (arXiv:1211.5063).
        """
        if self.scale != 1:
            for weight in self.model.parameters():
                if weight.grad is not None:
                    weight.grad.div_(self.scale)
        return nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip or math.inf)

    def weights(self) -> dict[str, Tensor]:
        """The weights to validate, save and use: averaged ones where there is an average."""
        return self.model.tensors() | self.average.weights

    def tensors(self) -> dict[str, Tensor]:
        """All that resuming needs beside ``weights``; the state of all lanes of all processes."""
        carried = {
            f"state/{layer}/{part}": self.world.gather_lanes(tensor, self.segments.batch_size)
            for layer, parts in enumerate(self.state)
            for part, tensor in enumerate(parts)
        }
        optimizer = optimizer_tensors(self.optimizer, self.model)
        scale = {f"scale/{name_of(self.precision)}": torch.tensor(self.scale)}
        return optimizer | self.average.tensors() | carried | scale

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a checkpoint's ``tensors``.  Raises ``CheckpointError`` if one does not fit."""
        self.average.restore(tensors)
        restore_optimizer(self.optimizer, self.model, tensors)
        self.state = tuple(
            tuple(self.lane_tensor(tensors, f"state/{layer}/{part}") for part in range(len(parts)))
            for layer, parts in enumerate(self.state)
        )
        scale = tensors.get(f"scale/{name_of(self.precision)}")
        if scale is not None:
            if scale.numel() != 1 or not scale.is_floating_point():
                raise misfit(f"scale/{name_of(self.precision)}")
            self.scale = float(scale)

    def go_back(self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        """Take over a checkpoint in the middle of training.

        Raises ``CheckpointError`` if one of its tensors does not fit.
        """
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])  # in place, where a CUDA graph looks for it
        self.optimizer.state.clear()
        self.average = Average(self.config, self.model)
        if tensors:
            self.restore(tensors)
        else:  # the weights that a run was begun with
            self.state = self.fresh_state()

    def lane_tensor(self, tensors: Mapping[str, Tensor], name: str) -> Tensor:
        """The rows of a carried state that belong to this process.  Raises ``CheckpointError``."""
        tensor = tensors.get(name)
        shape = (self.segments.batch_size, self.model.config.hidden_size)
        if tensor is None or tuple(tensor.shape) != shape or not tensor.is_floating_point():
            raise misfit(name)
        return tensor[self.lanes].to(self.device)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators of the CPU and of ``device``.

    ``torch.manual_seed`` would also note a stack trace for every absent device, which takes half
    a millisecond.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(seed)


def reset_lanes(state: State, fresh: Tensor) -> State:
    """The state with zeros in the ``fresh`` (B) lanes."""
    if not fresh.any():
        return state
    lanes = fresh[:, None].to(state[0][0].device)
    return tuple(tuple(part.masked_fill(lanes, 0.0) for part in layer) for layer in state)
