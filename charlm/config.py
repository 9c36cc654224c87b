"""Every setting, once: type, default, help and check.

Four frozen sections, ``data``, ``tokenizer``, ``model`` and ``training``, make a ``Config``.
Command-line options, TOML keys and the documentation are all read from the fields here.
A section checks itself when it is made, so a section that exists is valid.
"""

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, get_type_hints

from charlm.errors import ConfigError
from charlm.settings import Section, setting, unknown_name

__all__ = [
    "DEFAULT_MINUTES",
    "Config",
    "DataConfig",
    "ModelConfig",
    "TokenizerConfig",
    "TrainConfig",
    "merge",
    "parse_assignment",
    "parse_value",
    "read_toml",
]


DEFAULT_MINUTES = 10.0


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Where the text comes from and how it is divided."""

    name: ClassVar[str] = "data"

    sources: tuple[str, ...] = setting((), "What to read: files, folders, globs, corpus names, -.")
    valid: tuple[str, ...] = setting((), "Validation text of its own, instead of a split.")
    test: tuple[str, ...] = setting((), "Test text of its own, instead of a split.")
    split: tuple[float, ...] | None = setting(
        None, "Shares of the characters, in order: train,valid[,test].  [default: 90,5,5]"
    )
    encoding: str = setting("utf-8", "How plain text is encoded.")
    text_column: str = setting("text", "Which column of tables and datasets holds the text.")
    dataset_split: str = setting("train", "Which split of a dataset to read.")
    streaming: bool = setting(False, "Read a Hub dataset over the network without storing it.")

    def check(self) -> None:
        """The shares must be two or three positive numbers, unless validation has its own text."""
        if self.split is None:
            return
        if self.valid or self.test:
            raise ConfigError(
                "data.split does not go with data.valid and data.test",
                "give either a split of the sources or separate texts",
            )
        if len(self.split) not in (2, 3) or any(not 0 < share < math.inf for share in self.split):
            raise ConfigError(
                f"data.split must be two or three positive shares, got {list(self.split)}",
                "for example --split 90,10 or --split 90,5,5",
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The fractions of the characters for train, valid and test; they sum to 1."""
        if self.valid or self.test:
            return (1.0,)
        split = self.split or (90.0, 5.0, 5.0)
        return tuple(share / math.fsum(split) for share in split)


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig(Section):
    """How text becomes tokens."""

    name: ClassVar[str] = "tokenizer"

    kind: str = setting(
        "char", "What a token is.", choices=("byte", "char", "word", "bpe", "unigram")
    )
    vocab_size: int | None = setting(
        None,
        "Largest vocabulary: char and word keep the most frequent; bpe and unigram make so many "
        "pieces, or 4096 if nothing is said.",
        minimum=4,
    )
    min_count: int = setting(1, "Rarer characters or words become <unk>.", minimum=1)
    end_of_line: bool = setting(True, "word: a line break is a token, as in PTB and WikiText-2.")


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


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How the model learns."""

    name: ClassVar[str] = "training"

    minutes: float | None = setting(
        None,
        "Train for so long, validation included.  "
        f"[default: {DEFAULT_MINUTES:g}, if no other budget is given]",
        above=0,
    )
    epochs: float | None = setting(None, "Train for so many passes over the text.", above=0)
    steps: int | None = setting(None, "Train for so many optimizer steps.", minimum=1)
    batch_size: int = setting(32, "Lanes read in parallel.", minimum=1, maximum=1 << 20)
    bptt: int = setting(64, "Steps of time per segment.", minimum=1, maximum=1 << 20)
    state_reset: float = setting(
        0.01, "Probability that a lane starts a segment at state zero.", minimum=0, below=1
    )
    accumulate: int = setting(
        1, "Work through the lanes of a step in so many parts, to save memory.", minimum=1
    )
    optimizer: str = setting("adamw", "The optimizer.", choices=("adamw", "sgd"))
    learning_rate: float = setting(6e-3, "Peak learning rate.", above=0)
    beta1: float = setting(0.9, "adamw: decay of the first moment.", minimum=0, below=1)
    beta2: float = setting(0.99, "adamw: decay of the second moment.", minimum=0, below=1)
    weight_decay: float = setting(0.01, "Decoupled for adamw, L2 for sgd.", minimum=0)
    momentum: float = setting(0.0, "sgd: momentum.", minimum=0, below=1)
    schedule: str = setting(
        "cosine",
        "cosine: to zero at the end; plateau: divided when validation stalls; constant.",
        choices=("cosine", "plateau", "constant"),
    )
    warmup: float = setting(0.02, "Share of the training that warms up.", minimum=0, below=1)
    plateau_factor: float = setting(4.0, "plateau: divide the learning rate by this.", above=1)
    clip: float = setting(1.0, "Largest norm of the gradient; 0: never clip.", minimum=0)
    evaluations: int = setting(10, "Validations, evenly spread over the training.", minimum=1)
    valid_tokens: int = setting(
        131072, "Validate on so many tokens during training; 0: all.", minimum=0
    )
    patience: int = setting(
        0, "Stop after so many validations without improvement; 0: never.", minimum=0
    )
    save_minutes: float = setting(5.0, "Save at least this often.", above=0)
    precision: str = setting(
        "auto",
        "auto: bfloat16 on a GPU that has it, else float32.",
        choices=("auto", "float32", "bfloat16"),
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:N, mps.")
    seed: int = setting(1, "Seed of everything random.", minimum=0, maximum=2**31 - 1)

    def check(self) -> None:
        """One budget at most, and no more parts than lanes."""
        given = [key for key in ("minutes", "epochs", "steps") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ConfigError(
                f"training.{given[0]} and training.{given[1]} are both given",
                "say how long to train in one way only: minutes, epochs or steps",
            )
        if self.accumulate > self.batch_size:
            raise ConfigError(
                f"training.accumulate ({self.accumulate}) is more than training.batch_size "
                f"({self.batch_size})",
                "a part needs at least one lane",
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> Self:
        """Read the four sections.  Raises ``ConfigError`` naming the nearest section or key."""
        hints = get_type_hints(cls)
        sections = {}
        for name, table in tables.items():
            if name not in hints:
                raise unknown_name(f"section {name}", name, list(hints))
            if not isinstance(table, Mapping):
                raise ConfigError(f"{name} must be a section, got {table!r}", f"write [{name}]")
            sections[name] = hints[name].from_table(table)
        return cls(**sections)

    def to_tables(self) -> dict[str, dict[str, Any]]:
        """All sections as TOML tables."""
        return {
            entry.name: getattr(self, entry.name).to_table() for entry in dataclasses.fields(self)
        }


def merge(*tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Lay section tables over each other, later ones winning key by key."""
    merged: dict[str, dict[str, Any]] = {}
    for table in tables:
        for name, section in table.items():
            merged.setdefault(name, {}).update(section)
    return merged


