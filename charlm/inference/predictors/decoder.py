"""One step of time after the other, weights prepared once: what sampling stands on."""

import copy
import math

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.inference.generation.filters import Sampling
from charlm.model import native
from charlm.model.language_model import LanguageModel, State
from charlm.model.likelihood import evaluating
from charlm.model.native.stack import BITS, NativeStack, Rule, StackWeights

__all__ = ["Decoder", "NativeDecoder", "open_decoder"]

LARGEST_TABLE = 1 << 25
"""Most numbers in the input table (128 MiB of float32)."""

LARGEST_BLOCK = 64
"""Most tokens that are written before somebody sees them."""

BLOCK_WORK = 1 << 28
"""The same in bytes of weights times lanes: some milliseconds."""


def open_decoder(
    model: LanguageModel, lanes: int = 1, precision: str = "float32"
) -> "Decoder | NativeDecoder":
    """The fastest decoder of a model, its weights kept in a precision of ``BITS``.

    Raises ``ConfigError`` where only torch's decodes the model and another precision is wanted.
    """
    kernels, weights = native.kernels(), plain_weights(model)
    if kernels is not None and weights is not None:
        return NativeDecoder(NativeStack(kernels, weights, lanes, BITS[precision]))
    if precision != "float32":
        why = native.status() if kernels is None else "it decodes LSTM layers on the CPU"
        raise ConfigError(
            f"--precision {precision} needs the native decoder ({why})", "leave --precision out"
        )
    return Decoder(model, lanes)


def plain_weights(model: LanguageModel) -> StackWeights | None:
    """The weights of a plain stack of LSTM layers in float32 on the CPU; ``None`` for all else."""
    if not model.plain:
        return None
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in model.parameters()):
        return None
    parts = [(x.weight_ih, x.weight_hh, x.bias) for x in model.recurrent_layers()]
    layers = [tuple(part.detach() for part in layer) for layer in parts]
    head = model.head
    return StackWeights(
        model.embedding.weight.detach(), layers, head.weight.detach(), head.bias.detach()
    )


class NativeDecoder:
    """Reads and writes tokens natively; equal to the model's forward.

    The weights are those at its making.  What a lane holds does not depend on the others.
    """

    def __init__(self, stack: NativeStack) -> None:
        self.stack = stack

    @property
    def block(self) -> int:
        """How many tokens to write at a time."""
        job = self.stack.job
        return max(1, min(LARGEST_BLOCK, BLOCK_WORK // int(job.size * job.lanes)))

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> logits (B, V) after the last; a prompt, read at once."""
        return self.stack.read(tokens).clone()

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> logits (B, V) of what follows; advances the state."""
        return self.stack.read(tokens[:, None]).clone()

    def write(self, chances: Tensor, banned: Tensor, sampling: Sampling) -> Tensor:
        """Draw and read tokens (B, T) that follow what was read, by ``chances`` (B, T).

        ``banned`` (V) is added to the logits.  -1 where these are not numbers.
        """
        min_p = math.log(sampling.min_p) if sampling.min_p > 0 else -math.inf
        top_k = min(sampling.top_k, self.stack.vocab_size)
        rule = Rule(sampling.temperature, top_k, sampling.top_p, min_p)
        return self.stack.write(chances, banned, rule)

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        self.stack.select(lanes)

    def copy(self, lanes: int) -> "NativeDecoder":
        """Another one that goes on from here, its one lane taken several times."""
        stack = copy.copy(self.stack)
        stack.select(torch.zeros(lanes, dtype=torch.int64))
        return NativeDecoder(stack)


class Decoder:
    """Reads tokens into a state and gives the logits of the next, by torch, for any model.

    In a plain stack the first layer's input product depends on the token alone, so it is computed
    once for the whole vocabulary and then looked up, while that table (V, G*H) stays small.
    """

    def __init__(self, model: LanguageModel, lanes: int = 1) -> None:
        self.model = model
        self.layers = model.recurrent_layers()
        self.table: Tensor | None = None
        with evaluating(self.model):
            first = self.layers[0]
            if model.plain and model.vocab_size * first.bias.numel() <= LARGEST_TABLE:
                self.table = first.project(model.embedding.weight)
            self.state: State = model.zero_state(lanes)

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> logits (B, V) of what follows; advances the state."""
        if self.table is None:
            return self.read(tokens[:, None])
        with torch.inference_mode():
            state = [self.layers[0].step(self.table[tokens], self.state[0])]
            for layer, before in zip(self.layers[1:], self.state[1:], strict=True):
                state.append(layer.step(layer.project(state[-1][0]), before))
            self.state = tuple(state)
            logits: Tensor = self.model.head(state[-1][0])
            return logits

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> logits (B, V) after the last; a prompt, read at once."""
        with evaluating(self.model):
            features, self.state = self.model.features(tokens, self.state)
            logits: Tensor = self.model.head(features[:, -1])
            return logits

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        with torch.inference_mode():
            self.state = tuple(tuple(part[lanes] for part in layer) for layer in self.state)
