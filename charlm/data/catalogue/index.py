"""The catalogue of known corpora: finding a card, and what a corpus name stands for."""

import difflib
from pathlib import Path

from charlm.config import DataConfig
from charlm.data.catalogue.card import Card, Tables, bad_card, parse_card
from charlm.errors import CorpusError
from charlm.untrusted import LARGEST_TOML, parse_toml, read_file

__all__ = ["Card", "expand", "find", "list_cards", "nearest", "read_card"]


def cards_folder() -> Path:
    """Where the cards lie: inside an installed package, or at the top of a checkout."""
    here = Path(__file__).parent
    return here / "cards" if (here / "cards").is_dir() else here.parents[2] / "corpora"


def names() -> list[str]:
    """The names of all corpora, sorted."""
    return sorted(path.stem for path in cards_folder().glob("*.toml"))


def nearest(name: str) -> str | None:
    """The corpus name most like ``name``, if any is."""
    return next(iter(difflib.get_close_matches(name, names(), n=1, cutoff=0.6)), None)


def list_cards() -> tuple[Card, ...]:
    """All cards, by name.  Raises ``CorpusError`` for a card that is not in order."""
    return tuple(read_card(name) for name in names())


def read_card(name: str) -> Card:
    """The card of a corpus.  Raises ``CorpusError`` if there is none or it is not in order."""
    if name not in names():
        near = nearest(name)
        raise CorpusError(
            f"there is no corpus called {name}",
            f"did you mean {near}?" if near else "see: charlm corpora list",
        )
    path = cards_folder() / f"{name}.toml"
    try:
        table = parse_toml(read_file(path, LARGEST_TOML))
    except (OSError, ValueError) as error:
        raise bad_card(name, f"is no TOML: {error}") from None
    return parse_card(name, table)


def find(source: str) -> tuple[Card, str | None] | None:
    """What ``NAME`` or ``NAME:part`` stands for; None if it is no corpus name.

    Raises ``CorpusError`` for a part that the corpus does not have.
    """
    name, _, part = source.partition(":")
    if name not in names():
        return None
    card = read_card(name)
    if part and part not in card.parts:
        known = ", ".join(f"{name}:{each}" for each in card.parts)
        hint = f"use one of: {known}" if known else "it is a single text; divide it with `split`"
        raise CorpusError(f"the corpus {name} has no part {part!r}", hint)
    return card, part or None


def expand(data: DataConfig) -> tuple[DataConfig, Tables]:
    """Turn a sole corpus name into its texts, their division, and suggested settings.

    Anything else is returned as it is, without settings; a file of the same name wins.
    Raises ``CorpusError`` where the corpus has not been fetched.
    """
    found = find(data.sources[0]) if len(data.sources) == 1 else None
    if found is None or Path(data.sources[0]).exists():
        return data, {}
    card, part = found
    if not card.fetched:
        card.path(part)  # raises
    return (data if part else card.data(data)), card.settings
