"""Cards, downloads and synthetic texts on the terminal."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, TextColumn

from charlm.console.figures import print_pair
from charlm.console.streams import result_of, talk
from charlm.console.tables import print_aligned, print_record, print_rows
from charlm.data.catalogue.card import Card
from charlm.data.catalogue.fetching import Fetched, Fetching
from charlm.errors import counted

__all__ = ["show_card", "show_cards", "show_fetching", "show_synthetic"]


def show_cards(cards: Iterable[Card], *, as_json: bool) -> None:
    """Print a line for each card: name, state, title; or a JSON object."""
    if as_json:
        print_rows(map(record_of, cards), "jsonl")
    else:
        print_aligned(([card.name, card.state, card.title] for card in cards), left=range(3))


def record_of(card: Card) -> dict[str, Any]:
    """A card for ``--json``."""
    return dataclasses.asdict(card) | {"state": card.state}


def show_card(card: Card, *, as_json: bool) -> None:
    """Print a card with its published figures; or a JSON object."""
    about = {
        "name": card.name,
        "title": card.title,
        "about": card.description,
        "language": card.language,
        "licence": card.licence,
        "split": card.division,
        "from": "\n".join(card.origins) or "Python",
        "state": card.state,
    }
    print_record(record_of(card), about, as_json=as_json)
    if as_json:
        return
    for figure in card.published:
        note = f" ({figure.note})" if figure.note else ""
        figures = f"{figure.value:g} {figure.metric}: {figure.model}{note}; {figure.paper}"
        print_pair("published", figures)
    print_pair("train", f"charlm train {card.name}")


def show_fetching(name: str, records: Iterable[Fetching | Fetched]) -> None:
    """Draw a bar while a corpus is downloaded, then say where it is stored."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(24), DownloadColumn()
    found: Fetched = result_of(
        records,
        {Fetching: lambda each: (f"{each.phase} {each.what}", each.done, each.total)},
        *columns,
    )
    where = found.paths[0].parent if found.paths else "no file is needed"
    done = "was fetched before" if found.already else "is ready"
    talk().print(f"{name} {done}: {where}\nnext:  charlm train {name}")


def show_synthetic(path: Path, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print where a synthetic text was written and its entropy; or a JSON object."""
    rows = {
        "text": f"{path}: {counted(facts['chars'], 'character')} of a {facts['source']} source",
        "entropy": f"{facts['entropy_rate_bits_per_char']:.6f} bits per character, exactly",
        "this text": f"{facts['surprisal_bits_per_char']:.6f} bits per character by the source",
        "details": f"{path}.json",
    }
    print_record({"path": str(path), **facts}, rows, as_json=as_json)
