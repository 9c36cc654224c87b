"""Dropout of activations, of recurrent weights and of the tokens of an embedding."""

import torch
from torch import Tensor, nn

__all__ = ["Dropout", "drop_tokens", "drop_weights"]


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


def drop_weights(weights: Tensor, share: float, training: bool) -> Tensor:
    """Drop a share of the single weights in training; keep the expectation.

    DropConnect (Wan et al. 2013) on recurrent weights: one mask for all steps and lanes of a
    segment, as Merity, Keskar and Socher 2018 (arXiv:1708.02182) do it.
    """
    return nn.functional.dropout(weights, share, training) if share else weights


def drop_tokens(inputs: Tensor, tokens: Tensor, vocab_size: int, share: float) -> Tensor:
    """Drop a share of the kinds of tokens; keep the expectation.

    ``inputs`` (T, B, E) are the embeddings of ``tokens`` (T, B).  A token is dropped wherever it
    occurs in the segment (Gal and Ghahramani 2016, arXiv:1512.05287).
    """
    if not share:
        return inputs
    mask = inputs.new_empty(vocab_size, 1).bernoulli_(1 - share).div_(1 - share)
    return inputs * nn.functional.embedding(tokens, mask)
