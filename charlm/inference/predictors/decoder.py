"""A model step by step in B lanes, with the log-probabilities of what follows at hand.

``open_decoder`` gives the compiled decoder where there is one, and else one for any predictor.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.errors import ConfigError
from charlm.inference.predictors.mixture import Mixture, mix_log_probs
from charlm.inference.predictors.predictor import Predictor, State
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from charlm.model.language_model import LanguageModel
from charlm.model.native.sampling import LaneTexts, rule_of
from charlm.model.native.stack import BITS, NativeStack, StackWeights

__all__ = ["CompiledDecoder", "Decoder", "open_decoder"]

LARGEST_BLOCK = 64
"""Most tokens that are sampled in one call of the compiled decoder."""

BLOCK_WORK = 1 << 28
"""Most bytes of weights times lanes that one such call reads: some milliseconds."""


class Decoder:
    """Reads tokens with any predictor; ``log_probs`` (B, V) are those of what follows."""

    block = 1
    """How many tokens to sample at a time."""

    def __init__(self, model: Predictor, state: State) -> None:
        self.model, self.state = model, state
        self.log_probs = torch.empty(0)

    def advance(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> log-probabilities (B, V) of what follows the last."""
        tokens = tokens.to(self.model.device)
        steps = max(1, self.model.chunk // len(tokens))
        for begin in range(0, tokens.shape[1], steps):
            part = tokens[:, begin : begin + steps]
            log_probs, self.state = self.model.advance(part, self.state)
        self.log_probs = log_probs[:, -1]
        return self.log_probs

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        lanes = lanes.to(self.model.device)
        self.state = self.model.select(self.state, lanes)
        if len(self.log_probs):
            self.log_probs = self.log_probs[lanes]

    def fork(self, lanes: Tensor) -> "Decoder":
        """Another decoder that goes on from here with these lanes (b,)."""
        other = copy.copy(self)
        other.select(lanes)
        return other


class CompiledDecoder(Decoder):
    """Reads and samples tokens in C; equal to the network's ``advance`` up to rounding.

    Its weights are those of the network when it was made.  The numbers of a lane do not depend on
    the other lanes.
    """

    def __init__(self, stack: NativeStack) -> None:
        self.stack = stack
        self.known: Tensor | None = None

    @property
    def log_probs(self) -> Tensor:  # type: ignore[override]
        """(B, V) of what follows."""
        return self.stack.logits.log_softmax(dim=-1) if self.known is None else self.known

    @property
    def block(self) -> int:  # type: ignore[override]
        """How many tokens to sample at a time."""
        job = self.stack.job
        return max(1, min(LARGEST_BLOCK, BLOCK_WORK // int(job.size * job.lanes)))

    def advance(self, tokens: Tensor) -> Tensor:
        """See ``Decoder``."""
        self.known = self.stack.read(tokens).log_softmax(dim=-1)
        return self.known

    def select(self, lanes: Tensor) -> None:
        """See ``Decoder``."""
        self.known = None
        self.stack.select(lanes)

    def fork(self, lanes: Tensor) -> "CompiledDecoder":
        """See ``Decoder``; the weights are shared."""
        stack = copy.copy(self.stack)
        stack.select(lanes)
        return CompiledDecoder(stack)

    def join(self, others: Sequence["CompiledDecoder"]) -> None:
        """Add the lanes of other decoders of the same model after the own ones."""
        self.known = None
        self.stack.join([other.stack for other in others])

    def sample(
        self,
        uniforms: Tensor,
        logit_bias: Tensor,
        config: GenerationConfig,
        texts: LaneTexts | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sample and read tokens (B, T) that follow, each by one of the ``uniforms`` (B, T); also
        returns their log-probabilities (B, T) in nats, before bias and filters.

        ``logit_bias`` (V) is added to the logits.  ``texts`` are what the settings need to know of
        the texts so far, and take the tokens in.  A token is -1 where logits are NaN or infinite.
        """
        self.known = None
        return self.stack.write(uniforms, logit_bias, rule_of(config, self.stack.vocab_size), texts)


class MixedDecoder(Decoder):
    """A mixture by the decoders of its parts, of which a network's may be compiled."""

    def __init__(self, first: Decoder, second: Decoder, weight: float) -> None:
        self.first, self.second, self.weight = first, second, weight

    @property
    def log_probs(self) -> Tensor:  # type: ignore[override]
        """(B, V) of what follows, float64."""
        first = self.first.log_probs
        return mix_log_probs(first, self.second.log_probs.to(first.device), self.weight)

    def advance(self, tokens: Tensor) -> Tensor:
        """See ``Decoder``."""
        self.first.advance(tokens)
        self.second.advance(tokens)
        return self.log_probs

    def select(self, lanes: Tensor) -> None:
        """See ``Decoder``."""
        self.first.select(lanes)
        self.second.select(lanes)

    def fork(self, lanes: Tensor) -> "MixedDecoder":
        """See ``Decoder``."""
        return MixedDecoder(self.first.fork(lanes), self.second.fork(lanes), self.weight)


def open_decoder(model: Predictor, lanes: int = 1, state: State = None) -> Decoder:
    """A decoder of lanes that have read nothing, or that go on from a ``state`` of the model; the
    fastest there is for the model.

    Raises ``ConfigError`` where a precision is asked for that only the compiled decoder has, and
    that cannot decode the model.
    """
    if isinstance(model, Mixture):
        states = (None, None) if state is None else state
        first = open_decoder(model.first, lanes, states[0])
        return MixedDecoder(first, open_decoder(model.second, lanes, states[1]), model.weight)
    if isinstance(model, Recurrent):
        kernels, weights = native.kernels(native.decoding_agrees), plain_weights(model.network)
        if kernels is not None and weights is not None:
            stack = NativeStack(kernels, weights, lanes, BITS[model.precision])
            if state is not None:
                stack.set_state(state)
            return CompiledDecoder(stack)
        if model.precision != "float32":
            why = "it decodes LSTM layers on the CPU"
            if kernels is None:
                why = native.status(native.decoding_agrees)
            raise ConfigError(
                f"`precision={model.precision}` needs the compiled decoder ({why})",
                "leave `precision` out",
            )
    return Decoder(model, model.start(lanes) if state is None else state)


def plain_weights(network: LanguageModel) -> StackWeights | None:
    """The weights of a plain stack of LSTM layers in float32 on the CPU; ``None`` for all else."""
    if not network.plain:
        return None
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in network.parameters()):
        return None
    parts = [(x.weight_ih, x.weight_hh, x.bias) for x in network.recurrent_layers()]
    layers = [tuple(part.detach() for part in layer) for layer in parts]
    head = network.head
    return StackWeights(
        network.embedding.weight.detach(), layers, head.weight.detach(), head.bias.detach()
    )
