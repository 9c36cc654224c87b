"""The card of a corpus: what the text is, where it comes from, how it is divided.

A card is a TOML file that comes with charlm.  It is data: nothing in it is run.  The tests check
that every card keeps to its form.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from charlm.config import DataConfig
from charlm.data.cache import cache_folder
from charlm.errors import CorpusError

__all__ = ["Card", "CardFile", "Hub", "PublishedResult", "bad_card", "is_private", "parse_card"]

PARTS = ("train", "valid", "test")
Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """One text to download: ``part`` is train, valid, test, or all for a single text.

    ``bytes`` and ``sha256`` are of what ``url`` delivers.  If that is a zip archive, the text is
    its ``member``, with ``member_bytes`` and ``member_sha256``.  ``strip_lines`` takes the spaces
    off both ends of every line.
    """

    part: str
    url: str
    bytes: int | None = None
    sha256: str | None = None
    member: str | None = None
    member_bytes: int | None = None
    member_sha256: str | None = None
    strip_lines: bool | None = None

    @property
    def arrival(self) -> str:
        """What the download is called here: the end of its address, made harmless."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-100:].lstrip(".") or "download"


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A dataset on the Hugging Face Hub and what its splits are called."""

    dataset: str
    config: str | None = None
    train: str
    valid: str | None = None
    test: str | None = None

    def address(self, part: str | None) -> str:
        """How a part, by default the training part, is called as a source."""
        split = getattr(self, part or "train")
        return f"hf:{self.dataset}" + (f"@{self.config}" if self.config else "") + f":{split}"


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """A published figure for the test text, of a static model unless ``note`` says more."""

    model: str
    metric: str
    value: float
    paper: str
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """One known corpus.

    ``shares`` or ``byte_split`` divide a single text, in order, by characters or by bytes.
    ``settings`` are tables of suggested settings, as in a configuration file.
    """

    name: str
    title: str
    description: str
    language: str
    licence: str
    kind: str
    page: str | None = None
    files: tuple[CardFile, ...] = ()
    hub: Hub | None = None
    shares: tuple[float, ...] | None = None
    byte_split: tuple[int, ...] | None = None
    settings: Tables = dataclasses.field(default_factory=dict)
    published: tuple[PublishedResult, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that have a text of their own; none where there is a single text."""
        if self.hub:
            return tuple(part for part in PARTS if getattr(self.hub, part))
        if self.byte_split:
            return PARTS[: len(self.byte_split)]
        return tuple(part for part in PARTS if part in {file.part for file in self.files})

    @property
    def folder(self) -> Path:
        """Where the fetched texts lie."""
        return cache_folder() / "corpora" / self.name

    @property
    def paths(self) -> tuple[Path, ...]:
        """The texts that fetching leaves behind."""
        names = self.parts or (("all",) if self.files else ())
        return () if self.hub else tuple(self.folder / f"{name}.txt" for name in names)

    @property
    def fetched(self) -> bool:
        """Whether every text is there; true for a corpus that needs no fetching."""
        return all(path.is_file() for path in self.paths)

    @property
    def state(self) -> str:
        """Whether its text is at hand: ready, Hub (streamed from there), or fetch."""
        if self.kind == "hub":
            return "Hub"
        return "ready" if self.fetched else "fetch"

    @property
    def division(self) -> str:
        """How the text is divided, for people."""
        if self.shares:
            return f"{','.join(f'{share:g}' for share in self.shares)} of the characters"
        return f"separate texts: {', '.join(self.parts)}" if self.parts else "90,5,5 by default"

    @property
    def origins(self) -> tuple[str, ...]:
        """The addresses or the dataset that the text comes from; none if Python carries it."""
        urls = tuple(dict.fromkeys(file.url for file in self.files))
        return (self.hub.dataset,) if self.hub else urls

    def path(self, part: str | None) -> Path:
        """The text of ``part``, by default the training part or all there is.

        Raises ``CorpusError`` where it has not been fetched.
        """
        path = self.folder / f"{part or (self.parts or ('all',))[0]}.txt"
        if not path.is_file():
            raise CorpusError(
                f"the corpus {self.name} has not been fetched", f"charlm corpora fetch {self.name}"
            )
        return path

    def data(self, data: DataConfig) -> DataConfig:
        """``data`` with this corpus as its source, divided as the card says.

        A division that ``data`` already asks for is kept; then only the training part is read.
        """
        first = f"{self.name}:{self.parts[0]}" if self.parts else self.name
        data = dataclasses.replace(data, sources=(first,))
        if data.split or data.valid or data.test:
            return data
        if not self.parts:
            return dataclasses.replace(data, split=self.shares)
        texts = {part: (f"{self.name}:{part}",) for part in self.parts[1:]}
        return dataclasses.replace(data, **texts)  # type: ignore[arg-type]


def bad_card(name: str, why: str) -> CorpusError:
    """The error for a card that cannot be read."""
    why = " ".join(why.split())[:300]
    return CorpusError(f"the card of the corpus {name} {why}", "mend it, or install charlm again")


def parse_card(name: str, table: Mapping[str, Any]) -> Card:
    """Read the table of a card.  Raises ``CorpusError`` for fields that are unknown or missing."""
    values = dict(table)
    try:
        split = {unit: tuple(sizes) for unit, sizes in values.pop("split", {}).items()}
        files = tuple(CardFile(**each) for each in values.pop("files", ()))
        published = tuple(PublishedResult(**each) for each in values.pop("published", ()))
        hub = Hub(**values.pop("hub")) if "hub" in values else None
        return Card(
            name=name, files=files, hub=hub, shares=split.get("shares"),
            byte_split=split.get("bytes"), published=published, **values,
        )  # fmt: skip
    except (AttributeError, TypeError) as error:
        raise bad_card(name, f"is not in order: {error}") from None


def is_private(url: str) -> bool:
    """Whether nobody between here and the server can change what it delivers."""
    return urlsplit(url).scheme == "https" or urlsplit(url).hostname in ("127.0.0.1", "::1")
