"""A plain stack of LSTM layers and its head, packed once and read token by token.

Letters: B lanes, T steps, V vocabulary, E embedding size, I input size, H hidden size, K depth of
a product.
"""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from charlm.model.native.library import (
    Kernels,
    Rule,
    Stack,
    StackLevel,
    addresses,
    pack,
    pack_gates,
)

__all__ = ["BITS", "NativeStack", "Rule", "StackWeights"]

BITS = {"float32": 32, "bfloat16": 16, "int8": 8}
"""How weights are kept -> bits of each.  States and sums are float32 in any case."""

LARGEST_TABLE = 1024
"""Most tokens for which the first layer's input product is computed beforehand: a product for each
token of the vocabulary has to be won back, one read of those weights less for each token read."""


class StackWeights(NamedTuple):
    """What the stack computes with: float32, on the CPU."""

    embedding: Tensor  # (V, E)
    layers: Sequence[tuple[Tensor, ...]]  # weight_ih (4H, I), weight_hh (4H, H), bias (4H)
    head: Tensor  # (V, H)
    head_bias: Tensor  # (V)


class Packed(NamedTuple):
    """The weights of a layer or of the head in the order of the product's reads."""

    depth: int  # K
    panels: Tensor
    scales: Tensor | None  # of whole numbers, one for each row of the matrix
    start: Tensor  # bias, or a row for each token


class NativeStack:
    """Packed weights, and the state of B lanes; starts from zeros."""

    def __init__(self, kernels: Kernels, weights: StackWeights, lanes: int, bits: int = 32) -> None:
        self.kernels, self.bits = kernels, bits
        self.vocab_size, self.hidden_size = weights.head.shape
        self.embedding: Tensor | None = weights.embedding.contiguous()
        matrices = [torch.cat(layer[:2], dim=1) for layer in weights.layers]  # (4H, I + H)
        starts = [layer[2] for layer in weights.layers]
        if self.vocab_size <= LARGEST_TABLE:
            first, matrices[0], bias = weights.layers[0]
            starts[0] = torch.nn.functional.linear(self.embedding, first, bias)  # (V, 4H)
            self.embedding = None
        self.levels = [self.pack(*each, gates=True) for each in zip(matrices, starts, strict=True)]
        self.levels.append(self.pack(weights.head, weights.head_bias, gates=False))
        self.inputs = [torch.zeros(lanes, level.depth) for level in self.levels]
        self.cells = [torch.zeros(lanes, self.hidden_size) for _ in weights.layers]
        self.logits = torch.zeros(lanes, self.vocab_size)
        self.job = self.bind()

    def pack(self, matrix: Tensor, start: Tensor, *, gates: bool) -> Packed:
        """Round a matrix (rows, K) as wanted and lay it out in panels."""
        scales, width = None, self.kernels.width
        if self.bits == 8:
            scales = (matrix.abs().amax(dim=1) / 127).clamp_min(1e-30)
            matrix = (matrix / scales[:, None]).round()
        panels = pack_gates(matrix, width) if gates else pack(matrix.T, width)
        if self.bits < 32:
            panels = pack_words(panels.view(-1, 4, width), self.bits)
        return Packed(matrix.shape[1], panels, scales, start.contiguous())

    def bind(self) -> Stack:
        """The job as the kernel takes it; the tensors it names have to stay where they are."""
        lanes = len(self.logits)
        self.scratch = torch.empty(lanes, 2, self.vocab_size + self.kernels.width)
        self.table = levels = (
            StackLevel * len(self.levels)
        )()  # an address alone keeps nothing alive
        for place, (packed, inputs) in enumerate(zip(self.levels, self.inputs, strict=True)):
            given = {"weights": packed.panels, "start": packed.start, "inputs": inputs}
            if packed.scales is not None:
                given["scales"] = packed.scales
            if place < len(self.cells):
                given["cells"] = self.cells[place]
            stride = packed.start.shape[1] if packed.start.dim() == 2 else 0
            levels[place] = StackLevel(packed.depth, stride, **addresses(given))
        return Stack(
            self.kernels.team(lanes),
            layers=len(self.cells),
            lanes=lanes,
            hidden=self.hidden_size,
            vocab=self.vocab_size,
            bits=self.bits,
            size=sum(level.panels.nbytes for level in self.levels),
            levels=ctypes.addressof(levels),
            embedding=None if self.embedding is None else self.embedding.data_ptr(),
            logits=self.logits.data_ptr(),
            scratch=self.scratch.data_ptr(),
        )

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> logits (B, V) after the last: overwritten by the next call."""
        tokens = tokens.contiguous()
        self.job.writes = 0
        self.run(tokens)
        return self.logits

    def write(self, chances: Tensor, banned: Tensor, rule: Rule) -> Tensor:
        """Choose tokens (B, T), each by one of the ``chances`` (B, T) between 0 and 1, and read
        them; -1 where the logits are not numbers.  ``banned`` (V) is added to the logits."""
        chances = chances.contiguous()
        tokens = torch.empty(chances.shape, dtype=torch.int64)
        self.job.writes, self.job.rule = 1, rule
        self.job.chances, self.job.banned = chances.data_ptr(), banned.data_ptr()
        self.run(tokens)
        return tokens

    def run(self, tokens: Tensor) -> None:
        """Take so many steps, with as many threads as torch takes now.

        Raises ``IndexError`` for a token that is none.
        """
        job = self.job
        job.tokens, job.steps = tokens.data_ptr(), tokens.shape[1]
        job.team = self.kernels.team(job.lanes)
        if self.kernels.decode(job):
            raise IndexError(f"a token is not in the vocabulary of {self.vocab_size}")

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order."""
        self.inputs = [part[lanes] for part in self.inputs]
        self.cells = [part[lanes] for part in self.cells]
        self.logits = self.logits[lanes]
        self.job = self.bind()


def pack_words(vectors: Tensor, bits: int) -> Tensor:
    """Vectors (N, 4, W) -> words (N, 4 * bits / 32, W), the first vector in the lowest bits."""
    numbers = vectors.bfloat16().view(torch.int16) if bits == 16 else vectors
    parts = numbers.int().view(len(vectors), -1, 32 // bits, vectors.shape[2])
    words = torch.zeros_like(parts[:, :, 0])
    for place in range(32 // bits):
        words |= (parts[:, :, place] & ((1 << bits) - 1)) << bits * place
    return words
