"""How open the gates of every unit are over a text, and how often they are saturated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["LEFT", "RIGHT", "GateStatistics", "GateSums", "means_of_layers"]

LEFT, RIGHT = 0.1, 0.9
"""A gate below the first is saturated left, above the second right (Karpathy, Johnson and Fei-Fei
2015, arXiv:1506.02078)."""


@dataclass(frozen=True, eq=False)
class GateStatistics:
    """One gate of every unit over a text; each array is (L, H).

    ``openness`` is the mean of the gate, from 0 (shut) to 1 (open); ``left`` and ``right`` are the
    shares of the tokens at which it is below 0.1 and above 0.9.
    """

    openness: np.ndarray
    left: np.ndarray
    right: np.ndarray


def means_of_layers(statistics: Mapping[str, GateStatistics]) -> list[dict[str, Any]]:
    """For each ``layer`` and ``gate`` the means over all units, under the names of the arrays."""
    return [
        {"layer": layer, "gate": name}
        | {part: float(values[layer].mean()) for part, values in vars(found).items()}
        for layer in range(max([len(each.openness) for each in statistics.values()], default=0))
        for name, found in statistics.items()
    ]


class GateSums:
    """Adds up the gates of one segment after the other."""

    def __init__(self) -> None:
        self.steps = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, activations: Mapping[str, Tensor]) -> None:
        """Count the gates among activations (T, L, H)."""
        for name, values in activations.items():
            if name.endswith("_gate"):
                parts = [values.double(), values < LEFT, values > RIGHT]
                found = torch.stack([part.sum(dim=0).double() for part in parts])
                self.sums[name] = self.sums[name] + found if name in self.sums else found
        self.steps += len(next(iter(activations.values())))

    def means(self) -> dict[str, GateStatistics]:
        """The statistics of each gate, over all steps that were counted."""
        return {
            name: GateStatistics(*(sums / self.steps).float().cpu().numpy())
            for name, sums in self.sums.items()
        }
