"""Writing on a GPU, many tokens at a launch: CUDA graphs of the decoder's steps.

One token of a small model is some dozens of kernels, each shorter than the launching of it.  So
``BLOCK`` steps, draws included, are captured once and then replayed.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from charlm.inference.generation.filters import Sampling, choose
from charlm.inference.predictors.decoder import Decoder
from charlm.model.devices import uses_graphs

__all__ = ["BLOCK", "BlockWriter", "open_writer"]

BLOCK = 32
"""Tokens of a replay."""

Body = Callable[[], None]


def capture(body: Body, changed: list[Tensor]) -> Body:
    """What repeats ``body`` at one launch; ``changed`` is as before afterwards."""
    before = [tensor.clone() for tensor in changed]
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        body()  # libraries set themselves up at their first call, which cannot be captured
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    for tensor, old in zip(changed, before, strict=True):
        tensor.copy_(old)
    return graph.replay


class BlockWriter:
    """Goes on from where a decoder is, ``BLOCK`` tokens at a time; all tensors stay in place."""

    def __init__(
        self,
        decoder: Decoder,
        logits: Tensor,
        banned: Tensor,
        sampling: Sampling,
        capture: Callable[[Body, list[Tensor]], Body] = capture,
    ) -> None:
        """logits (B, V) are those of the next token; ``banned`` (V) is added to all."""
        self.decoder = decoder
        self.sampling = sampling
        self.banned = banned.to(logits.device)
        self.logits = logits.clone()
        self.state = tuple(tuple(part.clone() for part in layer) for layer in decoder.state)
        self.chances = logits.new_zeros(len(logits), BLOCK, dtype=torch.float64)
        self.tokens = torch.zeros_like(self.chances, dtype=torch.long)
        changed = [self.logits, *(part for layer in self.state for part in layer)]
        with torch.inference_mode():
            self.replay = capture(self.run, changed)

    def run(self) -> None:
        """Draw and read ``BLOCK`` tokens."""
        self.decoder.state, logits = self.state, self.logits
        for step in range(BLOCK):
            tokens = choose(logits + self.banned, self.sampling, self.chances[:, step])
            self.tokens[:, step] = tokens
            logits = self.decoder.step(tokens.clamp(min=0))
        self.logits.copy_(logits)
        for kept, layer in zip(self.state, self.decoder.state, strict=True):
            for part, after in zip(kept, layer, strict=True):
                part.copy_(after)

    def write(self, chances: Tensor) -> Tensor:
        """The tokens (B, BLOCK) that chances (B, BLOCK) draw; -1 where there is no choice."""
        with torch.inference_mode():
            self.chances.copy_(chances)
            self.replay()
            return self.tokens.cpu()


def open_writer(
    decoder: Decoder, logits: Tensor, banned: Tensor, sampling: Sampling
) -> BlockWriter | None:
    """The writer that goes on from a decoder; ``None`` where nothing can be captured."""
    if not uses_graphs(logits.device):
        return None
    before = decoder.state
    try:
        return BlockWriter(decoder, logits, banned, sampling)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        warnings.warn(f"writing without CUDA graphs: {reason}", stacklevel=2)
        decoder.state = before
        return None
