"""Build a token store: read, divide, learn the tokenizer, encode, all in a stream."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import store
from charlm.data.preparation.counting import Counts
from charlm.data.preparation.encoding import Encoders, available_cores
from charlm.data.preparation.splits import divide, part_ends
from charlm.data.sources.corpora import Corpus, open_corpus
from charlm.data.sources.files import shown
from charlm.data.sources.pieces import Piece, printable
from charlm.data.tokenizers.kinds import Tokenizer, tokenizer_trainer
from charlm.durable import write_folder
from charlm.errors import CorpusError

__all__ = ["PARTS", "Preparing", "Source", "build", "open_sources"]

PARTS = ("train", "valid", "test")
NOTABLE = 0.05  # share of unknown tokens from which the user is told
PARALLEL_FROM = 1 << 24  # characters; below, starting processes costs more than it saves


@dataclass(frozen=True)
class Preparing:
    """Progress: ``done`` of ``total`` characters (byte tokenizer: bytes), None if not known."""

    phase: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Source:
    """A text, the parts it is divided into with their shares of it, and its hash."""

    corpus: Corpus
    parts: tuple[str, ...]
    shares: tuple[float, ...]
    digest: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return shown(self.corpus.names)


@dataclass(frozen=True)
class MeasuredSource:
    """A source, its length in characters (raw: bytes), and where its parts end."""

    source: Source
    total: int
    ends: list[int]

    def parts(self) -> Iterator[tuple[str, Iterator[Piece]]]:
        """Each part that has text, with its pieces, in one reading.

        Raises ``CorpusError`` at the end if the text is no longer the one that was hashed.
        """
        pieces = self.source.corpus.pieces(self.source.digest)
        for number, part in groupby(divide(pieces, self.ends), itemgetter(0)):
            yield self.source.parts[number], map(itemgetter(1), part)
        # The hash is checked when the last piece was taken, also one beyond the end.
        for _ in pieces:
            continue


def open_sources(data: DataConfig, *, raw: bool) -> list[Source]:
    """The text that is divided, then validation and test texts of their own.

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
            sources.append(Source(corpus, parts, shares, corpus.digest()))
    return sources


def check_names(names: Sequence[str]) -> None:
    """Raise ``CorpusError`` for a name that is not UTF-8: no run could say what it was made of."""
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise CorpusError(
                f"the name {printable(name)} is not UTF-8, so that a run cannot record it",
                "rename it, or give the folder that it is in",
            ) from None


def build(
    sources: list[Source], config: TokenizerConfig, folder: Path, key: str
) -> Iterator[Preparing]:
    """Make the store ``folder``, which does not exist yet.

    Raises ``CorpusError``, ``TokenizerError``, ``OSError``; nothing is left then.
    """
    measured = []
    for source in sources:
        measured.append((yield from measure(source)))
    tokenizer, notes = yield from learn(measured[0], config)
    with write_folder(folder) as temporary:
        (temporary / "tokenizer").mkdir()
        tokenizer.save(temporary / "tokenizer")
        counts, oov = yield from encode(measured, tokenizer, temporary)
        about = {
            "key": key,
            "sources": [source.digest for source in sources],
            "notes": [*notes, *unknown_notes(counts, oov)],
            "oov": oov,
        }
        store.write_summary(temporary, tokenizer, counts, about)


def measure(source: Source) -> Generator[Preparing, None, MeasuredSource]:
    """Read a source to learn its length; returns it ``MeasuredSource``.

    Raises ``CorpusError`` if it cannot be read, is only white space, or has too little for a part.
    """
    total = 0
    for piece in source.corpus.pieces():
        total += len(piece.text)
        yield Preparing("measuring", total, None)
    ends = part_ends(total, source.shares)
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(sizes) == 0:
        counts = ", ".join(
            f"{part} {size:,}" for part, size in zip(source.parts, sizes, strict=True)
        )
        unit = "bytes" if source.corpus.encoding is None else "characters"
        raise CorpusError(
            f"{source.name} is too small to be divided: of its {total:,} {unit}, {counts}",
            "give more text, another `split`, or validation text of its own with `valid`",
        )
    return MeasuredSource(source, total, ends)


def learn(
    measured: MeasuredSource, config: TokenizerConfig
) -> Generator[Preparing, None, tuple[Tokenizer, tuple[str, ...]]]:
    """Learn the tokenizer from the training part; returns it with its notes."""
    trainer = tokenizer_trainer(config)
    if config.kind != "byte":
        done, total = 0, measured.ends[0]
        _, pieces = next(measured.parts())
        for piece in pieces:
            trainer.add(piece.text)
            done += len(piece.text)
            yield Preparing("learning the tokenizer", done, total)
    return trainer.finish()


def unknown_notes(counts: dict[str, Counts], oov: dict[str, int]) -> list[str]:
    """A note for each held-out part of which a notable share is unknown."""
    return [
        f"{oov[part] / held.tokens:.1%} of the tokens of the {part} part are not in the vocabulary"
        for part, held in counts.items()
        if part != "train" and oov[part] > NOTABLE * held.tokens
    ]


def encode(
    measured: list[MeasuredSource], tokenizer: Tokenizer, folder: Path
) -> Generator[Preparing, None, tuple[dict[str, Counts], dict[str, int]]]:
    """Write the tokens of every part into ``folder``; returns the counts of each, and how many
    of its tokens the vocabulary lacks.

    Raises ``CorpusError`` for a part without tokens, a training part of one, or a text that
    changed since it was measured.
    """
    done, total = 0, sum(source.total for source in measured)
    slow = tokenizer.kind not in ("byte", "char")
    workers = available_cores() if slow and total >= PARALLEL_FROM else 1
    counts, oov = {}, {}
    with Encoders(tokenizer, workers) as encoders:
        for part, pieces in chain.from_iterable(source.parts() for source in measured):
            with store.PartWriter(folder, part, tokenizer) as writer:
                for piece in encoders.encode(pieces):
                    writer.add(piece)
                    done += len(piece.text)
                    yield Preparing("encoding", done, total)
            counts[part], oov[part] = writer.counts, writer.oov
    for part, held in counts.items():
        least = 2 if part == "train" else 1
        if held.tokens < least:
            raise CorpusError(
                f"the {part} part has {held.tokens} of the {least} tokens that it needs",
                "give more text",
            )
    if done != total:
        raise CorpusError("the text was changed while it was read", "try again")
    return counts, oov
