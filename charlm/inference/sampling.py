"""From logits to text: small pure functions, and ``generate``.

Filters take and give logits (B, V); what is ruled out becomes minus infinity.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.data.tokenizers import Tokenizer
from charlm.errors import ConfigError, TokenizerError
from charlm.inference.predictors import Predictor

__all__ = [
    "Sampling",
    "draw",
    "filter_logits",
    "generate",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen.

    ``temperature`` divides the logits, 0 takes the most probable; ``top_k`` keeps the k most
    probable, 0 all; ``top_p`` the smallest set that holds so much probability, 1 all; ``min_p``
    those at least so probable relative to the most probable, 0 all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        rules = (
            ("temperature", 0 <= self.temperature < math.inf, "0 or more"),
            ("top_k", self.top_k >= 0, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "more than 0 and at most 1"),
            ("min_p", 0 <= self.min_p <= 1, "between 0 and 1"),
        )
        for name, fine, allowed in rules:
            if not fine:
                option = "--" + name.replace("_", "-")
                raise ConfigError(
                    f"{option} must be {allowed}, got {getattr(self, name)}", f"change {option}"
                )


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest (Fan et al. 2018, arXiv:1805.04833); ties at the border stay."""
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    border = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < border, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of probability p or more (Holtzman et al. 2020, arXiv:1904.09751)."""
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    ordered = ordered.masked_fill(before >= p, -math.inf)
    return torch.empty_like(logits).scatter_(-1, order, ordered)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep what is at least p times as probable as the first (Nguyen et al., arXiv:2407.01082)."""
    if p <= 0:
        return logits
    border = logits.max(dim=-1, keepdim=True).values + math.log(p)
    return logits.masked_fill(logits < border, -math.inf)


def filter_logits(logits: Tensor, sampling: Sampling) -> Tensor:
    """Temperature, then top-k, top-p and min-p."""
    if sampling.temperature > 0:
        logits = logits / sampling.temperature
    logits = keep_top_k(logits, sampling.top_k)
    logits = keep_top_p(logits, sampling.top_p)
    return keep_min_p(logits, sampling.min_p)


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """logits (B, V) -> the next tokens (B,)."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    # The draw is made on the CPU, where it is the same for every device.
    probabilities = filter_logits(logits, sampling).double().softmax(dim=-1).cpu()
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)


def generate(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    length: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    seed: int = 1,
) -> Iterator[str]:
    """Yield the continuation of ``prompt`` piece by piece, whole characters only.

    Ends after ``length`` characters, before the first of the ``stop`` strings, or where the model
    ends the document.  The prompt follows a boundary and is not repeated.  Raises
    ``TokenizerError`` for a prompt with unknown characters or words, ``ConfigError`` for an empty
    stop string.
    """
    if "" in stop:
        raise ConfigError("--stop must not be empty", "leave it out, or give the text to end at")
    unknown = tokenizer.unknown(prompt)
    if unknown:
        raise TokenizerError(
            f"the prompt has what the model has never seen: {name_unknown(unknown)}",
            "leave it out, or say what to put there with --replace-unknown",
        )
    pieces = decode(model, tokenizer, prompt, sampling or Sampling(), seed)
    return cut(pieces, length, tuple(stop))


def decode(
    model: Predictor, tokenizer: Tokenizer, prompt: str, sampling: Sampling, seed: int
) -> Iterator[str]:
    """Yield text without end, but for the model's own."""
    device = model.device
    generator = torch.Generator().manual_seed(seed)
    banned = torch.zeros(model.vocab_size, device=device)
    if tokenizer.unknown_id is not None:
        banned[tokenizer.unknown_id] = -math.inf  # it stands for no text
    decoder, text = model.decoder(), tokenizer.stream()
    ids = torch.tensor([[tokenizer.boundary_id, *map(int, tokenizer.encode(prompt))]])
    for token in ids[0, 1:].tolist():
        text.push(token)  # half a character at the prompt's end is completed by what follows
    logits = decoder.read(ids.to(device))
    while True:
        token = draw(logits + banned, sampling, generator)
        if int(token) == tokenizer.boundary_id:
            yield text.flush()
            return
        yield text.push(int(token))
        logits = decoder.step(token.to(device))


def cut(pieces: Iterator[str], length: int, stop: Sequence[str]) -> Iterator[str]:
    """The first ``length`` characters, ending before the first stop string."""
    held, emitted = "", 0
    for piece in pieces:
        held += piece
        found = [held.find(text) for text in stop if text in held]
        if found:
            yield held[: min(found)][: length - emitted]
            return
        # What might be the beginning of a stop string waits.
        ready = held[: len(held) - overlap(held, stop)]
        if emitted + len(held) >= length:
            yield held[: length - emitted]
            return
        if ready:
            yield ready
            held, emitted = held[len(ready) :], emitted + len(ready)
    yield held


def overlap(text: str, stop: Sequence[str]) -> int:
    """The longest end of ``text`` with which some stop string begins."""
    longest = min(len(text), max((len(s) - 1 for s in stop), default=0))
    sizes = range(longest, 0, -1)
    return next((n for n in sizes if any(s.startswith(text[-n:]) for s in stop)), 0)


def name_unknown(unknown: dict[str, int], most: int = 8) -> str:
    """Unknown characters or words with how often they occur, the most frequent first."""
    ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{symbol!r} ({count}x)" for symbol, count in ordered[:most])
    return named + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def replace_symbols(tokenizer: Tokenizer, prompt: str, replacement: str | None) -> str:
    """``prompt`` with ``replacement`` for every unknown character; as it is if that is None.

    Raises ``TokenizerError`` if the replacement itself is unknown.
    """
    unknown = tokenizer.unknown(prompt)
    if replacement is None or not unknown:
        return prompt
    if tokenizer.unknown(replacement):
        raise TokenizerError(
            f"the model does not know the replacement {replacement!r} either",
            "choose another one; an empty one leaves the unknown out",
        )
    if tokenizer.kind == "word":
        return re.sub(r"\S+", lambda word: replacement if word[0] in unknown else word[0], prompt)
    return "".join(replacement if char in unknown else char for char in prompt)
