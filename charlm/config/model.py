"""The settings of a model."""

from dataclasses import dataclass
from typing import ClassVar

from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["ModelConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """The model: a network of embedding, stacked recurrent layers and head, or counted n-grams."""

    name: ClassVar[str] = "model"

    cell: str = setting(
        "lstm",
        "The recurrent cell.  capped_lstm: the input gate is at most 1 - forget gate; cifg: it "
        "equals 1 - forget gate; layer_norm_lstm: gates and cell state are normalised.",
        choices=("lstm", "capped_lstm", "cifg", "layer_norm_lstm", "gru", "rnn"),
    )
    mogrifier_rounds: int = setting(
        0, "Rounds in which input and state gate each other before the cell.", minimum=0, maximum=64
    )
    mogrifier_rank: int | None = setting(
        None, "Rank of the rounds' matrices.  [default: full]", minimum=1
    )
    embedding_size: int | None = setting(
        None,
        "Size of the embedding.  [default: hidden_size; at most 256 if minutes are given for a "
        "large vocabulary]",
        decided=True,
        minimum=1,
        maximum=65536,
    )
    hidden_size: int = setting(
        256, "Size of each layer's hidden state.", decided=True, minimum=1, maximum=65536
    )
    num_layers: int = setting(1, "Recurrent layers, one on the other.", minimum=1, maximum=64)
    connections: str = setting(
        "plain",
        "residual: each layer adds to its input; skip: the head reads the sum of all layers.",
        choices=("plain", "residual", "skip"),
    )
    dropout: float = setting(
        0.25,
        "Share of each layer's output that is dropped in training.",
        decided=True,
        minimum=0,
        below=1,
    )
    input_dropout: float = setting(
        0.0,
        "Share of the embedding's output that is dropped in training; 0 trains faster.",
        decided=True,
        minimum=0,
        below=1,
    )
    output_dropout: float | None = setting(
        None,
        "Share of the last layer's output that is dropped before the head.  [default: dropout]",
        minimum=0,
        below=1,
    )
    embedding_dropout: float = setting(
        0.0,
        "Share of the vocabulary whose tokens are dropped from a whole segment.",
        decided=True,
        minimum=0,
        below=1,
    )
    weight_drop: float = setting(
        0.0,
        "Share of the recurrent weights that are dropped for a segment.",
        decided=True,
        minimum=0,
        below=1,
    )
    dropout_kind: str = setting(
        "variational",
        "variational: one mask for all steps of a segment; ordinary: a new one each step.",
        choices=("variational", "ordinary"),
    )
    tie_weights: bool = setting(
        True, "The head uses the embedding's weights, after a projection if sizes differ."
    )
    softmaxes: int = setting(
        1, "More than one: the head is a mixture of so many softmaxes.", minimum=1, maximum=64
    )
    adaptive_softmax: bool = setting(
        False,
        "Predict rare tokens in a second step; trains large vocabularies faster.",
        decided=True,
    )

    kind: str = setting(
        "recurrent", "A network, or counts of n-grams.", choices=("recurrent", "ngram")
    )
    order: int | None = setting(
        None,
        "ngram: tokens of the longest n-gram.  [default: the best on the validation text]",
        minimum=1,
        maximum=32,
    )

    def check(self) -> None:
        """Refuse settings of a network that contradict each other or need another one."""
        if self.mogrifier_rank is not None and not self.mogrifier_rounds:
            raise ConfigError(
                f"`model.mogrifier_rank={self.mogrifier_rank}` needs rounds, and "
                "`model.mogrifier_rounds` is 0",
                "give the rounds, for example `model.mogrifier_rounds=5`",
            )
        if self.connections != "plain" and self.num_layers == 1:
            raise ConfigError(
                f"`model.connections={self.connections!r}` needs more than one layer, "
                "and `model.num_layers` is 1",
                "give `model.num_layers=2`, or leave `model.connections` out",
            )
        if self.adaptive_softmax and self.softmaxes > 1:
            raise ConfigError(
                f"`model.adaptive_softmax` does not go with `model.softmaxes={self.softmaxes}`",
                "choose one of the two",
            )

    @property
    def embedding(self) -> int:
        """The size of the embedding: ``embedding_size``, or by default ``hidden_size``."""
        return self.embedding_size or self.hidden_size

    @property
    def last_dropout(self) -> float:
        """The dropout before the head: ``output_dropout``, or by default ``dropout``."""
        return self.dropout if self.output_dropout is None else self.output_dropout
