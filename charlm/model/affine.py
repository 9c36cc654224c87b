"""Affine maps and embeddings whose numbers the model draws or loads by itself.

``nn.Linear`` and ``nn.Embedding`` initialise their weights when they are made.  On the device
``meta`` torch does that in Python and imports ``torch._dynamo`` and sympy for it, which takes as
long as importing torch.  The classes here leave that step out.
"""

import torch
from torch import nn

__all__ = ["Embedding", "Linear", "allocate", "initialise_affine"]


class WithoutNumbers:
    """A module made without initial numbers."""

    def reset_parameters(self) -> None:
        """Do nothing: ``LanguageModel.create`` or ``from_tensors`` gives the numbers."""


class Linear(WithoutNumbers, nn.Linear):
    """An ``nn.Linear`` made without initial numbers."""


class Embedding(WithoutNumbers, nn.Embedding):
    """An ``nn.Embedding`` made without initial numbers."""


def allocate(module: nn.Module) -> None:
    """Replace all parameters by uninitialised ones on the CPU.

    Does what ``to_empty`` does without importing sympy.  Raises ``RuntimeError`` if there is no
    memory; weights that were tied have to be tied again.
    """
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(torch.empty(weight.shape)))


def initialise_affine(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of affine maps: Xavier for matrices, zeros for biases."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
