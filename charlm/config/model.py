"""The settings of a model."""

from dataclasses import dataclass
from typing import ClassVar

from charlm.errors import ConfigError
from charlm.settings import Section, setting

__all__ = ["ModelConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """The network: embedding, stacked recurrent layers, head."""

    name: ClassVar[str] = "model"

    cell: str = setting("lstm", "The recurrent cell.", choices=("lstm", "gru", "rnn"))
    embedding_size: int | None = setting(
        None, "Size of the embedding.  [default: hidden_size]", minimum=1, maximum=65536
    )
    hidden_size: int = setting(256, "Size of each layer's hidden state.", minimum=1, maximum=65536)
    num_layers: int = setting(1, "Recurrent layers, one on the other.", minimum=1, maximum=64)
    dropout: float = setting(
        0.25, "Share of each layer's output dropped in training.", minimum=0, below=1
    )
    input_dropout: float = setting(
        0.0, "The same for the embedding's; 0 trains faster.", minimum=0, below=1
    )
    output_dropout: float | None = setting(
        None,
        "The same for the last layer's, before the head.  [default: dropout]",
        minimum=0,
        below=1,
    )
    embedding_dropout: float = setting(
        0.0, "Share of the tokens that are dropped from a whole segment.", minimum=0, below=1
    )
    weight_drop: float = setting(
        0.0, "Share of the recurrent weights dropped for a segment.", minimum=0, below=1
    )
    dropout_kind: str = setting(
        "variational",
        "variational: one mask for all steps of a segment; ordinary: a new one each step.",
        choices=("variational", "ordinary"),
    )
    tie_weights: bool = setting(True, "The head uses the embedding's weights.")

    def check(self) -> None:
        """Tied weights need equal sizes."""
        if self.tie_weights and self.embedding != self.hidden_size:
            raise ConfigError(
                f"model.tie_weights needs model.embedding_size ({self.embedding}) to equal "
                f"model.hidden_size ({self.hidden_size})",
                "make them equal, or --set model.tie_weights=false",
            )

    @property
    def embedding(self) -> int:
        """The embedding size in force."""
        return self.embedding_size or self.hidden_size

    @property
    def last_dropout(self) -> float:
        """The dropout before the head in force."""
        return self.dropout if self.output_dropout is None else self.output_dropout
