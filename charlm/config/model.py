"""The settings of a model."""

from dataclasses import dataclass
from typing import ClassVar

from charlm.config.section import Section, setting

__all__ = ["ModelConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """The model: a network of embedding, stacked recurrent layers and head, or counted n-grams."""

    name: ClassVar[str] = "model"
    needs: ClassVar = {"mogrifier_rank": ("mogrifier_rounds",), "connections": ("num_layers",)}
    rivals: ClassVar = {"adaptive_softmax": ("softmaxes",)}

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
        decided=True, minimum=1, maximum=65536,
    )  # fmt: skip
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
        0.25, "Share of each layer's output that is dropped in training.",
        decided=True, minimum=0, below=1,
    )  # fmt: skip
    input_dropout: float = setting(
        0.0, "Share of the embedding's output that is dropped in training; 0 trains faster.",
        decided=True, minimum=0, below=1,
    )  # fmt: skip
    output_dropout: float | None = setting(
        None,
        "Share of the last layer's output that is dropped before the head.  [default: dropout]",
        minimum=0, below=1,
    )  # fmt: skip
    embedding_dropout: float = setting(
        0.0, "Share of the vocabulary whose tokens are dropped from a whole segment.",
        decided=True, minimum=0, below=1,
    )  # fmt: skip
    weight_drop: float = setting(
        0.0, "Share of the recurrent weights that are dropped for a segment.",
        decided=True, minimum=0, below=1,
    )  # fmt: skip
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
        False, "Predict rare tokens in a second step; trains large vocabularies faster.",
        decided=True,
    )  # fmt: skip

    kind: str = setting(
        "recurrent", "A network, or counts of n-grams.", choices=("recurrent", "ngram")
    )
    order: int | None = setting(
        None, "ngram: tokens of the longest n-gram.  [default: the best on the validation text]",
        minimum=1, maximum=32,
    )  # fmt: skip

    @property
    def embedding(self) -> int:
        """The size of the embedding: ``embedding_size``, or by default ``hidden_size``."""
        return self.embedding_size or self.hidden_size

    @property
    def last_dropout(self) -> float:
        """The dropout before the head: ``output_dropout``, or by default ``dropout``."""
        return self.dropout if self.output_dropout is None else self.output_dropout
