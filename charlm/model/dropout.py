"""Dropout of activations, the same at every step of a segment or fresh at each."""

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]


class Dropout(nn.Module):
    """Drop a share of the features of (T, B, F) in training; keep the expectation.

    ``variational`` draws one mask (1, B, F) for all steps of time (Gal and Ghahramani 2016,
    arXiv:1512.05287); ``ordinary`` draws (T, B, F) (Zaremba et al. 2014, arXiv:1409.2329).
    Draws come from torch's global generator, which the training loop seeds step by step.
    """

    def __init__(self, share: float, kind: str) -> None:
        super().__init__()
        self.share = share
        self.kind = kind

    def drops(self) -> bool:
        """Whether it does anything now."""
        return self.training and self.share > 0

    def forward(self, features: Tensor) -> Tensor:
        """(T, B, F) -> (T, B, F); the identity in evaluation and for a share of 0."""
        if not self.drops():
            return features
        if self.kind == "ordinary":
            return nn.functional.dropout(features, self.share)
        keep = 1 - self.share
        mask = torch.empty_like(features[:1]).bernoulli_(keep).div_(keep)
        return features * mask
