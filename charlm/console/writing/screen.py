"""The screen of a writing session as rows of styled text: pure functions of what it shows."""

import os

from charlm.console.streams import on_one_line
from charlm.console.terminal import harmless
from charlm.console.writing.desk import Desk
from charlm.console.writing.readiness import NARROWEST, SHORTEST
from charlm.console.writing.rows import columns_of, last_rows, shortened
from charlm.errors import counted

__all__ = ["KEYS", "STYLES", "Screen", "draw"]


BESIDE = 60
"""Columns from which on the candidates stand beside the text, not below it."""

PANEL = 26
"""Columns of the candidates beside the text."""

STYLES = {
    "last": "ansicyan underline",
    "title": "bold",
    "selected": "reverse",
    "status": "reverse",
    "message": "bold ansiyellow reverse",
    "key": "bold",
    "faint": "ansibrightblack",
}

KEYS = (
    ("F1", "help", "this help (also Alt-?)"),
    ("Tab", "word", "the model continues by a word"),
    ("^L", "line", "... to the end of the line"),
    ("^P", "paragraph", "... to the end of the paragraph"),
    ("^R", "again", "its last continuation anew, with another seed"),
    ("↓→", "choose", "↑ ↓ select among the likeliest, → writes it"),
    ("^Z", "undo", "undo the last change"),
    ("^X", "end", "save and leave (^C: the same, as interrupted)"),
    ("^W", "take back", "take back a word (Backspace: a character)"),
    ("^Y", "redo", "redo what was undone"),
    ("^T", "settings", "temperature and filters; ↑ ↓ change the temperature"),
    ("^N", "list", "likeliest words, characters or pieces, or no list"),
    ("^K", "cut line", "take back a line"),
    ("Esc", "stop", "stop a continuation; what it wrote stays"),
    ("^S", "save", "save the text now (it is saved at the end, too)"),
)
"""Each key, its word in the footer, and its line in the help; the footer of a narrow terminal shows
the first ones only."""

NOTES = (
    "PageUp, PageDown: scroll the text.",
    "Shown in color, underlined: what ^R would write anew.",
    "The list: how probable each is, as the model says, without temperature and filters.",
    "␣ is a space, ␊ a line break.",
)

Fragments = list[tuple[str, str]]
"""The parts of a row, each with the name of its style, or none."""


