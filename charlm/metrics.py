"""How well a text was predicted: sums that add up, and the figures that follow from them.

Inside everything is in nats (natural logarithms); units appear only in the names of the figures.
"""

import math
from dataclasses import dataclass, fields

__all__ = ["Score"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Summed negative log-likelihood of a text, and what it is counted in.  Scores add.

    ``nll`` is in nats and covers the ``tokens`` tokens of the text; ``chars``, ``bytes`` (UTF-8,
    of the original text) and ``words`` (runs of non-space) are counted on the text, never on
    tokens.  ``oov`` tokens were scored as the unknown symbol and hold ``oov_nll`` of ``nll``.
    ``boundaries`` ends of documents hold ``boundary_nll``, which is in no other figure.

    The ``block_*`` fields sum over consecutive blocks of tokens, with n_b the nll and t_b the
    tokens of block b; they give the standard error, which a sum over single tokens would
    underestimate because neighbouring tokens are not independent.
    """

    nll: float = 0.0
    tokens: int = 0
    chars: int = 0
    bytes: int = 0
    words: int = 0
    oov: int = 0
    oov_nll: float = 0.0
    boundaries: int = 0
    boundary_nll: float = 0.0
    blocks: int = 0
    block_nll_squares: float = 0.0
    block_nll_tokens: float = 0.0
    block_token_squares: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    @property
    def mean_nll(self) -> float:
        """Nats per token; NaN for no tokens."""
        return ratio(self.nll, self.tokens)

    @property
    def mean_nll_se(self) -> float:
        """Standard error of ``mean_nll`` in nats; NaN for fewer than two blocks.

        The ratio estimator over blocks (Cochran, Sampling Techniques, 1977, section 6.4).
        """
        if self.blocks < 2:
            return math.nan
        rate = self.mean_nll
        squares = (
            self.block_nll_squares
            - 2 * rate * self.block_nll_tokens
            + rate * rate * self.block_token_squares
        )
        # Rounding may leave a tiny negative sum where all blocks agree.
        spread = max(squares, 0.0) * self.blocks / (self.blocks - 1)
        return math.sqrt(spread) / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(nll / tokens): per token, so only comparable for the same tokenizer."""
        return exponential(self.mean_nll)

    @property
    def perplexity_se(self) -> float:
        """Standard error of ``perplexity``, to first order."""
        return self.perplexity * self.mean_nll_se

    @property
    def perplexity_without_oov(self) -> float:
        """Perplexity over the tokens that the vocabulary knows, each given all its context."""
        return exponential(ratio(self.nll - self.oov_nll, self.tokens - self.oov))

    @property
    def char_perplexity(self) -> float:
        """exp(nll / chars)."""
        return exponential(ratio(self.nll, self.chars))

    @property
    def word_perplexity(self) -> float:
        """exp(nll / words)."""
        return exponential(ratio(self.nll, self.words))

    @property
    def bpc(self) -> float:
        """Bits per character of the text."""
        return ratio(self.nll, self.chars) / math.log(2)

    @property
    def bpb(self) -> float:
        """Bits per byte of the text in UTF-8: comparable across tokenizers and with compressors."""
        return ratio(self.nll, self.bytes) / math.log(2)


def ratio(numerator: float, denominator: float) -> float:
    """``numerator / denominator``, NaN for an empty denominator."""
    return numerator / denominator if denominator > 0 else math.nan


def exponential(nats: float) -> float:
    """exp that overflows to infinity instead of raising."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
