"""The catalogue, fetching and making on the screen."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from charlm.console.figures import print_pair, print_pairs
from charlm.console.streams import print_json, talk
from charlm.data.catalogue.card import Card
from charlm.data.catalogue.fetching import Fetched, Fetching

__all__ = ["show_card", "show_cards", "show_fetching", "show_synthetic"]


def state_of(card: Card) -> str:
    """Whether the text is here."""
    if card.kind == "embedded":
        return "ready"
    if card.kind == "hub":
        return "Hub"
    return "ready" if card.fetched else "fetch"


def show_cards(cards: Iterable[Card], *, as_json: bool) -> None:
    """A line each: name, whether it is here, title."""
    for card in cards:
        if as_json:
            print_json(dataclasses.asdict(card) | {"state": state_of(card)})
        else:
            print(f"{card.name:<16} {state_of(card):<6} {card.title}")


def show_card(card: Card, *, as_json: bool) -> None:
    """All that is known of a corpus."""
    if as_json:
        print_json(dataclasses.asdict(card) | {"state": state_of(card)})
        return
    split = f"separate texts: {', '.join(card.parts)}" if card.parts else "90,5,5 unless told"
    if card.shares:
        split = f"{','.join(f'{share:g}' for share in card.shares)} of the characters"
    origin = [file.url for file in card.files] or [card.hub.dataset if card.hub else "with Python"]
    print_pairs(
        {
            "name": card.name,
            "title": card.title,
            "about": card.description,
            "language": card.language,
            "licence": card.licence,
            "split": split,
            "from": "\n".join(dict.fromkeys(origin)),
            "state": state_of(card),
        }
    )
    for figure in card.published:
        note = f" ({figure.note})" if figure.note else ""
        print_pair(
            "published",
            f"{figure.value:g} {figure.metric}: {figure.model}{note}; {figure.paper}",
        )
    print_pair("train", f"charlm train {card.name}")


def show_fetching(name: str, records: Iterable[Fetching | Fetched]) -> None:
    """A bar while it comes, then where it lies."""
    console = talk()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(name, total=None)
        for record in records:
            if isinstance(record, Fetching):
                progress.update(
                    task,
                    description=f"{record.phase} {record.what}",
                    completed=record.done,
                    total=record.total,
                )
            else:
                where = record.paths[0].parent if record.paths else "no file is needed"
                there = "was there already" if record.already else "is here"
                console.print(f"{name} {there}: {where}", markup=False)
                console.print(f"next:  charlm train {name}", markup=False)


def show_synthetic(path: Path, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """What was made."""
    if as_json:
        print_json({"path": str(path), **facts})
        return
    print_pairs(
        {
            "text": f"{path}: {facts['chars']:,} characters of a {facts['source']} source",
            "entropy": f"{facts['entropy_rate_bits_per_char']:.6f} bits per character, exactly",
            "this text": f"{facts['surprisal_bits_per_char']:.6f} bits per character by the source",
            "details": f"{path}.json",
        }
    )
