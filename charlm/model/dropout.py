"""Dropout of activations, of recurrent weights and of the tokens of an embedding."""

import torch
from torch import Tensor, nn

__all__ = ["Dropout", "drop_tokens", "drop_weights"]


class Dropout(nn.Module):
    """Set a share of the features (T, B, F) to zero in training and scale up the others.

    ``variational`` draws one mask (1, B, F) for all steps of time (Gal and Ghahramani 2016,
    arXiv:1512.05287); ``ordinary`` draws (T, B, F) (Zaremba et al. 2014, arXiv:1409.2329).
    Masks come from torch's global generator, which the training loop seeds step by step.
    """

    def __init__(self, share: float, kind: str) -> None:
        super().__init__()
        self.share = share
        self.kind = kind

    @property
    def active(self) -> bool:
        """Whether ``forward`` changes anything: in training, for a share above 0."""
        return self.training and self.share > 0

    def forward(self, features: Tensor) -> Tensor:
        """(T, B, F) -> (T, B, F); the identity in evaluation and for a share of 0."""
        if not self.active:
            return features
        if self.kind == "ordinary":
            return nn.functional.dropout(features, self.share)
        keep = 1 - self.share
        mask = torch.empty_like(features[:1]).bernoulli_(keep).div_(keep)
        return features * mask


def drop_weights(weights: Tensor, share: float, training: bool) -> Tensor:
    """Set a share of the weights to zero in training and scale up the others.

    DropConnect (Wan et al. 2013) on recurrent weights: one mask for all steps and lanes of a
    segment, as Merity, Keskar and Socher 2018 (arXiv:1708.02182) do it.
    """
    return nn.functional.dropout(weights, share, training) if share else weights


def drop_tokens(inputs: Tensor, tokens: Tensor, vocab_size: int, share: float) -> Tensor:
    """Set the embeddings of a share of the vocabulary to zero and scale up the others.

    ``inputs`` (T, B, E) are the embeddings of ``tokens`` (T, B).  A dropped token is dropped
    wherever it occurs in the segment (Gal and Ghahramani 2016, arXiv:1512.05287).
    """
    if not share:
        return inputs
    mask = inputs.new_empty(vocab_size, 1).bernoulli_(1 - share).div_(1 - share)
    return inputs * nn.functional.embedding(tokens, mask)
