"""The weights of a base run as the first weights of a run whose vocabulary has grown."""

import unicodedata
from collections.abc import Mapping

import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.data.tokenizers.base import Tokenizer
from charlm.data.tokenizers.growth import lists_symbols
from charlm.model.language_model import LanguageModel

__all__ = ["transferred"]


def transferred(
    base: Mapping[str, Tensor],
    config: ModelConfig,
    base_size: int,
    tokenizer: Tokenizer,
    counts: Tensor,
) -> LanguageModel:
    """A model that begins with the weights of ``base``, of ``base_size`` ids, which are the first
    ones of ``tokenizer``.

    The embedding of a new symbol, and its weights in the head, are the mean of those of similar
    symbols.  Its bias makes it as probable as ``counts`` (V), the tokens of the new text, say.
    Raises ``ModelError`` for tensors that are not those of a model with these settings.
    """
    LanguageModel.from_tensors(config, base_size, base)
    model = LanguageModel.create(config, tokenizer.vocab_size, seed=0)
    similar = similar_ids(tokenizer, base_size)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            old = base[name]
            weight[: len(old)] = old  # all of it, where the vocabulary has no part in its shape
            if len(weight) > len(old) and weight.dim() > 1:
                for id, others in enumerate(similar, start=base_size):
                    weight[id] = old[others].mean(dim=0)
            elif len(weight) > len(old):
                weight[base_size:] = new_biases(old, counts)
    return model


def new_biases(old: Tensor, counts: Tensor) -> Tensor:
    """The biases of the ids beyond those of ``old`` (V,), for ``counts`` of all ids.

    They lie above their log-frequencies as far as the old ones lie above theirs, on average over
    the text: training moves all biases together at will.
    """
    shares = (counts.double() + 0.5) / (counts.sum() + 0.5 * len(counts))
    known, new = shares[: len(old)], shares[len(old) :]
    offset = (known * (old.double() - known.log())).sum() / known.sum()
    return (new.log() + offset).float()


def similar_ids(tokenizer: Tokenizer, base_size: int) -> list[list[int]]:
    """For each id from ``base_size`` on, the ids below it whose symbols resemble its own."""
    if not lists_symbols(tokenizer):
        return []
    begin = tokenizer.vocab_size - len(tokenizer.symbols)
    known = {symbol: id for id, symbol in enumerate(tokenizer.symbols, begin) if id < base_size}
    return [resembling(each, known) for each in tokenizer.symbols[base_size - begin :]]


def resembling(symbol: str, known: Mapping[str, int]) -> list[int]:
    """The ids of the symbols that resemble a new one: a variant of it, like e for an e with an
    accent, or the for The, else the characters of its Unicode category, else all.
    """
    plain = unicodedata.normalize("NFKD", symbol)
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    for variant in variants(plain) + variants(bare):
        if variant in known:
            return [known[variant]]
    if len(symbol) > 1:
        return list(known.values())
    kind = unicodedata.category(symbol)
    alike = [
        id for each, id in known.items() if len(each) == 1 and unicodedata.category(each) == kind
    ]
    return alike or list(known.values())


def variants(symbol: str) -> list[str]:
    """A character or word in other cases."""
    return [symbol, symbol.lower(), symbol.capitalize(), symbol.upper()]
