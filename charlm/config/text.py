"""The settings of a text: where it comes from, how it is divided, what its tokens are."""

import math
from dataclasses import dataclass
from typing import ClassVar

from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["BOUNDARY_ID", "DataConfig", "TokenizerConfig"]

BOUNDARY_ID = 0
"""The token before, between and after documents, in every vocabulary."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Where the text comes from and how it is divided."""

    name: ClassVar[str] = "data"
    rivals: ClassVar = {"split": ("valid", "test")}

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
        """The shares must be two or three positive numbers."""
        if self.split is not None and not (
            len(self.split) in (2, 3) and all(0 < share < math.inf for share in self.split)
        ):
            raise ConfigError(
                f"`data.split` must be two or three positive shares, got {list(self.split)}",
                "for example `data.split=[90, 10]` or `data.split=[90, 5, 5]`",
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
        "Largest vocabulary: char and word keep the most frequent symbols; bpe and unigram make so "
        "many pieces.  [default: all for char and word, 4096 pieces]",
        minimum=4,
    )
    min_count: int = setting(1, "Rarer characters or words become <unk>.", minimum=1)
    end_of_line: bool = setting(True, "word: a line break is a token, as in PTB and WikiText-2.")