class Screen:
    """Rows for ``columns`` columns, and where the cursor stands in them."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.height = columns, rows
        self.rows: list[Fragments] = []
        self.cursor: tuple[int, int] | None = None


def draw(desk: Desk, columns: int, rows: int) -> Screen:
    """What a terminal of this size shows."""
    screen = Screen(columns, rows)
    if columns < NARROWEST or rows < SHORTEST:
        screen.rows = draw_text(desk, screen, columns, rows)
        return screen
    if desk.mode == "help":
        draw_help(desk, screen)
        return screen
    footer = draw_footer(desk, columns, 2 if rows >= 10 else 1)
    height = rows - len(footer) - 1
    beside = columns >= BESIDE and desk.by is not None
    below = 0 if beside or desk.by is None else 3 if rows >= 10 else 1
    body = draw_text(desk, screen, columns - PANEL * beside, height - below)
    if beside:
        panel = draw_candidates(desk, PANEL - 2, height)
        width = columns - PANEL
        body = [
            [*pad(row, width), ("faint", "│ "), *entry]
            for row, entry in zip(body, panel, strict=True)
        ]
    elif below:
        body += draw_candidates(desk, columns, below, title=False)
    status = draw_status(desk, columns)
    if desk.mode == "settings":
        screen.cursor = (min(columns_of(status[0][1].rstrip()), columns - 1), len(body))
    screen.rows = [*body, status, *footer]
    return screen


def draw_text(desk: Desk, screen: Screen, columns: int, height: int) -> list[Fragments]:
    """The end of the text, or what was scrolled to; the cursor stands after it."""
    session = desk.session
    found = last_rows(session.text, session.mark, max(columns - 1, 2), height, desk.back)
    if not desk.back:
        screen.cursor = (min(columns_of("".join(found[-1])), columns - 1), len(found) - 1)
    rows: list[Fragments] = [[("", before), ("last", after)] for before, after in found]
    if not session.text:
        rows[0] = [("faint", shortened(" Type, or press Tab.", columns - 1))]
    return rows + [[] for _ in range(height - len(rows))]


def draw_candidates(
    desk: Desk, columns: int, height: int, *, title: bool = True
) -> list[Fragments]:
    """The likeliest words or tokens with their probabilities, around the one that is selected."""
    rows: list[Fragments] = [[("title", f"likeliest {kind_of(desk)}")]] if title else []
    space = height - len(rows)
    first = max(0, min(desk.selected - space // 2, len(desk.candidates) - space))
    for number, (text, p) in enumerate(desk.candidates[first : first + space], start=first):
        line = f"{p:6.1%}  " + on_one_line(text.replace(" ", "␣"))
        style = "selected" if number == desk.selected else ""
        rows.append([(style, shortened(line, columns))])
    return rows + [[] for _ in range(height - len(rows))]


def kind_of(desk: Desk) -> str:
    """What is listed."""
    kind = desk.session.tokenizer.kind
    if desk.by == "word" or kind == "word":
        return "words"
    return "characters" if kind in ("char", "byte") else "pieces"


def draw_status(desk: Desk, columns: int) -> Fragments:
    """The message, the line of settings, or the file and how the next continuation is made."""
    if desk.mode == "settings":
        entry = f"settings: {desk.entry}"
        if desk.message:
            return bar("message", desk.message, columns)
        while columns_of(entry) > columns - 2:  # its end is where one types
            entry = entry[1:]
        return [("status", entry + " " * (columns - columns_of(entry)))]
    if desk.message:
        return bar("message", desk.message, columns)
    session = desk.session
    saved = "" if session.text == desk.transcript.saved else "*"
    busy = "writing, " if desk.pieces is not None else ""
    busy = busy if desk.read is None else f"reading, {counted(desk.read, 'token')} · "
    name = os.path.relpath(desk.transcript.path)
    name = str(desk.transcript.path) if name.startswith("..") else name
    parts = [
        f"{name}{saved}",
        f"{busy}temperature {session.config.temperature:g}",
        f"seed {session.seed}",
        f"{counted(len(session.text), 'character')}",
    ]
    return bar("status", " · ".join(parts), columns)


def bar(style: str, text: str, columns: int) -> Fragments:
    """A row in one style from edge to edge."""
    line = shortened(harmless(text), columns)
    return [(style, line + " " * (columns - columns_of(line)))]


def draw_footer(desk: Desk, columns: int, height: int) -> list[Fragments]:
    """The keys, as many as fit."""
    keys = [(key, word) for key, word, _ in KEYS]
    if desk.mode == "settings":
        keys = [("Enter", "use"), ("↑↓", "temperature"), ("Esc", "leave as it was")]
    rows: list[Fragments] = [[] for _ in range(height)]
    place, used = 0, 0
    for key, word in keys:
        size = columns_of(f"{key} {word}")
        if used + size > columns:
            place, used = place + 1, 0
        if place == height or size > columns:
            break
        rows[place] += [("", "  ")] * (used > 0) + [("key", key), ("", f" {word}")]
        used += size + 2
    return rows


def draw_help(desk: Desk, screen: Screen) -> None:
    """All keys and what they do, from the row that was scrolled to."""
    lines: list[Fragments] = [[("title", "Keys")]]
    for key, _, text in KEYS:
        parts = last_rows(text, len(text), screen.columns - 8, 9)
        for number, (part, _) in enumerate(parts):
            lines.append([("key", f" {key if not number else '':5} "), ("", part)])
    for note in NOTES:
        lines += [[("", part)] for part, _ in last_rows(note, len(note), screen.columns - 1, 9)]
    height = screen.height - 1
    desk.back = max(0, min(desk.back, len(lines) - height))
    screen.rows = lines[desk.back : desk.back + height]
    screen.rows += [[] for _ in range(height - len(screen.rows))]
    more = "↓ more · " if desk.back + height < len(lines) else ""
    screen.rows.append(bar("status", f"{more}any other key: back to the text", screen.columns))


def pad(row: Fragments, columns: int) -> Fragments:
    """A row filled up with spaces."""
    used = sum(columns_of(text) for _, text in row)
    return [*row, ("", " " * (columns - used))]
