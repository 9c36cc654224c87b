"""Settings that name characters, words or pieces -> numbers for each token of a vocabulary."""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError

__all__ = ["bias_of", "breakers_of", "token_texts", "widths_of"]


@lru_cache(maxsize=2)
def token_texts(tokenizer: Tokenizer) -> Sequence[str | None]:
    """The text of each token; None where it is part of a character, so that it stands for none."""
    texts: list[str | None] = []
    for content in tokenizer.table:
        try:
            texts.append(content.decode("utf-8"))
        except UnicodeDecodeError:
            texts.append(None)
    return texts


def bias_of(tokenizer: Tokenizer, config: GenerationConfig) -> Tensor:
    """What is added to the logits (V,): ``logit_bias``, and minus infinity for what must not come.

    Raises ``ConfigError`` for settings that this vocabulary cannot follow.
    """
    bias = torch.zeros(tokenizer.vocab_size)
    if tokenizer.unknown_id is not None:
        bias[tokenizer.unknown_id] = -math.inf  # it stands for no text
    for entry in config.logit_bias:
        name, value = parse_bias(entry)
        bias[tokens_named(tokenizer, name)] += value
    for setting in ("banned", "allowed"):
        if getattr(config, setting):
            bias[excluded(tokenizer, setting, set(getattr(config, setting)))] = -math.inf
    others = bias > -math.inf
    others[tokenizer.boundary_id] = False
    if not others.any():
        raise ConfigError(
            "`banned` and `allowed` leave nothing that the model could write",
            "allow some characters of the text that it was trained on",
        )
    return bias


def parse_bias(entry: str) -> tuple[str, float]:
    """The symbol and the number of ``SYMBOL=X``.  Raises ``ConfigError``."""
    name, equals, number = entry.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not equals or not name or math.isnan(value) or value == math.inf:
        raise ConfigError(
            f"`logit_bias` must be like the=1.5, got {entry!r}",
            "give a symbol, an equals sign and a number; -inf bans the symbol",
        )
    return name, value


def tokens_named(tokenizer: Tokenizer, name: str) -> list[int]:
    """The tokens that stand for ``name``, or for it after a space.  Raises ``ConfigError``."""
    wanted = (name.encode(), f" {name}".encode())
    found = [id for id, content in enumerate(tokenizer.table) if content in wanted]
    if not found:
        raise ConfigError(
            f"`logit_bias`: {name!r} is not a token of this model",
            f"its tokens are of the kind {tokenizer.kind}: name one of them",
        )
    return found


def excluded(tokenizer: Tokenizer, setting: str, characters: set[str]) -> list[int]:
    """The tokens that ``banned`` or ``allowed`` characters rule out.

    A byte of a longer character cannot be judged alone.  Raises ``ConfigError`` where that matters.
    """
    if tokenizer.kind == "byte" and not "".join(characters).isascii():
        raise ConfigError(
            f"`{setting}` takes ASCII characters only for a model of bytes",
            "use `pattern` for other characters, for example `pattern='[^é]*'`",
        )
    if tokenizer.kind == "word" and any(char.isspace() for char in characters):
        raise ConfigError(
            f"`{setting}` holds white space, which is no token of a model of words",
            f"leave it out of `{setting}`",
        )
    parts_go = tokenizer.kind != "byte" or setting == "allowed"
    ids = []
    for id, text in enumerate(token_texts(tokenizer)):
        if id == tokenizer.boundary_id:
            continue
        if text is None:
            bad = parts_go
        elif setting == "banned":
            bad = bool(characters & set(text))
        else:
            bad = not set(text) <= characters
        if bad:
            ids.append(id)
    return ids


def widths_of(tokenizer: Tokenizer, config: GenerationConfig) -> Tensor:
    """How far each token (V,) brings a text to its ``length``: its characters, or 1 for tokens."""
    if config.unit == "tokens":
        return torch.ones(tokenizer.vocab_size)
    space = int(tokenizer.kind == "word")
    widths = [sum(byte & 0xC0 != 0x80 for byte in content) for content in tokenizer.table]
    return torch.tensor([width + space for width in widths], dtype=torch.float32)


def breakers_of(tokenizer: Tokenizer, characters: str) -> Tensor:
    """The tokens (V,), bool, that hold one of the ``characters``, which break repetitions."""
    texts, wanted = token_texts(tokenizer), set(characters)
    return torch.tensor([bool(wanted & set(text or "")) for text in texts])
