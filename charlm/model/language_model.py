"""The language model: embedding, stacked recurrent layers, head.

Legend, here and in every module: B lanes, T steps of time, V vocabulary, E embedding size,
H hidden size, L layers, N length of a stream.
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
"""One ``LayerState`` a layer."""


class LanguageModel(nn.Module):
    """``model(tokens, state) -> (logits, state)``; two halves in a row give the whole."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        """Lay out the modules on the device ``meta``: shapes without numbers.

        ``create`` draws numbers for them, ``from_tensors`` takes them over.
        """
        super().__init__()
        self.config = config
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
        """A model with fresh weights: a function of the seed alone, whatever else was drawn.

        ``counts`` (V), how often each token occurs, lets it begin as the unigram distribution.
        Raises ``ModelError`` if the machine has no memory for it.
        """
        model = cls(config, vocab_size)
        try:
            allocate(model)
        except RuntimeError:
            raise ModelError(
                f"no memory for {model.count_parameters():,} parameters",
                "choose a smaller model.hidden_size or model.num_layers",
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
        """A model with the weights that ``tensors`` named; the tensors are taken over.

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
        """The trained numbers by name, tied ones once, as ``from_tensors`` takes them."""
        return {name: weight.detach() for name, weight in self.named_parameters()}

    def initialise(self, seed: int) -> None:
        """Draw all weights from ``seed``."""
        generator = torch.Generator().manual_seed(seed)
        # Logits that start small: the first loss is about ln V.
        nn.init.normal_(self.embedding.weight, std=self.config.embedding**-0.5, generator=generator)
        if not self.config.tie_weights:
            nn.init.normal_(self.head.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.head.bias)
        for layer in self.recurrent_layers():
            layer.initialise(generator)
        # What other settings add comes last: the weights above are then the same with and without.
        for layer in self.recurrent_layers():
            if isinstance(layer, SteppedLayer):
                initialise_affine(layer.mogrifier, generator)
        for addition in self.head.children():
            initialise_affine(addition, generator)

    def begin_as_unigram(self, counts: Tensor) -> None:
        """Let the head's bias hold the log-frequencies of ``counts`` (V); none counts as a half.

        Tied weights would otherwise have to say how frequent a token is through its embedding,
        which pulls all embeddings into one direction: a model so begun was seen to predict well
        from the state it was trained in and worse than chance from state zero.
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
        """The state before any token: zeros."""
        return tuple(layer.zero_state(lanes) for layer in self.recurrent_layers())

    @property
    def plain(self) -> bool:
        """Whether it is nothing but plain LSTM layers one on the other and a linear head."""
        lstms = all(type(x) is RecurrentLayer and x.kind == "lstm" for x in self.layers)
        return lstms and type(self.head) is Linear and self.config.connections == "plain"

    def walk(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> what the layers give (T, B, H) before dropout, and the state after.

        That is the last layer's hidden states; with ``residual`` connections each layer adds its
        own to what it read (He et al. 2016, arXiv:1512.03385; from the second layer on); with
        ``skip`` connections the head reads the sum over all layers (Graves 2013,
        arXiv:1308.0850, in the form of Melis, Dyer and Blunsom 2018, arXiv:1707.05589).
        """
        state = self.zero_state(len(tokens)) if state is None else state
        layers = self.recurrent_layers()
        hidden, layer_state = self.read(tokens, state[0])  # (T, B, H)
        after, total = [layer_state], hidden
        for layer, before in zip(layers[1:], state[1:], strict=True):
            read = hidden
            hidden, layer_state = layer(self.dropout(read), before)
            after.append(layer_state)
            if self.config.connections == "residual":
                hidden = hidden + read
            if self.config.connections == "skip":
                total = total + hidden
        return (total if self.config.connections == "skip" else hidden), tuple(after)

    def read(self, tokens: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """tokens (B, T) -> the first layer's hidden states (T, B, H), and its state after them."""
        first = self.recurrent_layers()[0]
        share = self.config.embedding_dropout if self.training else 0.0
        if not share and not self.input_dropout.drops():
            return first.forward_tokens(self.embedding.weight, tokens.T, state)
        inputs = drop_tokens(self.embedding(tokens.T), tokens.T, self.vocab_size, share)
        return first(self.input_dropout(inputs), state)  # type: ignore[no-any-return]

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> what the head reads (B, T, H), and the state after them."""
        hidden, state = self.walk(tokens, state)
        return self.output_dropout(hidden).transpose(0, 1), state

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> logits (B, T, V), and the state after them; ``None`` is zeros."""
        features, state = self.features(tokens, state)
        return self.head(features), state

    def nll(self, features: Tensor, targets: Tensor, ignored: int) -> Tensor:
        """features (B, T, H), targets (B, T) -> their summed nll in nats, ``ignored`` left out."""
        features, targets = features.flatten(0, 1), targets.flatten()
        if isinstance(self.head, AdaptiveHead | MixtureHead):
            counted = targets != ignored
            return self.head.losses(features[counted], targets[counted]).sum()
        logits = widen(self.head(features))
        return nn.functional.cross_entropy(logits, targets, ignore_index=ignored, reduction="sum")

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """features (N, H), targets (N,) -> nll (N,) in nats of each, without all the logits where
        the head can do without."""
        if isinstance(self.head, AdaptiveHead | MixtureHead):
            return self.head.losses(features, targets)
        logits = widen(self.head(features))
        return nn.functional.cross_entropy(logits, targets, reduction="none")

    def count_parameters(self) -> int:
        """Trained numbers; tied weights count once."""
        return sum(parameter.numel() for parameter in self.parameters())


def make_layer(config: ModelConfig, input_size: int) -> RecurrentLayer:
    """A layer of the settings, fused where that is possible."""
    sizes = (config.cell, input_size, config.hidden_size, config.weight_drop)
    if config.cell in FUSED and not config.mogrifier_rounds:
        return RecurrentLayer(*sizes)
    return SteppedLayer(*sizes, config.mogrifier_rounds, config.mogrifier_rank)


def make_head(config: ModelConfig, vocab_size: int) -> nn.Linear:
    """The head of the settings; its own size is the embedding's where weights are tied."""
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
    """The same numbers, cut off from the graph that made them: truncated back-propagation."""
    return tuple(tuple(part.detach() for part in layer) for layer in state)
