"""Pieces of words learned from the text by SentencePiece, without losing a byte of it.

The only module that imports sentencepiece, and only when it is needed.  SentencePiece is told to
leave the text alone (identity normalisation, no dummy prefix, no white space removed) and to fall
back to bytes.  Two things are left to do here.  It writes a space as U+2581 and so cannot tell the
two apart: a U+2581 of the text is encoded as its three bytes.  And line breaks are kept out of the
training text, so that no piece contains one and each is a token (its byte) of its own.

A text is encoded word by word, a word being what follows a space, with it.  That changes nothing,
because no piece has a space but at its beginning, and lets most words be looked up.

Kudo and Richardson, SentencePiece (2018); Sennrich et al., byte-pair encoding (2016); Kudo,
unigram language model (2018).
"""

import hashlib
import io
import re
import threading
from collections.abc import Iterator
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from charlm.config import BOUNDARY_ID, TokenizerConfig
from charlm.data.tokenizers.base import REMEDY, Tokenizer, as_text
from charlm.data.tokenizers.threads import in_thread
from charlm.durable import write_bytes
from charlm.errors import TokenizerError

__all__ = ["MODEL", "SubwordTokenizer", "SubwordTrainer"]

MODEL = "tokenizer.model"
BOUNDARY = "<|boundary|>"  # how the model spells id 0; the same letters in a text are just letters
SPACE_MARK = "\u2581"
LONGEST = 1024
"""Characters of a training line: at most 4,096 bytes, below the limit of the trainer."""

WORD = re.compile(r" ?[^ \n]{1,255}|\n| {1,255}(?= )| ")  # the last of many spaces is the word's
MOST_KNOWN = 1 << 17
"""Words whose ids are remembered, each of 256 characters at most."""

DEFAULT_SIZE = 4096
BLOCK = 1 << 16
"""Characters that are sampled together."""

SAMPLE = 1 << 23
"""Characters that the pieces are learned from, at most."""

REQUIRED = re.compile(r"required_chars\. \d+ vs (\d+)")


class SubwordTokenizer(Tokenizer):
    """Byte-pair encoding or a unigram language model.

    ``decode(encode(text)) == text`` for every text.
    """

    def __init__(self, kind: str, model: bytes) -> None:
        """``model`` is a SentencePiece model of ours; a foreign one gives ``TokenizerError``."""
        self.kind = kind
        self.model = model
        try:
            pieces = self.processor
            self.table = [piece_bytes(pieces, id) for id in range(pieces.vocab_size())]
        except ValueError:
            raise TokenizerError("the SentencePiece model is damaged: not UTF-8", REMEDY) from None
        marks = [pieces.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE_MARK.encode()]
        self.mark_ids = np.array(marks, dtype=self.dtype).tobytes()
        # A text with next to no spaces may leave the space without a piece; its byte then stands
        # for it, because SentencePiece would write the bytes of U+2581.
        self.lacks_space = pieces.is_unknown(pieces.piece_to_id(SPACE_MARK))
        space = pieces.piece_to_id("<0x20>")
        self.space_id = np.array([space], dtype=self.dtype).tobytes()
        self.known: dict[str, bytes] = {}
        byte_pieces = sum(pieces.is_byte(id) for id in range(len(self.table)))
        if byte_pieces != 256 or not pieces.is_unknown(BOUNDARY_ID):
            raise TokenizerError("the SentencePiece model was not made by charlm", REMEDY)

    def __reduce__(self) -> tuple[type["SubwordTokenizer"], tuple[str, bytes]]:
        return SubwordTokenizer, (self.kind, self.model)

    @cached_property
    def processor(self) -> Any:
        """The encoder.  Raises ``TokenizerError`` for a model that cannot be read."""
        from sentencepiece import SentencePieceProcessor

        try:
            return SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as error:
            raise TokenizerError(f"the SentencePiece model is damaged: {error}", REMEDY) from None

    def encode(self, text: str | bytes) -> np.ndarray:
        """The ids (N,) of ``text``; words and line breaks are encoded one by one."""
        parts = (self.spaced_ids(part) for part in as_text(text).split(SPACE_MARK))
        return np.frombuffer(bytearray(self.mark_ids.join(parts)), dtype=self.dtype)

    def spaced_ids(self, text: str) -> bytes:
        """The ids, as bytes, of a text without U+2581."""
        if self.lacks_space:
            return self.space_id.join(map(self.plain_ids, text.split(" ")))
        return self.plain_ids(text)

    def plain_ids(self, text: str) -> bytes:
        """The ids, as bytes, of a text whose characters have pieces or fall back to bytes."""
        words = WORD.findall(text)
        known = self.known
        new = [word for word in set(words) if word not in known]
        if new:
            if len(known) > MOST_KNOWN:
                known, new = {}, list(set(words))
            known.update(zip(new, self.packed(new), strict=True))
            self.known = known
        return b"".join(map(known.__getitem__, words))

    def packed(self, words: list[str]) -> Iterator[bytes]:
        """The ids of each word, as bytes."""
        rows = self.processor.encode(words, out_type=int)
        return (np.array(row, dtype=self.dtype).tobytes() for row in rows)

    def definition(self) -> dict[str, Any]:
        """The kind and the model's hash and size; the model is a file of its own."""
        return {
            "kind": self.kind,
            "vocab_size": self.vocab_size,
            "model_bytes": len(self.model),
            "model_sha256": hashlib.sha256(self.model).hexdigest(),
        }

    def save(self, folder: Path) -> None:
        """Write the model, then what names it, into an existing folder.  Raises ``OSError``."""
        write_bytes(folder / MODEL, self.model)
        super().save(folder)


