"""What lowers the logits of tokens that the text so far would repeat: small pure functions.

Each takes logits (B, V) and the last tokens (B, N) of each text, and gives logits (B, V).
Log-probabilities are logits too.  The boundary is never penalised: only the model ends a text.
"""

import math

import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID, GenerationConfig

__all__ = ["count_tokens", "match_lengths", "penalize", "penalize_counts", "penalize_matches"]

LARGEST = 1e30
"""Largest power of DRY's base: beyond it a penalty is as good as a ban, and float32 ends."""

LONGEST_MATCH = 100
"""Tokens of a repetition that are counted at most: a longer one is penalised like this one."""


def count_tokens(tokens: Tensor, vocab_size: int) -> Tensor:
    """tokens (B, N) -> how often each occurs (B, V), the boundary never."""
    counts = torch.zeros(len(tokens), vocab_size)
    counts.scatter_add_(1, tokens, torch.ones(tokens.shape))
    counts[:, BOUNDARY_ID] = 0
    return counts


def penalize_counts(
    log_probs: Tensor, counts: Tensor, repetition: float, presence: float, frequency: float
) -> Tensor:
    """Lower tokens by their ``counts`` (B, V): times ``repetition`` (Keskar et al. 2019,
    arXiv:1909.05858), less ``presence``, less ``frequency`` for each time.
    """
    seen = counts > 0
    log_probs = torch.where(seen, log_probs * repetition, log_probs)
    return log_probs - presence * seen - frequency * counts


def match_lengths(tokens: Tensor, most: int, breakers: Tensor | None = None) -> Tensor:
    """tokens (B, N) -> how many tokens before each position equal the last ones (B, N), at most
    ``most``; a match does not reach over the boundary or over one of ``breakers`` (V,), bool.
    """
    lanes, count = tokens.shape
    lengths = torch.zeros(lanes, count, dtype=torch.int64)
    same = torch.ones(lanes, count, dtype=torch.bool)
    for back in range(1, min(most, count - 1) + 1):
        last = tokens[:, count - back, None]  # (B, 1)
        ends = last == BOUNDARY_ID if breakers is None else (last == BOUNDARY_ID) | breakers[last]
        # Of position i the token before, as far back: positions that have none drop out.
        same = same[:, 1:] & (tokens[:, :-back] == last) & ~ends
        if not same.any():
            break
        lengths[:, back:] += same
    return lengths


def longest_matches(tokens: Tensor, lengths: Tensor, vocab_size: int) -> Tensor:
    """For each token the longest repetition that it would go on (B, V), -1 where it never came;
    ``lengths`` (B, N) are those of ``match_lengths``.  The boundary goes on none.
    """
    longest = torch.full((len(tokens), vocab_size), -1, dtype=torch.int64)
    longest.scatter_reduce_(1, tokens, lengths, "amax")
    longest[:, BOUNDARY_ID] = -1
    return longest


def exclude_repeated(logits: Tensor, longest: Tensor, n: int) -> Tensor:
    """Rule out tokens that would complete n tokens in a row that the text has already (Paulus et
    al. 2018, arXiv:1705.04304), by their ``longest`` matches (B, V), unless nothing would be left.
    """
    fewer = logits.masked_fill(longest >= n - 1, -math.inf)
    return torch.where((fewer > -math.inf).any(dim=-1, keepdim=True), fewer, logits)


def penalize_matches(
    logits: Tensor, longest: Tensor, multiplier: float, base: float, allowed: int
) -> Tensor:
    """Lower a token that would go on a repetition of n >= ``allowed`` tokens by
    multiplier * base^(n - allowed) (DRY, by p-e-w 2024); ``longest`` (B, V) holds each n.
    """
    penalty = multiplier * torch.pow(base, (longest - allowed).clamp(min=0)).clamp(max=LARGEST)
    return torch.where(longest >= allowed, logits - penalty, logits)


def penalize(
    log_probs: Tensor, tokens: Tensor, config: GenerationConfig, breakers: Tensor | None = None
) -> Tensor:
    """The counted penalties, then DRY, then the n-grams that must not be repeated.

    ``tokens`` (B, N) are all of the text so far, ``breakers`` (V,) where DRY's matches end.
    """
    tokens = tokens[:, -config.penalty_window :] if config.penalty_window else tokens
    factors = config.repetition_penalty, config.presence_penalty, config.frequency_penalty
    if factors != (1, 0, 0):
        log_probs = penalize_counts(log_probs, count_tokens(tokens, log_probs.shape[-1]), *factors)
    size = log_probs.shape[-1]
    if config.dry_multiplier > 0:
        longest = longest_matches(tokens, match_lengths(tokens, LONGEST_MATCH, breakers), size)
        log_probs = penalize_matches(
            log_probs, longest, config.dry_multiplier, config.dry_base, config.dry_allowed_length
        )
    if config.no_repeat_ngram > 0:
        longest = longest_matches(tokens, match_lengths(tokens, config.no_repeat_ngram - 1), size)
        log_probs = exclude_repeated(log_probs, longest, config.no_repeat_ngram)
    return log_probs
