"""Units that follow a feature of the text, found on its first half and confirmed on the second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from charlm.explain.activations import SEGMENT, TokensRead, choose
from charlm.explain.correlation import Chance, Half, chance_level, split_in_halves
from charlm.explain.features import measure_feature
from charlm.explain.observation import ObservedReader
from charlm.explain.reading import TokenizedText
from charlm.explain.silencing import cost_of, nll_of_text, silenced
from charlm.inference.loading import Loaded, require_recurrent
from charlm.inference.scoring.uncertainty import Estimate
from charlm.model.cells import activation_names
from charlm.model.language_model import LanguageModel

__all__ = ["FoundUnits", "UnitMatch", "find_units"]


@dataclass(frozen=True)
class UnitMatch:
    """A unit and how well its ``state`` ("cell" or "hidden") follows a feature.

    ``correlation`` is Pearson's on the first half of the text, by which the unit was chosen, and
    ``held_out`` that on the second; ``confirmed`` says whether they have one sign and both are
    beyond what chance reaches.  ``cost`` says by how many nats per token the text is predicted
    worse without the unit, that is with its hidden state set to zero.
    """

    layer: int
    unit: int
    state: str
    correlation: float
    held_out: float
    confirmed: bool
    cost: Estimate


@dataclass(frozen=True)
class FoundUnits:
    """The units that follow a ``feature`` best on the first half of a text, the best first.

    ``chance`` is what the best of all ``series`` (states of units) reaches without any connection.
    ``nll`` is that of the network with all its units, in nats per token.
    """

    feature: str
    tokens: int
    series: int
    chance: Chance
    nll: float
    matches: tuple[UnitMatch, ...]

    @property
    def best(self) -> UnitMatch | None:
        """The first match that is confirmed, None if none is: it was chosen on the first half
        alone, so that its ``held_out`` correlation does not favour it.
        """
        return next((match for match in self.matches if match.confirmed), None)


def find_units(
    loaded: Loaded, text: TokenizedText, feature: str, layer: int | None = None, top: int = 5
) -> Iterator[TokensRead | FoundUnits]:
    """Find the ``top`` units of all layers, or of one, that follow a feature; the last record.

    Raises ``ModelError`` for a model that is no recurrent network, ``ConfigError`` for a layer that
    does not exist, and what ``measure_feature`` and ``split_in_halves`` do.
    """
    network = require_recurrent(loaded)
    config = network.config
    layers = choose("layer", None if layer is None else [layer], config.num_layers)
    halves = split_in_halves(measure_feature(feature, text.tokens), feature)
    names, tokens = states_of(config.cell), len(text.ids)
    shape = len(names), len(layers), config.hidden_size
    top = min(top, len(layers) * config.hidden_size)
    total = (2 + top) * tokens  # once observed, once as it is, once without each unit
    for read in add_states(network, text, halves, layers):
        yield TokensRead(read, total)
    first, second = (half.correlations() for half in halves)
    chance, nll = chance_level(first, second), nll_of_text(network, text)
    matches: list[UnitMatch] = []
    for place in best_units(np.abs(first[:, 0]).reshape(shape))[:top]:
        yield TokensRead((2 + len(matches)) * tokens, total)
        state, at, unit = map(int, np.unravel_index(place, shape))
        without = nll_of_text(silenced(network, layers[at], unit), text)
        pair = float(first[place, 0]), float(second[place, 0])
        confirmed, cost = chance.beaten_by(*pair), cost_of(nll, without)
        matches.append(UnitMatch(layers[at], unit, names[state], *pair, confirmed, cost))
    yield FoundUnits(feature, tokens, len(first), chance, float(nll.mean()), tuple(matches))


def states_of(cell: str) -> list[str]:
    """The names of the parts of a state: the cell state where there is one, the hidden state."""
    return [name for name in activation_names(cell) if name in ("cell", "hidden")]


def add_states(
    network: LanguageModel, text: TokenizedText, halves: Sequence[Half], layers: Sequence[int]
) -> Iterator[int]:
    """Add all states of the layers to the halves of a text; yields how many tokens were read."""
    reader, names = ObservedReader(network), states_of(network.config.cell)
    for half in halves:
        for begin in range(half.begin, half.end, SEGMENT):
            end = min(begin + SEGMENT, half.end)
            noted, _ = reader.read(text.ids[begin:end])
            states = [noted[name][:, list(layers)].flatten(1) for name in names]
            half.add(begin, torch.cat(states, dim=1).cpu().numpy())
            yield end


def best_units(correlations: np.ndarray) -> list[int]:
    """The places of series in falling order of correlations (states, L, H), one for each unit: the
    state that follows best.
    """
    units = correlations[0].size
    order = np.argsort(-correlations.ravel(), kind="stable")
    _, firsts = np.unique(order % units, return_index=True)
    found: list[int] = order[np.sort(firsts)].tolist()
    return found
