"""A vocabulary that is taken over from another tokenizer and grows at its end.

The ids of the symbols that were known before stay what they are, so that tokens and weights made
with the shorter vocabulary remain valid with the longer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.data.tokenizers.base import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer

__all__ = ["KnownTokenizer", "lists_symbols", "shortened"]


@dataclass(frozen=True)
class KnownTokenizer:
    """A tokenizer to take over.  ``grows``: symbols that a text adds get ids after its own."""

    tokenizer: Tokenizer
    grows: bool

    @property
    def key(self) -> tuple[str, bool]:
        """What tokens that are made with it depend on."""
        return self.tokenizer.digest(), self.grows

    def covering(self, learned: Tokenizer) -> Tokenizer:
        """The known tokenizer with the symbols of ``learned``, of the same kind, that it lacks."""
        if not lists_symbols(self.tokenizer) or not lists_symbols(learned):
            return self.tokenizer
        known = set(self.tokenizer.symbols)
        new = [symbol for symbol in learned.symbols if symbol not in known]
        return with_symbols(self.tokenizer, [*self.tokenizer.symbols, *new])


def lists_symbols(tokenizer: Tokenizer) -> TypeGuard[CharTokenizer | WordTokenizer]:
    """Whether a tokenizer is a list of characters or words, to which more can be added."""
    return isinstance(tokenizer, CharTokenizer | WordTokenizer)


def shortened(tokenizer: Tokenizer, vocab_size: int) -> Tokenizer:
    """The tokenizer of the first ``vocab_size`` ids; itself where it is no list of symbols."""
    if not lists_symbols(tokenizer) or vocab_size == tokenizer.vocab_size:
        return tokenizer
    others = tokenizer.vocab_size - len(tokenizer.symbols)
    return with_symbols(tokenizer, tokenizer.symbols[: vocab_size - others])


def with_symbols(tokenizer: CharTokenizer | WordTokenizer, symbols: Sequence[str]) -> Tokenizer:
    """A tokenizer like this one with other symbols.  Raises ``TokenizerError``."""
    if isinstance(tokenizer, WordTokenizer):
        return WordTokenizer(symbols, end_of_line=tokenizer.end_of_line)
    return CharTokenizer(symbols)
