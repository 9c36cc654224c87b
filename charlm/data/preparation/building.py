"""Build a token store: read, divide, learn the tokenizer, encode, all in a stream."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import store
from charlm.data.preparation.encoding import Encoders, available_cores
from charlm.data.preparation.splits import divide, part_ends
from charlm.data.sources.corpora import Corpus, DocumentHash, open_corpus
from charlm.data.sources.files import shown
from charlm.data.sources.pieces import Piece, printable
from charlm.data.tokenizers.growth import KnownTokenizer
from charlm.data.tokenizers.kinds import Tokenizer, tokenizer_trainer
from charlm.durable import make_folder, write_folder
from charlm.errors import CorpusError, counted

__all__ = ["PARTS", "Preparing", "Source", "build", "open_sources"]

PARTS = ("train", "valid", "test")
NOTABLE = 0.05
"""Share of unknown tokens in a held-out part above which the user gets a note."""

PARALLEL_FROM = 1 << 24
"""Characters from which worker processes save more time than starting them takes."""


@dataclass(frozen=True)
class Preparing:
    """Progress: ``done`` of ``total`` characters (byte tokenizer: bytes), None if not known."""

    phase: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Source:
    """A text that has been read once, and the parts it is divided into with their shares of it.

    ``size`` are the bytes of its files, where known; ``total`` is its length in characters (raw:
    bytes), ``ends`` where its parts end.
    """

    corpus: Corpus
    parts: tuple[str, ...]
    shares: tuple[float, ...]
    digest: str
    size: int | None
    total: int
    ends: list[int]

    def pieces(self) -> Iterator[tuple[str, Iterator[Piece]]]:
        """Each part that has text, with its pieces; the text is read once.

        Raises ``CorpusError`` at the end if the text is no longer the one that was hashed.
        """
        hashing = DocumentHash()
        pieces = self.corpus.pieces(hashing)
        for number, part in groupby(divide(pieces, self.ends), itemgetter(0)):
            yield self.parts[number], map(itemgetter(1), part)
        # What was added to the text since lies beyond the last part.
        for _ in pieces:
            continue
        same = hashing.hexdigest(self.corpus.encoding) == self.digest
        if not same or self.corpus.size != self.size:
            raise CorpusError("the text was changed while it was read", "try again")


def open_sources(data: DataConfig, *, raw: bool) -> Generator[Preparing, None, list[Source]]:
    """Read the text that is divided, then validation and test texts of their own.

    Raises ``CorpusError``, also for a name that could not be written down with the settings.
    """
    wanted = [
        (data.sources, PARTS[: len(data.shares)], data.shares),
        (data.valid, ("valid",), (1.0,)),
        (data.test, ("test",), (1.0,)),
    ]
    sources = []
    for names, parts, shares in wanted:
        if names or "train" in parts:
            check_names(names)
            corpus = open_corpus(names, data, raw=raw)
            sources.append((yield from measure(corpus, parts, shares)))
    return sources


def measure(
    corpus: Corpus, parts: tuple[str, ...], shares: tuple[float, ...]
) -> Generator[Preparing, None, Source]:
    """Read a corpus for its hash and its length; returns the source that it makes.

    Raises ``CorpusError`` if it cannot be read, is only white space, or has too little for a part.
    """
    hashing, size, total = DocumentHash(), corpus.size, 0
    for piece in corpus.pieces(hashing):
        total += len(piece.text)
        yield Preparing("measuring", total, None)
    ends = part_ends(total, shares)
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(sizes) == 0:
        counts = ", ".join(f"{part} {size:,}" for part, size in zip(parts, sizes, strict=True))
        whole = counted(total, "byte" if corpus.encoding is None else "character")
        raise CorpusError(
            f"{shown(corpus.names)} is too small to be divided: of its {whole}, {counts}",
            "give more text, another `split`, or validation text of its own with `valid`",
        )
    digest = hashing.hexdigest(corpus.encoding)
    return Source(corpus, parts, shares, digest, size, total, ends)


def check_names(names: Sequence[str]) -> None:
    """Raise ``CorpusError`` for a name that is not UTF-8: a run could not record it."""
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise CorpusError(
                f"the name {printable(name)} is not UTF-8, so that a run cannot record it",
                "rename it, or give the folder that it is in",
            ) from None


def build(
    sources: list[Source],
    config: TokenizerConfig,
    folder: Path,
    key: str,
    known: KnownTokenizer | None = None,
) -> Iterator[Preparing]:
    """Make the store ``folder``, which does not exist yet; its vocabulary begins with ``known``.

    Raises ``CorpusError``, ``TokenizerError``, ``OSError``; nothing is left then.
    """
    tokenizer, notes = yield from learn(sources[0], config, known)
    with write_folder(folder) as temporary:
        make_folder(temporary / "tokenizer")
        tokenizer.save(temporary / "tokenizer")
        parts = yield from encode(sources, tokenizer, temporary)
        about = {
            "key": key,
            "sources": [source.digest for source in sources],
            "notes": [*notes, *unknown_notes(parts)],
            "unknown": {part: dict(written.missing) for part, written in parts.items()},
        }
        counts = {part: written.counts for part, written in parts.items()}
        store.write_summary(temporary, tokenizer, counts, about)


def learn(
    source: Source, config: TokenizerConfig, known: KnownTokenizer | None
) -> Generator[Preparing, None, tuple[Tokenizer, tuple[str, ...]]]:
    """Learn the tokenizer from the training part, or take over or enlarge the ``known`` one;
    returns it with its notes.
    """
    if known is not None and not known.grows:
        return known.tokenizer, ()
    trainer = tokenizer_trainer(config)
    if config.kind != "byte":
        done, total = 0, source.ends[0]
        _, pieces = next(source.pieces())
        for piece in pieces:
            trainer.add(piece.text)
            done += len(piece.text)
            yield Preparing("learning the tokenizer", done, total)
    learned, notes = trainer.finish()
    return (learned if known is None else known.covering(learned)), notes


def unknown_notes(parts: dict[str, store.PartWriter]) -> list[str]:
    """A note for each held-out part of which a notable share is unknown."""
    shares = {part: written.oov / written.counts.tokens for part, written in parts.items()}
    return [
        f"{share:.1%} of the tokens of the {part} part are not in the vocabulary"
        for part, share in shares.items()
        if part != "train" and share > NOTABLE
    ]


def encode(
    sources: list[Source], tokenizer: Tokenizer, folder: Path
) -> Generator[Preparing, None, dict[str, store.PartWriter]]:
    """Write the tokens of every part into ``folder``; returns what has written them.

    Raises ``CorpusError`` for a part without tokens, a training part of one, or a text that
    changed since it was hashed.
    """
    done, total = 0, sum(source.total for source in sources)
    slow = tokenizer.kind not in ("byte", "char")
    workers = available_cores() if slow and total >= PARALLEL_FROM else 1
    parts = {}
    with Encoders(tokenizer, workers) as encoders:
        for part, pieces in chain.from_iterable(source.pieces() for source in sources):
            with store.PartWriter(folder, part, tokenizer) as writer:
                for piece in encoders.encode(pieces):
                    writer.add(piece)
                    done += len(piece.text)
                    yield Preparing("encoding", done, total)
            parts[part] = writer
    for part, writer in parts.items():
        tokens, least = writer.counts.tokens, 2 if part == "train" else 1
        if tokens < least:
            raise CorpusError(
                f"the {part} part has {tokens} of the {counted(least, 'token')} that it needs",
                "give more text",
            )
    return parts
