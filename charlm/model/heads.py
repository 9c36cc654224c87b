"""From the last layer's hidden states to logits: heads beside the plain linear one.

Letters: H hidden size, E size of the output weights, V vocabulary, K parts of a mixture, N rows.
Each head has ``weight`` (V, E), which may be the embedding's, and ``bias`` (V).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from charlm.model.affine import Linear

__all__ = ["AdaptiveHead", "MixtureHead", "ProjectedHead", "widen"]

SHARES = (32, 10, 4, 2)
"""The tails of an adaptive softmax begin after 1/32, 1/10, 1/4 and 1/2 of the vocabulary.  With
the word frequencies of WikiText-2 the matrix products cost half as much as with cuts after 1/15
and 1/5; further cuts gain little."""


class ProjectedHead(Linear):
    """A linear head with a projection H -> E, so that it can use a smaller embedding's weights.

    Inan, Khosravi and Socher 2017 (arXiv:1611.01462).  There is no projection where H = E.
    """

    def __init__(self, hidden_size: int, size: int, vocab_size: int) -> None:
        super().__init__(size, vocab_size)
        equal = hidden_size == size
        self.projection = nn.Identity() if equal else Linear(hidden_size, size, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(..., H) -> logits (..., V)."""
        return super().forward(self.projection(features))


class MixtureHead(Linear):
    """Mixture of softmaxes: Yang et al. 2018 (arXiv:1711.03953).

    Each of K parts is a softmax over a latent vector of its own.  Their probabilities are averaged
    with weights, the prior, that depend on the features too.
    """

    def __init__(self, hidden_size: int, size: int, vocab_size: int, parts: int) -> None:
        super().__init__(size, vocab_size)
        self.latent = Linear(hidden_size, parts * size)
        self.prior = Linear(hidden_size, parts)

    def forward(self, features: Tensor) -> Tensor:
        """(..., H) -> log-probabilities (..., V), which serve as logits."""
        parts = log_softmax(self.parts(features))
        return torch.logsumexp(parts + self.log_prior(features).unsqueeze(-1), dim=-2)

    def parts(self, features: Tensor) -> Tensor:
        """(..., H) -> the logits of each part (..., K, V)."""
        latent = torch.tanh(self.latent(features))
        return super().forward(
            latent.view(*latent.shape[:-1], self.prior.out_features, self.in_features)
        )

    def log_prior(self, features: Tensor) -> Tensor:
        """(..., H) -> log-probabilities (..., K) of the parts."""
        return log_softmax(self.prior(features))

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """features (N, H), targets (N,) -> nll (N,) in nats; only the targets are mixed."""
        parts = widen(self.parts(features))  # (N, K, V)
        each = targets.repeat_interleave(parts.shape[1])
        nll = functional.cross_entropy(parts.flatten(0, 1), each, reduction="none")
        return -torch.logsumexp(self.log_prior(features) - nll.view(parts.shape[:2]), dim=-1)


class AdaptiveHead(ProjectedHead):
    """Adaptive softmax: Grave et al. 2017 (arXiv:1609.04309).

    The root predicts the first tokens of the vocabulary, by convention the frequent ones, and
    which of the ``tails`` holds any other token; a softmax within the tail predicts that token.
    So training computes the logits of a tail only where a token of it comes.  Unlike in the paper
    the tails have the size E of the root, so that weights can be tied.
    """

    def __init__(self, hidden_size: int, size: int, vocab_size: int) -> None:
        super().__init__(hidden_size, size, vocab_size)
        cuts = sorted({max(1, vocab_size // share) for share in SHARES} & set(range(vocab_size)))
        self.shortlist = min([*cuts, vocab_size])
        self.tails = list(itertools.pairwise([*cuts, vocab_size]))
        self.clusters = Linear(size, len(self.tails))

    def forward(self, features: Tensor) -> Tensor:
        """(..., H) -> log-probabilities (..., V), which serve as logits."""
        features = self.projection(features)
        root, *tails = self.parts()
        whole = log_softmax(functional.linear(features, *root))
        found = [whole[..., : self.shortlist]]
        for index, tail in enumerate(tails):
            within = log_softmax(functional.linear(features, *tail))
            found.append(within + whole[..., self.shortlist + index, None])
        return torch.cat(found, dim=-1)

    def parts(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases of the root, then of each tail.

        The root has a row for each token of the shortlist and one for each tail.
        """
        # One split for all of them: its gradient is one concatenation.
        sizes = [self.shortlist, *(end - begin for begin, end in self.tails)]
        weights, biases = list(torch.split(self.weight, sizes)), list(torch.split(self.bias, sizes))
        weights[0] = torch.cat([weights[0], self.clusters.weight])
        biases[0] = torch.cat([biases[0], self.clusters.bias])
        return list(zip(weights, biases, strict=True))

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """features (N, H), targets (N,) -> nll (N,) in nats, without all the logits."""
        features = self.projection(features)
        root, *tails = self.parts()
        in_root, within = targets.clone(), []
        for index, (tail, (begin, end)) in enumerate(zip(tails, self.tails, strict=True)):
            rows = ((targets >= begin) & (targets < end)).nonzero().squeeze(1)
            in_root[rows] = self.shortlist + index
            logits = widen(functional.linear(features[rows], *tail))
            nll = functional.cross_entropy(logits, targets[rows] - begin, reduction="none")
            within.append((rows, nll))
        logits = widen(functional.linear(features, *root))
        losses = functional.cross_entropy(logits, in_root, reduction="none")
        for rows, nll in within:
            losses = losses.index_add(0, rows, nll)
        return losses

    def begin_as(self, log_probs: Tensor) -> None:
        """Set the biases so that weights of zero predict these log-probabilities (V)."""
        self.bias.copy_(log_probs)
        for index, (begin, end) in enumerate(self.tails):
            self.clusters.bias[index] = log_probs[begin:end].logsumexp(0)


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over the last dimension, computed in no less than float32."""
    return functional.log_softmax(widen(logits), dim=-1)


def widen(logits: Tensor) -> Tensor:
    """The logits in float32 if they have fewer bits, else as they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
