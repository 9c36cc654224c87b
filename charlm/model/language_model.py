"""The language model: embedding, stacked recurrent layers, head.

Letters of shapes, here and in every module:

    B  lanes: streams that are computed side by side, the rows of a batch
    T  steps of time
    V  size of the vocabulary
    E  embedding size
    H  hidden size
    L  layers
    N  tokens of a stream, or rows of a matrix
    I  size of a layer's input: E for the first layer, H for the others
    G  gates of a cell
"""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.model.affine import Embedding, Linear, allocate, initialise_affine
from charlm.model.cells import FUSED, LayerState
from charlm.model.dropout import Dropout, drop_tokens
from charlm.model.heads import AdaptiveHead, MixtureHead, ProjectedHead, widen
from charlm.model.recurrence import RecurrentLayer
from charlm.model.stepped import SteppedLayer

__all__ = ["LanguageModel", "State", "detach"]

State = tuple[LayerState, ...]
"""One ``LayerState`` for each of the L layers, from the embedding upwards."""


class LanguageModel(nn.Module):
    """A stacked recurrent language model: ``model(tokens, state) -> (logits, state)``.

    A text in two halves, the state carried from one to the other, gives the logits of the whole.
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        """Lay out the modules on the device ``meta``: parameters with a shape and no numbers.

        ``create`` gives them fresh numbers, ``from_tensors`` those of a checkpoint.
        """
        super().__init__()
        self.config = config = config.with_defaults()
        self.vocab_size = vocab_size
        sizes = [config.embedding] + [config.hidden_size] * config.num_layers
        with torch.device("meta"):
            self.embedding = Embedding(vocab_size, config.embedding)
            self.layers = nn.ModuleList(make_layer(config, size) for size in sizes[:-1])
            self.input_dropout = Dropout(config.input_dropout, config.dropout_kind)
            self.dropout = Dropout(config.dropout, config.dropout_kind)
            self.output_dropout = Dropout(config.last_dropout, config.dropout_kind)
            self.head = make_head(config, vocab_size)
        self.tie()

    @classmethod
    def create(
        cls, config: ModelConfig, vocab_size: int, seed: int, counts: Tensor | None = None
    ) -> Self:
        """A model with fresh weights on the CPU, which depend on the arguments alone.

        With ``counts`` (V), how often each token occurs, its first predictions are the unigram
        distribution.  Raises ``ModelError`` if the machine has no memory for the model.
        """
        model = cls(config, vocab_size)
        try:
            allocate(model)
        except RuntimeError:
            raise ModelError(
                f"no memory for {model.count_parameters():,} parameters",
                "choose a smaller `model.hidden_size` or `model.num_layers`",
            ) from None
        model.tie()
        model.initialise(seed)
        if counts is not None:
            model.begin_as_unigram(counts)
        return model

    @classmethod
    def from_tensors(
        cls, config: ModelConfig, vocab_size: int, tensors: Mapping[str, Tensor]
    ) -> Self:
        """A model whose parameters are these ``tensors``, which ``tensors()`` gave: not copied.

        Raises ``ModelError`` unless names, shapes and types are exactly the model's.
        """
        model = cls(config, vocab_size)
        expected = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
        received = {name: tuple(weight.shape) for name, weight in tensors.items()}
        wrong_type = [name for name, weight in tensors.items() if weight.dtype != torch.float32]
        if received != expected or wrong_type:
            odd = wrong_type or sorted({name for name, _ in expected.items() ^ received.items()})
            raise ModelError(
                f"the weights do not fit the model's settings, first at {odd[0]}",
                "the files of a run belong together: restore them, or train anew",
            )
        model.load_state_dict(dict(tensors), strict=False, assign=True)
        model.tie()
        return model

    def tie(self) -> None:
        """Let the head use the embedding's weights (Press and Wolf 2017, arXiv:1608.05859)."""
        if self.config.tie_weights:
            self.head.weight = self.embedding.weight

    def tensors(self) -> dict[str, Tensor]:
        """All parameters by name, tied ones once, detached from gradients and not copied."""
        return {name: weight.detach() for name, weight in self.named_parameters()}

    def initialise(self, seed: int) -> None:
        """Draw all weights from ``seed``."""
        generator = torch.Generator().manual_seed(seed)
        # Small weights make small logits, so that the first loss is about ln V.
        nn.init.normal_(self.embedding.weight, std=self.config.embedding**-0.5, generator=generator)
        if not self.config.tie_weights:
            nn.init.normal_(self.head.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.head.bias)
        for layer in self.recurrent_layers():
            layer.initialise(generator)
        # What only some settings add is drawn last, so that it does not change the weights above.
        for layer in self.recurrent_layers():
            if isinstance(layer, SteppedLayer):
                initialise_affine(layer.mogrifier, generator)
        for addition in self.head.children():
            initialise_affine(addition, generator)

    def begin_as_unigram(self, counts: Tensor) -> None:
        """Set the head's bias to the log-frequencies of ``counts`` (V), each raised by 1/2.

        Without that, tied weights express the frequency of a token through its embedding, which
        turns all embeddings towards one direction: such a model was seen to predict well from the
        state of its training and worse than the uniform distribution from state zero.
        """
        smoothed = counts.double() + 0.5
        log_probs = (smoothed / smoothed.sum()).log()
        with torch.no_grad():
            if isinstance(self.head, AdaptiveHead):
                self.head.begin_as(log_probs)
            else:
                self.head.bias.copy_(log_probs)

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, from the embedding upwards."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def zero_state(self, lanes: int) -> State:
        """The state of B = ``lanes`` streams before any token: zeros."""
        return tuple(layer.zero_state(lanes) for layer in self.recurrent_layers())

    @property
    def plain(self) -> bool:
        """Whether the model is a stack of plain LSTM layers with a linear head, nothing more."""
        lstms = all(type(x) is RecurrentLayer and x.kind == "lstm" for x in self.layers)
        return lstms and type(self.head) is Linear and self.config.connections == "plain"

    def hidden_states(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> output of the layers (T, B, H) before dropout, and the state after.

        That is the last layer's hidden states.  With ``residual`` connections each layer from the
        second on adds its hidden states to its input (He et al. 2016, arXiv:1512.03385).  With
        ``skip`` connections the output is the sum over all layers (Graves 2013, arXiv:1308.0850,
        in the form of Melis, Dyer and Blunsom 2018, arXiv:1707.05589).
        """
        state = self.zero_state(tokens.shape[0]) if state is None else state
        layers = self.recurrent_layers()
        share = self.config.embedding_dropout if self.training else 0.0
        if share or self.input_dropout.active:
            inputs = drop_tokens(self.embedding(tokens.T), tokens.T, self.vocab_size, share)
            hidden, layer_state = layers[0](self.input_dropout(inputs), state[0])  # (T, B, H)
        else:
            hidden, layer_state = layers[0](self.embedding.weight, state[0], tokens.T)
        after, total = [layer_state], hidden
        for layer, before in zip(layers[1:], state[1:], strict=True):
            below = hidden
            hidden, layer_state = layer(self.dropout(below), before)
            after.append(layer_state)
            if self.config.connections == "residual":
                hidden = hidden + below
            if self.config.connections == "skip":
                total = total + hidden
        return (total if self.config.connections == "skip" else hidden), tuple(after)

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> input of the head (B, T, H), and the state after them."""
        hidden, state = self.hidden_states(tokens, state)
        return self.output_dropout(hidden).transpose(0, 1), state

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> logits (B, T, V) of the tokens that follow, and the state after them.

        ``state=None`` is the state before any token.
        """
        features, state = self.features(tokens, state)
        return self.head(features), state

    def nll(self, features: Tensor, targets: Tensor, ignored: int) -> Tensor:
        """features (B, T, H), targets (B, T) -> nll in nats, summed over all targets.

        Targets that equal ``ignored`` are left out.
        """
        features, targets = features.flatten(0, 1), targets.flatten()
        if isinstance(self.head, AdaptiveHead | MixtureHead):
            counted = targets != ignored
            return self.head.losses(features[counted], targets[counted]).sum()
        logits = widen(self.head(features))
        return nn.functional.cross_entropy(logits, targets, ignore_index=ignored, reduction="sum")

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """features (N, H), targets (N,) -> nll (N,) in nats of each target.

        Heads that can compute it without all the logits do so.
        """
        if isinstance(self.head, AdaptiveHead | MixtureHead):
            return self.head.losses(features, targets)
        logits = widen(self.head(features))
        return nn.functional.cross_entropy(logits, targets, reduction="none")

    def count_parameters(self) -> int:
        """How many numbers training changes; tied weights count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def __repr__(self) -> str:
        """The shape of the model in one line."""
        layers = f"{self.config.num_layers} x {self.config.hidden_size} {self.config.cell}"
        parameters = f"{self.count_parameters():,} parameters"
        return f"<{type(self).__name__}: {layers}, vocabulary {self.vocab_size:,}, {parameters}>"


def make_layer(config: ModelConfig, input_size: int) -> RecurrentLayer:
    """A layer as the settings describe it, of a class that torch can fuse where there is one."""
    sizes = (config.cell, input_size, config.hidden_size, config.weight_drop)
    if config.cell in FUSED and not config.mogrifier_rounds:
        return RecurrentLayer(*sizes)
    return SteppedLayer(*sizes, config.mogrifier_rounds, config.mogrifier_rank)


def make_head(config: ModelConfig, vocab_size: int) -> nn.Linear:
    """The head that the settings describe; tied weights have the embedding's size."""
    hidden_size, size = config.hidden_size, config.embedding
    if config.softmaxes > 1:
        return MixtureHead(hidden_size, size, vocab_size, config.softmaxes)
    size = size if config.tie_weights else hidden_size
    if config.adaptive_softmax:
        return AdaptiveHead(hidden_size, size, vocab_size)
    if size != hidden_size:
        return ProjectedHead(hidden_size, size, vocab_size)
    return Linear(hidden_size, vocab_size)


def detach(state: State) -> State:
    """The state without the graph that computed it, where back-propagation is truncated."""
    return tuple(tuple(part.detach() for part in layer) for layer in state)
