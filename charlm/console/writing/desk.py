"""What the screen of a writing session shows, and what its keys do, without a terminal."""

import json
import re
import shlex
from collections.abc import Callable, Generator
from typing import Any, Literal

from charlm.config import GenerationConfig, named_values
from charlm.errors import CharlmError
from charlm.inference.generation.text import DEFAULTS
from charlm.inference.generation.writing.candidates import Candidate
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.generation.writing.transcripts import Transcript
from charlm.inference.generation.writing.units import TextUnit

__all__ = ["Desk", "Mode"]

Mode = Literal["text", "settings", "help"]
"""Where keys go: into the text, into the line of settings, or through the help."""

CANDIDATES = 20
"""Candidates that are found at a time; a screen shows fewer."""

TEMPERATURE = re.compile(r"(?<![\w.])temperature=([\d.]+)")

WARMER = 0.1
"""By how much one key press changes the temperature in the line of settings."""


class Desk:
    """A session, its transcript, and what of both is on the screen.

    ``message`` is shown until the next key; ``pieces`` is the continuation that is being written,
    and ``read`` how many tokens the model has read, while it reads.
    """

    def __init__(self, session: WritingSession, transcript: Transcript) -> None:
        self.session, self.transcript = session, transcript
        self.mode: Mode = "text"
        self.message = ""
        self.entry = ""
        self.by: Literal["token", "word"] | None = "word"
        self.candidates: list[Candidate] = []
        self.candidates_of: tuple[str, str | None] | None = None
        self.selected = 0
        self.back = 0  # rows that are scrolled back, in the text or in the help
        self.pieces: Generator[str] | None = None
        self.unit: TextUnit | None = None  # that is being written, or was last
        self.read: int | None = None

    def attempt(self, action: Callable[[], Any]) -> Any:
        """What ``action`` returns; an error of charlm becomes the message."""
        try:
            return action()
        except CharlmError as error:
            message = f"{error}; try: {error.hint}"
            self.message = message.replace("`", "").replace(f"{GenerationConfig.name}.", "")
            return None

    def begin(self, unit: TextUnit | None) -> None:
        """Let the model continue by a unit, or write the last one anew; ``go_on`` does the work."""
        session = self.session
        self.unit = unit or (session.done[-1].unit if session.done else None)
        starts = session.regenerating if unit is None else lambda: session.extending(unit)
        self.pieces = self.attempt(starts)

    def go_on(self) -> bool:
        """Write the next piece of a continuation; False where there is none left."""
        pieces = self.pieces
        if pieces is None:
            return False
        before = self.message
        piece = self.attempt(lambda: next(pieces, None))
        if piece is None:
            if self.session.finish == "end" and self.message == before:
                self.message = "the model would end the text here"
            self.stop()
        return piece is not None

    def stop(self) -> None:
        """Break off a continuation; what was written stays, as one change."""
        pieces, self.pieces = self.pieces, None
        if pieces is not None:
            pieces.close()

    def settle(self) -> None:
        """End a continuation before another key acts: a word is written to its end, so that two
        quick keys give two words; what is longer is broken off.
        """
        while self.unit == "word" and self.go_on():
            pass
        self.stop()

    def type(self, text: str) -> None:
        """Write at the end of the text, or of the line of settings; tell what the model lacks."""
        if self.mode == "settings":
            self.entry += "".join(char for char in text if char.isprintable())
            return
        self.session.type(text)
        unknown = self.session.tokenizer.unknown(text) if len(text) == 1 else {}
        if unknown and not text.isspace() and self.session.tokenizer.kind != "word":
            self.message = f"the model has never seen {text!r} and reads it as unknown"

    def refresh(self) -> None:
        """Find the candidates of the text as it is, if they are shown."""
        wanted = (self.session.text, self.by)
        if self.by and self.candidates_of != wanted:
            by = self.by
            found = self.attempt(lambda: self.session.likeliest(CANDIDATES, by))
            self.candidates, self.candidates_of, self.selected = found or [], wanted, 0

    def choose(self) -> None:
        """Write the selected candidate."""
        self.refresh()
        if self.by and self.candidates:
            self.session.choose(self.candidates[self.selected].text)

    def select(self, step: int) -> None:
        """Move among the candidates."""
        self.refresh()
        self.selected = max(0, min(self.selected + step, len(self.candidates) - 1))

    def switch(self) -> None:
        """Show the likeliest words, then characters or other tokens, then neither."""
        self.by = {"word": "token", "token": None, None: "word"}[self.by]
        if self.by == "token" and self.session.tokenizer.kind == "word":
            self.by = None

    def tell_if_nothing(self, done: bool, what: str) -> None:
        """Tell where there was nothing to undo or redo."""
        if not done:
            self.message = f"there is nothing to {what}"

    def open_settings(self) -> None:
        """Begin the line of settings: the temperature, and what differs from the defaults."""
        self.mode = "settings"
        table = {"temperature": self.session.config.temperature} | changed(self.session.config)
        self.entry = " ".join(f"{name}={shlex.quote(shown(each))}" for name, each in table.items())

    def warm(self, steps: int) -> None:
        """Change the temperature in the line of settings."""
        found = TEMPERATURE.search(self.entry)
        value = max(0.0, round(float(found[1]) + steps * WARMER, 2)) if found else WARMER
        new = f"temperature={value:g}"
        line = TEMPERATURE.sub(new, self.entry, count=1) if found else f"{new} {self.entry}"
        self.entry = line.rstrip()

    def take_settings(self) -> None:
        """Use the line of settings: those that are not in it get their defaults."""
        if self.attempt(self.read_settings):
            self.mode = "text"

    def read_settings(self) -> bool:
        """Change the session's settings as the line says.  Raises ``ConfigError``."""
        try:
            words = shlex.split(self.entry)
        except ValueError:
            words = self.entry.split()
        given = named_values(words)
        removed = changed(self.session.config).keys() - given.keys()
        self.session.change(**{name: getattr(DEFAULTS, name) for name in removed}, **given)
        return True

    def save(self) -> bool:
        """Save the text; False, with a message, where that failed."""
        return self.attempt(lambda: self.transcript.save(self.session.text)) is not None


def changed(config: GenerationConfig) -> dict[str, Any]:
    """The settings that differ from the defaults, but for those of a text's length."""
    lengths = ("length", "unit", "whole")
    return {name: value for name, value in config.changed().items() if name not in lengths}


def shown(value: Any) -> str:
    """A value as it is typed after NAME=."""
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    if isinstance(value, str) and (value != value.strip() or not value.isprintable()):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
