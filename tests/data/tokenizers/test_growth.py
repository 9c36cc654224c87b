"""A vocabulary that is taken over keeps its ids, and grows only where it is a list of symbols."""

import pytest

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.growth import KnownTokenizer, shortened
from charlm.data.tokenizers.kinds import Tokenizer
from tests.data.tokenizers.trained import train

OLD, NEW = "the cat sat on the mat\n" * 30, "the dog sat in a box\n" * 30


def learned(kind: str, text: str) -> Tokenizer:
    size = 300 if kind in ("bpe", "unigram") else None
    found, _ = train(TokenizerConfig(kind=kind, vocab_size=size), [Piece(text, starts=True)])
    return found


@pytest.mark.parametrize("kind", ["char", "word"])
def test_new_symbols_come_after_the_known_ones_and_can_be_taken_away_again(kind: str) -> None:
    old, new = learned(kind, OLD), learned(kind, NEW)
    both = KnownTokenizer(old, grows=True).covering(new)
    assert both.encode(OLD).tolist() == old.encode(OLD).tolist()
    assert both.table[: old.vocab_size] == old.table
    assert both.unknown_id not in both.encode(NEW)
    assert old.unknown_id in old.encode(NEW)
    assert shortened(both, old.vocab_size).digest() == old.digest()
    assert shortened(both, both.vocab_size) is both


@pytest.mark.parametrize("kind", ["byte", "bpe"])
def test_what_is_no_list_of_symbols_is_taken_over_as_it_is(kind: str) -> None:
    old, new = learned(kind, OLD), learned(kind, NEW)
    assert KnownTokenizer(old, grows=True).covering(new) is old
    assert shortened(old, 5) is old


def test_a_known_tokenizer_that_grows_gives_other_tokens_than_one_that_does_not() -> None:
    old = learned("char", OLD)
    keys = {KnownTokenizer(old, grows).key for grows in (False, True)}
    assert len(keys) == 2
    assert {digest for digest, _ in keys} == {old.digest()}
