"""The card of a corpus: what the text is, where it comes from, how it is divided.

A card is a TOML file.  It is data: nothing in it is run, and a card that does not keep to the form
is refused.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints
from urllib.parse import unquote, urlsplit

from charlm.config import Config, DataConfig
from charlm.config.section import unknown_name
from charlm.data.cache import cache_folder
from charlm.errors import ConfigError, CorpusError

__all__ = ["Card", "CardFile", "Hub", "PublishedResult", "bad_card", "is_private", "parse_card"]

PARTS = ("train", "valid", "test")
KINDS = ("download", "embedded", "hub")
LARGEST = 1 << 40
"""No size on a card may exceed this many bytes."""

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
    """The error for a card that does not keep to the form."""
    why = " ".join(why.split())[:300]
    return CorpusError(f"the card of the corpus {name} {why}", "mend it, or install charlm again")


def parse_card(name: str, table: Mapping[str, Any]) -> Card:
    """Read the table of a card.  Raises ``CorpusError`` for whatever is not in order."""
    try:
        values = dict(table)
        for key in {"name", "shares", "byte_split"} & set(values):
            raise ValueError(f"a card has no key {key}")
        values["files"] = tuple(entry(CardFile, each) for each in items(values, "files"))
        values["published"] = tuple(
            entry(PublishedResult, each) for each in items(values, "published")
        )
        if "hub" in values:
            values["hub"] = entry(Hub, values["hub"])
        values |= division(values.pop("split", {}))
        values["settings"] = settings(values.get("settings", {}))
        card: Card = entry(Card, {"name": name} | values)
        check_sources(card)
    except (ConfigError, ValueError, OverflowError) as error:
        hint = f": {error.hint}" if isinstance(error, ConfigError) else ""
        raise bad_card(name, f"is not in order: {error}{hint}") from None
    return card


def entry(kind: type[Any], table: Any) -> Any:
    """A dataclass from a table of its fields.  Raises ``ValueError`` or ``ConfigError``."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{kind.__name__} must be a table, got {table!r}")
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise unknown_name(f"key {key}", key, list(hints))
    for field in dataclasses.fields(kind):
        value = table.get(field.name)
        if value is None and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{kind.__name__} lacks {field.name}")
        if value is not None:
            check_value(field.name, value, hints[field.name])
    return kind(**table)


def check_value(name: str, value: Any, kind: Any) -> None:
    """Raise ``ValueError`` unless ``value`` is of ``kind`` and within reason."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if str in kinds and not (isinstance(value, str) and value.strip()):
        raise ValueError(f"{name} must be a text, got {value!r}")
    if float in kinds and not (type(value) in (int, float) and math.isfinite(value)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if int in kinds and not (type(value) is int and 0 < value <= LARGEST):
        raise ValueError(f"{name} must be a number of bytes, got {value!r}")
    if bool in kinds and not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")
    forms = {"url": r"https?://[!-~]+", "part": "train|valid|test|all", "kind": "|".join(KINDS)}
    forms |= dict.fromkeys(("sha256", "member_sha256"), "[0-9a-f]{64}")
    forms["dataset"] = r"[\w-][\w.-]*(/[\w-][\w.-]*)?"
    forms |= dict.fromkeys(("config", *PARTS), r"[^:@\s]+")
    if name in forms and not re.fullmatch(forms[name], value):
        raise ValueError(f"{name} must look like {forms[name]}, got {value!r}")


def items(table: Mapping[str, Any], key: str) -> list[Any]:
    """The list under ``key``, by default empty.  Raises ``ValueError``."""
    value = table.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list of tables, got {value!r}")
    return value


def division(table: Any) -> dict[str, Any]:
    """The fields that divide a text: by ``shares`` or by ``bytes``.  Raises ``ValueError``."""
    if not isinstance(table, Mapping) or len(table) > 1 or set(table) - {"shares", "bytes"}:
        raise ValueError(f"split must hold either shares or bytes, got {table!r}")
    for values in table.values():
        if not isinstance(values, list) or len(values) not in (2, 3):
            raise ValueError(f"split must be two or three numbers, got {values!r}")
        for value in values:
            check_value("split", value, int if "bytes" in table else float)
            if not value > 0:
                raise ValueError(f"split must be above 0, got {value!r}")
    fields = {"shares": "shares", "bytes": "byte_split"}
    return {fields[key]: tuple(values) for key, values in table.items()}


def settings(tables: Any) -> Tables:
    """Suggested settings, all of them known and within range.

    Raises ``ConfigError`` or ``ValueError``.
    """
    if not isinstance(tables, Mapping) or "data" in tables:
        raise ValueError("settings must be tables of tokenizer, model or training settings")
    Config.from_tables(tables)
    return {name: dict(table) for name, table in tables.items()}


def is_private(url: str) -> bool:
    """Whether nobody between here and the server can change what it delivers."""
    return urlsplit(url).scheme == "https" or urlsplit(url).hostname in ("127.0.0.1", "::1")


def check_sources(card: Card) -> None:
    """Raise ``ValueError`` where kind, files and division do not go together."""
    parts = [file.part for file in card.files]
    if (card.kind == "download") != bool(parts) or (card.kind == "hub") != bool(card.hub):
        raise ValueError(f"a corpus of kind {card.kind} takes other sources")
    if len(set(parts)) < len(parts) or (len(parts) > 1 and "all" in parts):
        raise ValueError(f"the parts {', '.join(parts)} do not go together")
    if parts and parts != ["all"] and "train" not in parts:
        raise ValueError("no file is the part train")
    if card.shares and card.parts:
        raise ValueError("split does not go with parts that have a text of their own")
    if card.byte_split and parts != ["all"]:
        raise ValueError("split.bytes needs a single file")
    if len({file.arrival for file in card.files}) < len({file.url for file in card.files}):
        raise ValueError("two addresses end alike")
    for file in card.files:
        if not (file.sha256 or is_private(file.url)):
            raise ValueError(f"{file.url} is no https, and needs a sha256")
        if file.member is None and (file.member_bytes or file.member_sha256):
            raise ValueError("member_bytes and member_sha256 need a member")
