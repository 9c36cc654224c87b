"""Logits divided by a temperature (Guo et al. 2017, arXiv:1706.04599)."""

from torch import Tensor

from charlm.inference.predictors.predictor import State
from charlm.inference.predictors.recurrent import NetworkPredictor

__all__ = ["TemperedPredictor"]


class TemperedPredictor(NetworkPredictor):
    """A predictor whose logits are divided by ``temperature``; its state is the inner one's."""

    def __init__(self, inner: NetworkPredictor, temperature: float) -> None:
        super().__init__(inner.network)
        self.inner, self.temperature = inner, temperature
        self.lanes = inner.lanes

    def start(self, lanes: int = 1) -> State:
        """See ``Predictor``."""
        return self.inner.start(lanes)

    def select(self, state: State, lanes: Tensor) -> State:
        """See ``Predictor``."""
        return self.inner.select(state, lanes)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """See ``NetworkPredictor``."""
        features, logits, state = self.inner.forward(tokens, state)
        return features, logits / self.temperature, state