def piece_bytes(pieces: Any, id: int) -> bytes:
    """The UTF-8 that a piece stands for; the boundary stands for nothing."""
    if id == BOUNDARY_ID:
        return b""
    piece: str = pieces.id_to_piece(id)
    if pieces.is_byte(id):
        return bytes.fromhex(piece[3:5])  # <0x41>
    return piece.replace(SPACE_MARK, " ").encode()


def lines(text: str) -> Iterator[str]:
    """The lines of ``text`` that are not empty, long ones cut before a space if they can be.

    The trainer leaves out, without a word, what is longer.
    """
    for line in filter(None, text.split("\n")):
        start = 0
        while len(line) - start > LONGEST:
            space = line.rfind(" ", start + 1, start + LONGEST)
            end = space if space > 0 else start + LONGEST
            yield line[start:end]
            start = end
        yield line[start:] if start else line


class SubwordTrainer:
    """Keeps an even sample of the texts that are added, and learns pieces from it."""

    def __init__(self, config: TokenizerConfig) -> None:
        self.config = config
        self.sample = TextSample()

    def add(self, text: str | bytes) -> None:
        """Add a text to the sample.  Raises ``TokenizerError`` for a lone surrogate."""
        text = as_text(text)
        for start in range(0, len(text), BLOCK):
            self.sample.add(text[start : start + BLOCK])

    def finish(self) -> tuple[SubwordTokenizer, tuple[str, ...]]:
        """The tokenizer, and a note for the user if its vocabulary is smaller than asked for.

        Raises ``TokenizerError`` if the text yields no pieces or the vocabulary size is
        too small for the symbols that are needed.
        """
        asked = self.config.vocab_size or DEFAULT_SIZE
        try:
            model = in_thread(partial(self.train, asked))
        except RuntimeError as error:
            needed = self.needed(error)
            if self.config.vocab_size is not None:
                raise TokenizerError(
                    f"`tokenizer.vocab_size` is {asked}, but this text needs at least {needed} "
                    "symbols: the boundary, 256 bytes and its frequent characters",
                    f"use `tokenizer.vocab_size={2 * needed}`, or `tokenizer.kind='byte'`",
                ) from None
            asked = 2 * needed
            model = in_thread(partial(self.train, asked))
        tokenizer = SubwordTokenizer(self.config.kind, model)
        size = tokenizer.vocab_size
        note = f"the text allows a vocabulary of {size:,} pieces instead of {asked:,}"
        return tokenizer, (note,) if size < asked else ()

    def needed(self, error: RuntimeError) -> int:
        """The smallest vocabulary, from what the trainer said.

        Raises ``TokenizerError`` if the size is not what it complained about.
        """
        if match := REQUIRED.search(str(error)):
            return int(match[1])
        raise TokenizerError(
            f"{self.config.kind} pieces cannot be learned from this text: {str(error).strip()}",
            "give more text, or use `tokenizer.kind='byte'` or `tokenizer.kind='char'`",
        ) from None

    def train(self, size: int, abandoned: threading.Event) -> bytes:
        """A model of at most ``size`` pieces; one of less text once it is ``abandoned``.

        Raises ``RuntimeError`` as SentencePiece does.
        """
        from sentencepiece import SentencePieceTrainer

        texts = takewhile(lambda _: not abandoned.is_set(), self.sample.texts())
        sentences = (line for text in texts for line in lines(text))
        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=sentences,
            model_writer=model,
            model_type=self.config.kind,
            vocab_size=size,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            byte_fallback=True,
            # Bytes leave nothing unknown, so the id that must be there serves as the boundary.
            unk_id=BOUNDARY_ID,
            unk_piece=BOUNDARY,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=2,  # fixed: unigram sums depend on it
            minloglevel=9,
        )
        return model.getvalue()


class TextSample:
    """Every n-th block of a text of unknown length, n as small as ``SAMPLE`` allows."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.chars = 0
        self.blocks = 0
        self.step = 1
        self.gathered: list[str] = []
        self.missing = BLOCK

    def add(self, text: str) -> None:
        """Add a part; small ones are gathered to a block, each on lines of its own."""
        self.gathered.append(text)
        self.missing -= len(text)
        if self.missing <= 0:
            self.close_block()

    def close_block(self) -> None:
        """Keep every ``step``-th block; if that is too much, drop half and double ``step``."""
        if self.blocks % self.step == 0:
            self.kept.append("\n".join(self.gathered))
            self.chars += len(self.kept[-1])
        self.blocks += 1
        self.gathered, self.missing = [], BLOCK
        while self.chars > SAMPLE:
            self.kept = self.kept[::2]
            self.step *= 2
            self.chars = sum(map(len, self.kept))

    def texts(self) -> list[str]:
        """The sampled blocks."""
        if self.gathered:
            self.close_block()
        return self.kept
