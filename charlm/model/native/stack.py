"""Decoding: a stack of plain LSTM layers and its head, packed once, advanced token by token.

Letters: B lanes, T steps, V vocabulary, E embedding size, I input size, H hidden size, K depth of
a product, W floats in a vector, N vectors of a matrix.
"""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from charlm.model.native.library import (
    Kernels,
    Stack,
    StackLevel,
    addresses,
    pack,
    pack_gates,
)
from charlm.model.native.sampling import LaneTexts, SamplingRule

__all__ = ["BITS", "NativeStack", "StackWeights"]

BITS = {"float32": 32, "bfloat16": 16, "int8": 8}
"""Precision of the weights -> bits of each.  States and sums are float32 in any case."""

LARGEST_TABLE = 1024
"""Largest vocabulary for which the first layer's input product is computed for every token when
the stack is made.  Each product costs as much time as it saves when its token comes once."""


class StackWeights(NamedTuple):
    """The parameters of a model that a stack computes with: float32, on the CPU."""

    embedding: Tensor  # (V, E)
    layers: Sequence[tuple[Tensor, ...]]  # weight_ih (4H, I), weight_hh (4H, H), bias (4H)
    head: Tensor  # (V, H)
    head_bias: Tensor  # (V)


class Packed(NamedTuple):
    """The weights of a layer or of the head, in the order in which products read them."""

    depth: int  # K
    panels: Tensor
    scales: Tensor | None  # with weights of 8 bits: the factor of each row of the matrix
    start: Tensor  # what is added to the product: a bias, or a row for each token


class NativeStack:
    """Packed weights and the state of B lanes, which is zeros at first.

    ``bits`` is one of ``BITS``; copies share the packed weights.
    """

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
        """Round a matrix (rows, K) to ``bits`` and lay it out in panels."""
        scales, width = None, self.kernels.width
        if self.bits == 8:
            scales = (matrix.abs().amax(dim=1) / 127).clamp_min(1e-30)
            matrix = (matrix / scales[:, None]).round()
        panels = pack_gates(matrix, width) if gates else pack(matrix.T, width)
        if self.bits < 32:
            panels = pack_words(panels.view(-1, 4, width), self.bits)
        return Packed(matrix.shape[1], panels, scales, start.contiguous())

    def bind(self) -> Stack:
        """The arguments of the kernel; the tensors whose addresses they hold must not move."""
        lanes = len(self.logits)
        self.scratch = torch.empty(lanes, 3, self.vocab_size + self.kernels.width)
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
        """Advance by tokens (B, T), T > 0; returns the logits (B, V) of the token that follows.

        The next call overwrites them.  Raises ``IndexError`` for a token outside the vocabulary.
        """
        tokens = tokens.contiguous()
        self.job.writes = 0
        self.run(tokens)
        return self.logits

    def write(
        self,
        uniforms: Tensor,
        logit_bias: Tensor,
        rule: SamplingRule,
        texts: LaneTexts | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sample tokens (B, T) one after the other and advance by them; returns the tokens, and
        their log-probabilities (B, T) in nats before bias and filters.

        Each takes one of ``uniforms`` (B, T), float64 from 0 to below 1.  ``logit_bias`` (V) is
        added to the logits.  ``texts`` are what the rule asks for, and take the tokens in.  A token
        is -1 where the logits are NaN or infinite.
        """
        uniforms = uniforms.contiguous()
        tokens = torch.empty(uniforms.shape, dtype=torch.int64)
        log_probs = torch.empty(uniforms.shape)
        self.job.log_probs = log_probs.data_ptr()
        self.job.writes, self.job.rule, self.job.texts = 1, rule, texts or LaneTexts()
        self.job.uniforms, self.job.logit_bias = uniforms.data_ptr(), logit_bias.data_ptr()
        self.run(tokens)
        return tokens, log_probs

    def run(self, tokens: Tensor) -> None:
        """Advance by the steps of tokens (B, T), which are read or filled, on torch's threads.

        Raises ``IndexError`` for a token outside the vocabulary.
        """
        job = self.job
        job.tokens, job.steps = tokens.data_ptr(), tokens.shape[1]
        job.team = self.kernels.team(job.lanes)
        if self.kernels.decode(job):
            raise IndexError(f"a token is not in the vocabulary of {self.vocab_size}")

    def set_state(self, state: Sequence[Sequence[Tensor]]) -> None:
        """Go on from the hidden and cell states (B, H) of each layer; the logits are unknown."""
        for inputs, cells, (hidden, cell) in zip(self.inputs, self.cells, state, strict=False):
            inputs[:, -self.hidden_size :] = hidden
            cells.copy_(cell)

    def join(self, others: Sequence["NativeStack"]) -> None:
        """Add the lanes of stacks with equal weights after the own ones."""
        if not others:
            return
        every = [self, *others]
        self.inputs = [torch.cat(parts) for parts in zip(*(s.inputs for s in every), strict=True)]
        self.cells = [torch.cat(parts) for parts in zip(*(s.cells for s in every), strict=True)]
        self.logits = torch.cat([stack.logits for stack in every])
        self.job = self.bind()

    def select(self, lanes: Tensor) -> None:
        """Keep the states of these lanes (b,), in this order; a lane may come several times."""
        self.inputs = [part[lanes] for part in self.inputs]
        self.cells = [part[lanes] for part in self.cells]
        self.logits = self.logits[lanes]
        self.job = self.bind()


def pack_words(vectors: Tensor, bits: int) -> Tensor:
    """Interleave vectors (N, 4, W) in words of 32 bits (N, 4 * bits / 32, W).

    The first vector stands in the lowest bits of a word.
    """
    numbers = vectors.bfloat16().view(torch.int16) if bits == 16 else vectors
    parts = numbers.int().view(len(vectors), -1, 32 // bits, vectors.shape[2])
    words = torch.zeros_like(parts[:, :, 0])
    for place in range(32 // bits):
        words |= (parts[:, :, place] & ((1 << bits) - 1)) << bits * place
    return words