def parse_assignment(text: str) -> dict[str, dict[str, Any]]:
    """Turn ``section.key=value`` into a table; the value is TOML, or else a plain string.

    Raises ``ConfigError`` where the form is wrong or the name unknown.
    """
    target, equals, value = text.partition("=")
    name, dot, key = target.strip().partition(".")
    if not equals or not dot or not key:
        raise ConfigError(
            f"--set takes section.key=value, got {text!r}", "try --set model.dropout=0.3"
        )
    hints = get_type_hints(Config)
    if name not in hints:
        raise unknown_name(f"section {name}", name, list(hints))
    known = [entry.name for entry in dataclasses.fields(hints[name])]
    if key not in known:
        raise unknown_name(f"setting {name}.{key}", key, known, prefix=f"{name}.")
    return {name: {key: parse_value(value)}}


def parse_value(text: str) -> Any:
    """``text`` as a TOML value, or as it is where it is none: 3, true, 0.5, [1, 2], lstm."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def read_toml(path: Path) -> dict[str, Any]:
    """Read sections from a TOML file; of a ``run.toml``, those that hold settings.

    Raises ``ConfigError`` if the file is missing, no TOML, or has settings outside of sections.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}", "check the file") from None
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            sections = ", ".join(f"[{section}]" for section in get_type_hints(Config))
            raise ConfigError(f"{path}: {name} is not in a section", f"put it under {sections}")
    return {name: table for name, table in tables.items() if name not in ("charlm", "origin")}
