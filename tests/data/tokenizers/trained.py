"""A tokenizer trained on pieces of text in one call, for tests of everything above."""

from collections.abc import Iterable

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer, tokenizer_trainer


def train(config: TokenizerConfig, pieces: Iterable[Piece]) -> tuple[Tokenizer, tuple[str, ...]]:
    trainer = tokenizer_trainer(config)
    for piece in pieces:
        trainer.add(piece.text)
    return trainer.finish()
