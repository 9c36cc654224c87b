"""Averages of the weights over the steps of training, which are validated, saved and used.

The optimizer goes on with the raw weights, which the average does not change.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from charlm.config import TrainConfig
from charlm.training.optimization.optimizers import misfit

__all__ = ["Average"]


class Average:
    """The average of a model's weights of the kind that ``training.average`` names.

    ``ema``: exponential moving average (Polyak and Juditsky 1992; decay warmed up as in
    TensorFlow's ``ExponentialMovingAverage``, so that early steps are soon forgotten).
    ``asgd``: the mean of all steps since validation was no better than ``nonmono`` validations
    before (non-monotonically triggered: Merity, Keskar and Socher 2018, arXiv:1708.02182).
    ``none``, and ``asgd`` before its trigger: the raw weights themselves.
    """

    def __init__(self, config: TrainConfig, model: nn.Module) -> None:
        """Prepare the average of ``model``; an ``ema`` begins with its present weights."""
        self.config = config
        self.model = model
        self.steps = 0
        self.history: list[float] = []
        self.weights: dict[str, Tensor] = {}
        if config.average == "ema":
            self.begin()

    def begin(self) -> None:
        """Average from the present weights on."""
        self.weights = {name: w.detach().clone() for name, w in self.model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after an optimizer step into the average."""
        if not self.weights:
            return
        decay = min(self.config.ema_decay, (1 + self.steps) / (10 + self.steps))
        share = 1 / (self.steps + 1) if self.config.average == "asgd" else 1 - decay
        self.steps += 1
        for name, raw in self.model.named_parameters():
            self.weights[name].lerp_(raw, share)

    def note_validation(self, nll: float) -> None:
        """Let ``asgd`` begin where ``nll`` is above the best of all but the last ``nonmono``."""
        if self.config.average != "asgd" or self.weights:
            return
        earlier = self.history[: -self.config.nonmono]
        self.history.append(nll)
        if earlier and nll > min(earlier):
            self.begin()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A context in which the model has the averaged weights instead of its raw ones."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Exchange the averaged weights and the model's."""
        for name, weight in self.weights.items():
            parameter = self.model.get_parameter(name)
            self.weights[name], parameter.data = parameter.data, weight

    def tensors(self) -> dict[str, Tensor]:
        """The raw weights and the counts, which resuming needs beside the averaged weights."""
        if self.config.average == "none":
            return {}
        counted = {
            "average/steps": torch.tensor(self.steps),
            "average/history": torch.tensor(self.history, dtype=torch.float64),
        }
        raw = {f"raw/{name}": self.model.get_parameter(name) for name in self.weights}
        return counted | raw

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``tensors`` gave, into a model that has the averaged weights.

        Raises ``CheckpointError`` where it does not fit.
        """
        if self.config.average == "none":
            return
        try:
            self.steps = int(tensors["average/steps"])
            self.history = tensors["average/history"].double().flatten().tolist()
            if any(name.startswith("raw/") for name in tensors):
                self.begin()
            with torch.no_grad():
                for name in self.weights:
                    self.model.get_parameter(name).copy_(tensors[f"raw/{name}"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise misfit(f"the average of the weights ({' '.join(str(error).split())})") from error
