"""Novelty of samples, files and texts against a run's training text, beside human text."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.data.suffixes.building import Indexing, fold
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, CorpusError
from charlm.inference.generation.text import write_samples
from charlm.inference.loading import Loaded, index_training_text, load_part
from charlm.inference.novelty.overlaps import LENGTHS, measure_overlap
from charlm.inference.novelty.table import NoveltyTable, TextGroup, TextNovelty
from charlm.inference.texts import TextSource

__all__ = ["Comparing", "SampleChoice", "measure_novelty", "sampling"]

HUMAN = 50_000
"""Characters of held-out text that are compared at most; with 1 MB of training text, a second."""

Named = tuple[str, str]
"""The name of a text, and the text."""


@dataclass(frozen=True)
class SampleChoice:
    """The samples that are compared: ``samples`` of ``length`` characters at each temperature."""

    temperatures: Sequence[float] = (0.5, 0.8, 1.0)
    samples: int = 5
    length: int = 500
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises ``ConfigError`` for a number out of range."""
        for name, value, least in (
            ("samples", self.samples, 1),
            ("length", self.length, LENGTHS[0]),
        ):
            if value < least:
                raise ConfigError(f"`{name}` must be {least} or more, got {value}", "raise it")
        if not self.temperatures:
            raise ConfigError("`temperatures` is empty", "give one or more: `temperatures=[0.8]`")


def sampling(*, texts: bool, **given: Any) -> SampleChoice:
    """The samples to compare, by what is ``given`` of the fields of ``SampleChoice``, None for
    nothing.

    Raises ``ConfigError`` for numbers out of range, and where ``texts`` are compared instead.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if texts and chosen:
        name = next(iter(chosen))
        raise ConfigError(
            f"`{name}` does nothing where a text is compared", f"leave out `{name}`, or the text"
        )
    return SampleChoice(**chosen)


@dataclass(frozen=True)
class Comparing:
    """Progress: ``done`` of ``total`` characters are compared."""

    done: int
    total: int


def measure_novelty(
    loaded: Loaded, texts: Sequence[TextSource], samples: SampleChoice
) -> Iterator[Indexing | Comparing | NoveltyTable]:
    """Compare ``texts``, or samples where there are none, with the run's training text; the last
    record is the table.

    Words are compared as ``decode`` writes them.  Raises ``ConfigError`` for texts that are too
    short, and what ``index_training_text`` raises.
    """
    exact = yield from last_index(index_training_text(loaded))
    folded = yield from last_index(index_training_text(loaded, folded=True))
    groups = [given_texts(loaded.tokenizer, text) for text in texts] or [
        samples_at(loaded, temperature, samples, exact) for temperature in samples.temperatures
    ]
    groups = [(name, long_enough(group)) for name, group in groups]
    if not all(group for _, group in groups):
        raise ConfigError(
            f"a text has less than {LENGTHS[0]} characters, and nothing to count",
            "give longer texts",
        )
    sizes = [len(text) for _, group in groups for _, text in group]
    part, human, missing = human_texts(loaded, sum(sizes) // len(sizes))
    total = sum(sizes) + sum(len(text) for _, text in human)
    done, found = 0, list[TextGroup]()
    for name, group in [*groups, (f"human ({part} part)", human)]:
        members = []
        for title, text in group:
            members.append(compare(exact, folded, title, text))
            done += len(text)
            yield Comparing(done, total)
        found.append(TextGroup(name, tuple(members)))
    yield NoveltyTable(loaded.name, tuple(found[:-1]), found[-1] if human else None, part, missing)


def last_index(
    records: Iterator[Indexing | SuffixIndex],
) -> Generator[Indexing, None, SuffixIndex]:
    """Hand the progress on; returns the index."""
    for record in records:
        if isinstance(record, SuffixIndex):
            return record
        yield record
    raise AssertionError


def compare(exact: SuffixIndex, folded: SuffixIndex, name: str, text: str) -> TextNovelty:
    """The figures of one text."""
    overlap = measure_overlap(exact, text)
    place = exact.place_of(overlap.longest) if overlap.longest else None
    return TextNovelty(name, overlap, measure_overlap(folded, fold(text).strip()), place)


def long_enough(texts: Sequence[Named]) -> list[Named]:
    """The texts that have n-grams."""
    return [(name, text) for name, text in texts if len(text) >= LENGTHS[0]]


def as_decoded(tokenizer: Tokenizer, text: str) -> str:
    """A text of words as ``decode`` writes it, which is how the training text is compared: with
    single spaces, and ``<unk>`` for words that the vocabulary lacks.  Other texts stay as they are.
    """
    return tokenizer.decode(tokenizer.encode(text)) if tokenizer.kind == "word" else text


def given_texts(tokenizer: Tokenizer, source: TextSource) -> tuple[str, list[Named]]:
    """The documents of a text that was given, by the name of the text."""
    documents: list[list[str]] = []
    assert isinstance(source.content, Corpus)
    for piece in source.content.pieces():
        text = piece.text if isinstance(piece.text, str) else piece.text.decode("utf-8", "replace")
        if piece.starts or not documents:
            documents.append([])
        documents[-1].append(text)
    texts = [as_decoded(tokenizer, "".join(parts)) for parts in documents]
    if len(texts) == 1:
        return source.name, [(source.name, texts[0])]
    return source.name, [(f"document {n:,}", text) for n, text in enumerate(texts, 1)]


def samples_at(
    loaded: Loaded, temperature: float, samples: SampleChoice, training_text: SuffixIndex
) -> tuple[str, list[Named]]:
    """What the model writes at a temperature, without a prompt."""
    config = replace(loaded.run.config.generation, temperature=temperature, length=samples.length)
    seeds = range(samples.seed, samples.seed + samples.samples)
    written = write_samples(
        loaded.model, loaded.tokenizer, config=config, seeds=seeds, training_text=training_text
    )
    texts = [(f"seed {sample.seed}", "".join(sample)) for sample in written]
    named = [(name, as_decoded(loaded.tokenizer, text)) for name, text in texts]
    return f"temperature {temperature:g}", named


def human_texts(loaded: Loaded, length: int) -> tuple[str, list[Named], str]:
    """The held-out part that serves as the yardstick, stretches of it of ``length`` characters,
    and why there are none.
    """
    missing = "the run has no held-out text"
    for part in ("test", "valid"):
        if part in loaded.run.origin.get("counts", {}):
            try:
                texts = stretches(load_part(loaded, part), loaded.tokenizer, length)
            except CorpusError as error:
                missing = str(error)
                continue
            if texts:
                return part, texts, ""
            missing = f"the {part} part is too short"
    return "", [], missing


def stretches(store: TokenStore, tokenizer: Tokenizer, length: int) -> list[Named]:
    """Texts of ``length`` characters, or up to the end of their document, spread evenly over a
    part.
    """
    tokens, chars = store.tokens, max(store.counts.chars, 1)
    count = max(1, min(HUMAN, chars) // length)
    texts = []
    for number in range(count):
        start = number * len(tokens) // count
        # A character takes up to four tokens.
        ids = tokens[start : start + 4 * length + 1]
        ids = ids[1:] if ids[0] == tokenizer.boundary_id else ids
        end = np.flatnonzero(ids == tokenizer.boundary_id)
        text = tokenizer.decode(ids[: end[0]] if len(end) else ids).lstrip("\ufffd")[:length]
        texts.append((f"{number + 1:,}", text))
    return long_enough(texts)
