"""A run whose model is helped by the methods of an ``Evaluation`` while it reads."""

from dataclasses import dataclass
from functools import cache

from torch import Tensor

from charlm.inference.adaptation.cache import CachedPredictor
from charlm.inference.adaptation.dynamic import (
    DynamicPredictor,
    StepSizes,
    gather_statistics,
    plan_steps,
)
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.temperature import TemperedPredictor
from charlm.inference.loading import Loaded, load_part, require_recurrent
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import NetworkPredictor, Recurrent
from charlm.model.language_model import LanguageModel

__all__ = ["Adapted", "Adapter", "with_methods"]


@dataclass(frozen=True, repr=False)
class Adapted(Loaded):
    """A run with the model of an ``Evaluation``; ``static`` is the run as it was loaded."""

    evaluation: Evaluation
    static: Loaded

    @property
    def variants(self) -> tuple[Loaded, ...]:
        """This run and, where it has a method, the static one, which is shown beside it."""
        return (self, self.static) if self.evaluation.methods else (self,)


class Adapter:
    """Makes the models of a run for any ``Evaluation``; the loaded network does not change.

    The statistics of the training text are gathered once for each length of segments.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.statistics = cache(self.gather)

    def model(self, evaluation: Evaluation) -> Predictor:
        """The run's own model if there is no method; else one that uses them.

        Raises ``ModelError`` for a model that is no network, and ``CorpusError`` where dynamic
        evaluation needs a training text that is gone.
        """
        if not evaluation.methods:
            return self.loaded.model
        network, dynamic = require_recurrent(self.loaded), evaluation.dynamic
        sizes = plan_steps(dynamic, self.statistics(dynamic.segment)) if dynamic else None
        return with_methods(network, evaluation, sizes)

    def gather(self, segment: int) -> tuple[Tensor, ...]:
        """The statistics of the run's training text."""
        tokens = load_part(self.loaded, "train").tokens
        return gather_statistics(require_recurrent(self.loaded), tokens, segment)


def with_methods(
    network: LanguageModel, evaluation: Evaluation, sizes: StepSizes | None
) -> NetworkPredictor:
    """A network with the methods around it: the cache outermost, then the temperature.

    ``sizes`` are those of the steps of dynamic evaluation, ``None`` without it.
    """
    model: NetworkPredictor = (
        Recurrent(network) if sizes is None else DynamicPredictor(network, sizes)
    )
    if evaluation.temperature is not None:
        model = TemperedPredictor(model, evaluation.temperature.value)
    if evaluation.cache is not None:
        model = CachedPredictor(model, evaluation.cache)
    model.mode = evaluation.mode
    return model
