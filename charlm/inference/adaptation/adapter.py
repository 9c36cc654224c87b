"""A run read with the methods of an ``Evaluation``."""

from dataclasses import dataclass
from functools import cache, partial

from torch import Tensor

from charlm.inference.adaptation.cache import CacheWalk
from charlm.inference.adaptation.dynamic import DynamicWalk, Steps, gather_statistics, plan_steps
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.walks import NetworkWalk, TemperedWalk, Walk, Walking
from charlm.inference.loading import Loaded, load_part, require_recurrent
from charlm.inference.predictors.predictor import Predictor
from charlm.model.language_model import LanguageModel

__all__ = ["Adapted", "Adapter", "adapted"]


@dataclass(frozen=True)
class Adapted(Loaded):
    """A run with another way to read it; ``static`` is the run as it was loaded."""

    evaluation: Evaluation
    static: Loaded

    @property
    def readings(self) -> tuple[Loaded, ...]:
        """This one and, where it has a method, the static one, which is shown beside it."""
        return (self, self.static) if self.evaluation.methods else (self,)


class Adapter:
    """Reads a run with any ``Evaluation``; neither the folder nor the loaded network change.

    The statistics of the training text are gathered once for each length of segments.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.statistics = cache(self.gather)

    def adapt(self, evaluation: Evaluation) -> Adapted:
        """The run with the model of ``evaluation``.  Raises what ``model`` does."""
        run = self.loaded
        return Adapted(run.run, run.tokenizer, self.model(evaluation), run.step, evaluation, run)

    def model(self, evaluation: Evaluation) -> Predictor:
        """The run's own model if there is no method; else one that uses them.

        Raises ``ModelError`` for a model that is no network, and ``CorpusError`` where dynamic
        evaluation needs a training text that is gone.
        """
        if not evaluation.methods:
            return self.loaded.model
        network = require_recurrent(self.loaded)
        dynamic, steps = evaluation.dynamic, None
        if dynamic is not None:
            steps = plan_steps(dynamic, self.statistics(dynamic.segment))
        return Walking(network, evaluation.mode, partial(begin_walk, network, evaluation, steps))

    def gather(self, segment: int) -> tuple[Tensor, ...]:
        """The statistics of the run's training text."""
        tokens = load_part(self.loaded, "train").tokens
        return gather_statistics(require_recurrent(self.loaded), tokens, segment)


def adapted(loaded: Loaded, evaluation: Evaluation) -> Adapted:
    """The run read with the methods of ``evaluation``; raises what ``Adapter.model`` does."""
    return Adapter(loaded).adapt(evaluation)


def begin_walk(network: LanguageModel, evaluation: Evaluation, steps: Steps | None) -> Walk:
    """A new stream: the cache is around the temperature, and that around the network."""
    walk: Walk = NetworkWalk(network) if steps is None else DynamicWalk(network, steps)
    if evaluation.temperature is not None:
        walk = TemperedWalk(walk, evaluation.temperature.value)
    if evaluation.cache is not None:
        walk = CacheWalk(walk, evaluation.cache)
    return walk
