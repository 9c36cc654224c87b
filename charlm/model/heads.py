"""From the last layer's hidden states to logits: heads beside the plain linear one.

Letters: H hidden size, E the head's own size, V vocabulary, K parts of a mixture or tails.
Each has ``weight`` (V, E), which may be the embedding's, and ``bias`` (V).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AdaptiveHead", "MixtureHead", "ProjectedHead", "draw_affine"]


class ProjectedHead(nn.Linear):
    """A projection H -> E before the output weights, so that these may be a smaller embedding's.

    Inan, Khosravi and Socher 2017 (arXiv:1611.01462); none where H = E.
    """

    def __init__(self, hidden_size: int, size: int, vocab_size: int) -> None:
        super().__init__(size, vocab_size)
        equal = hidden_size == size
        self.projection = nn.Identity() if equal else nn.Linear(hidden_size, size, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(..., H) -> logits (..., V)."""
        return super().forward(self.projection(features))


class MixtureHead(nn.Linear):
    """Mixture of softmaxes: Yang et al. 2018 (arXiv:1711.03953).

    Each of K parts reads a latent vector of its own; a prior, which depends on the features too,
    weighs their probabilities.
    """

    def __init__(self, hidden_size: int, size: int, vocab_size: int, parts: int) -> None:
        super().__init__(size, vocab_size)
        self.latent = nn.Linear(hidden_size, parts * size)
        self.prior = nn.Linear(hidden_size, parts)

    def forward(self, features: Tensor) -> Tensor:
        """(..., H) -> log-probabilities (..., V), which serve as logits."""
        latent = torch.tanh(self.latent(features))
        latent = latent.view(*latent.shape[:-1], -1, self.in_features)  # (..., K, E)
        parts = log_softmax(super().forward(latent))  # (..., K, V)
        prior = log_softmax(self.prior(features))  # (..., K)
        return torch.logsumexp(parts + prior.unsqueeze(-1), dim=-2)


class AdaptiveHead(ProjectedHead):
    """Adaptive softmax: Grave et al. 2017 (arXiv:1609.04309).

    The first tokens, by convention the frequent ones, are predicted at once with the ``tails`` of
    the others; a token of a tail within its tail, which most steps of training need not look at.
    Unlike in the paper the tails are as wide as the rest, so that weights can be tied.
    """

    def __init__(self, hidden_size: int, size: int, vocab_size: int) -> None:
        super().__init__(hidden_size, size, vocab_size)
        cuts = sorted({max(1, vocab_size // 15), max(2, vocab_size // 5)} & set(range(vocab_size)))
        self.shortlist = min([*cuts, vocab_size])
        self.tails = list(itertools.pairwise([*cuts, vocab_size]))
        self.clusters = nn.Linear(size, len(self.tails))

    def forward(self, features: Tensor) -> Tensor:
        """(..., H) -> log-probabilities (..., V), which serve as logits."""
        features = self.projection(features)
        root = log_softmax(self.root(features))
        parts = [root[..., : self.shortlist]]
        for index, (begin, end) in enumerate(self.tails):
            within = log_softmax(self.tail(features, begin, end))
            parts.append(within + root[..., self.shortlist + index, None])
        return torch.cat(parts, dim=-1)

    def root(self, features: Tensor) -> Tensor:
        """(..., E) -> logits of the shortlist and of the tails as wholes."""
        weight = torch.cat([self.weight[: self.shortlist], self.clusters.weight])
        bias = torch.cat([self.bias[: self.shortlist], self.clusters.bias])
        return functional.linear(features, weight, bias)

    def tail(self, features: Tensor, begin: int, end: int) -> Tensor:
        """(..., E) -> logits within a tail."""
        return functional.linear(features, self.weight[begin:end], self.bias[begin:end])

    def nll(self, features: Tensor, targets: Tensor, ignored: int) -> Tensor:
        """features (N, H), targets (N,) -> summed nll, without all the logits."""
        features = self.projection(features)
        in_root = targets.clone()
        total = features.new_zeros((), dtype=torch.float32)
        for index, (begin, end) in enumerate(self.tails):
            rows = ((targets >= begin) & (targets < end)).nonzero().squeeze(1)
            in_root[rows] = self.shortlist + index
            logits = self.tail(features[rows], begin, end).float()
            total = total + functional.cross_entropy(logits, targets[rows] - begin, reduction="sum")
        return total + functional.cross_entropy(
            self.root(features).float(), in_root, ignore_index=ignored, reduction="sum"
        )

    def begin_as(self, log_probs: Tensor) -> None:
        """Let the biases say these log-probabilities (V)."""
        self.bias.copy_(log_probs)
        for index, (begin, end) in enumerate(self.tails):
            self.clusters.bias[index] = log_probs[begin:end].logsumexp(0)


def log_softmax(logits: Tensor) -> Tensor:
    """Over the last dimension, in no less than float32."""
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return functional.log_softmax(logits, dim=-1, dtype=dtype)


def draw_affine(module: nn.Module, generator: torch.Generator) -> None:
    """Draw fresh weights for affine maps: Xavier for matrices, zeros for biases."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
