"""Surprisal, unit by unit: of each token, character, word or line of a text.

The surprisals of all units of a text sum to the nll of the text, whatever the unit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor

from charlm.data.encoding import EncodedPiece
from charlm.data.tokenizers import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.predictors import Predictor
from charlm.model.likelihood import pick

__all__ = ["UNITS", "Surprisal", "surprisals"]

UNITS = ("token", "char", "word", "line")
SPACES = b" \t\n\r\v\f"


@dataclass(frozen=True)
class Surprisal:
    """One unit: its number from 0, the document it is in, its text, nats, and its tokens.

    ``oov`` of the tokens are the unknown symbol, which is also what ``text`` shows for them.
    """

    index: int
    document: int
    text: str
    nll: float
    tokens: int
    oov: int = 0


@dataclass(frozen=True)
class Token:
    """One token of a document: the bytes it stands for, its nll, and that of a space beginning.

    ``space_nll`` is the surprisal of "the next token begins with white space", of the same
    context; it splits the surprisal of a token like " dog" into the space's and the word's.
    """

    content: bytes
    nll: float
    space_nll: float
    unknown: bool


@dataclass
class Unit:
    """A unit that is being put together."""

    content: bytes = b""
    nll: float = 0.0
    tokens: int = 0
    oov: int = 0


def surprisals(
    model: Predictor, tokenizer: Tokenizer, pieces: Iterable[EncodedPiece], unit: str
) -> Iterator[Surprisal]:
    """Yield the units of all documents in order; the state is carried from one to the next.

    A word is a run of non-space; white space belongs to the word that it ends, and so does the
    share of the next token's surprisal that is due to a space coming at all (Pimentel and Meister
    2024, arXiv:2406.14561).  White space before the first word belongs to that.

    Raises ``ConfigError`` for characters of a tokenizer whose tokens hold several of them.
    """
    if unit == "char" and tokenizer.kind not in ("char", "byte"):
        raise ConfigError(
            f"--by char needs a char or byte tokenizer, and this run's is {tokenizer.kind}",
            "use --by token, word or line",
        )
    groups = {"token": each_token, "char": by_char, "word": by_word, "line": by_line}
    group = by_listed_word if (unit, tokenizer.kind) == ("word", "word") else groups[unit]
    index = 0
    tokens = read_tokens(model, tokenizer, pieces)
    for document, numbered in groupby(tokens, key=itemgetter(0)):
        for done in group(token for _, token in numbered):
            text = done.content.decode("utf-8", errors="replace")
            yield Surprisal(index, document, text, done.nll, done.tokens, done.oov)
            index += 1


def read_tokens(
    model: Predictor, tokenizer: Tokenizer, pieces: Iterable[EncodedPiece]
) -> Iterator[tuple[int, Token]]:
    """Every token of every document, with the document's number from 0."""
    reader = model.reader()
    spaces = space_ids(tokenizer).to(model.device)
    document = -1
    for piece in pieces:
        if piece.starts:
            document += 1
        if piece.starts and document:
            reader.read(np.zeros(1, dtype=tokenizer.dtype))
        for begin in range(0, len(piece.ids), reader.chunk):
            ids = piece.ids[begin : begin + reader.chunk]
            log_probs = reader.predict(ids)
            nll = -pick(log_probs, ids)
            space_nll = -log_probs[:, spaces].double().logsumexp(dim=1).cpu().numpy()
            for token, own, space in zip(ids.tolist(), nll, space_nll, strict=True):
                unknown = token == tokenizer.unknown_id
                content = tokenizer.token_bytes(token)
                yield document, Token(content, float(own), float(space), unknown)


def space_ids(tokenizer: Tokenizer) -> Tensor:
    """The ids (S,) of tokens that begin with white space."""
    beginnings = (tokenizer.token_bytes(token)[:1] for token in range(tokenizer.vocab_size))
    return torch.tensor([token for token, byte in enumerate(beginnings) if byte and byte in SPACES])


def each_token(tokens: Iterable[Token]) -> Iterator[Unit]:
    """Every token by itself."""
    for token in tokens:
        yield Unit(token.content, token.nll, 1, int(token.unknown))


def by_char(tokens: Iterable[Token]) -> Iterator[Unit]:
    """Bytes put together to characters; a character's token is one already."""
    unit = Unit()
    for token in tokens:
        continues = len(token.content) == 1 and token.content[0] & 0xC0 == 0x80
        if unit.tokens and not continues:
            yield unit
            unit = Unit()
        extend(unit, token)
    if unit.tokens:
        yield unit


def by_line(tokens: Iterable[Token]) -> Iterator[Unit]:
    """Tokens up to one that holds a line break; the break belongs to the line it ends."""
    unit = Unit()
    for token in tokens:
        extend(unit, token)
        if b"\n" in token.content:
            yield unit
            unit = Unit()
    if unit.tokens:
        yield unit


def by_word(tokens: Iterable[Token]) -> Iterator[Unit]:
    """Words with the white space that ends them."""
    unit, ended = Unit(), False
    for token in tokens:
        space, word = leading_space(token.content)
        has_word = bool(unit.content.strip(SPACES))
        if not word:  # only white space, or nothing
            extend(unit, token)
            ended = has_word and (ended or bool(space))
        elif has_word and (ended or space):
            share = token.space_nll if space and not ended else 0.0
            unit.content += space
            unit.nll += share
            yield unit
            unit, ended = Unit(), False
            extend(unit, replace(token, content=word, nll=token.nll - share))
        else:
            extend(unit, token)
    if unit.tokens:
        yield unit


def by_listed_word(tokens: Iterable[Token]) -> Iterator[Unit]:
    """The tokens of a word tokenizer; an end of line belongs to the word before it."""
    unit = Unit()
    for token in tokens:
        if unit.content.strip(SPACES) and token.content.strip(SPACES):
            yield unit
            unit = Unit()
        extend(unit, token)
    if unit.tokens:
        yield unit


def leading_space(content: bytes) -> tuple[bytes, bytes]:
    """The white space that bytes begin with, and the rest."""
    rest = content.lstrip(SPACES)
    return content[: len(content) - len(rest)], rest


def extend(unit: Unit, token: Token) -> None:
    """Add a token to a unit."""
    unit.content += token.content
    unit.nll += token.nll
    unit.tokens += 1
    unit.oov += token.unknown
