"""A writing session in a terminal, from the first screen to the saved text."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from prompt_toolkit import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.styles import Style

from charlm.console.streams import print_note, write_text
from charlm.console.terminal import without_protection
from charlm.console.writing.desk import Desk
from charlm.console.writing.keys import bind_keys
from charlm.console.writing.screen import STYLES, Screen, draw
from charlm.errors import CorpusError, counted
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.generation.writing.transcripts import Transcript

__all__ = ["write_together"]

PAUSE = 0.03
"""Seconds after a key press before candidates are found, so that fast typing does not wait."""

AUTOSAVE = 10.0
"""Seconds after which a changed text is saved."""

REDRAW = 0.02
"""Least seconds between two screens while the model writes."""

ESCAPE = 0.05
"""Seconds in which what follows the Escape key belongs to it."""

ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Signals that end the session; its text is saved first."""


class Conversation:
    """The application of one session."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.interrupted = 0  # by this signal
        self.screen = Screen(0, 0)
        self.app: Application[None] = Application(
            layout=Layout(Window(FormattedTextControl(
                self.text, focusable=True, get_cursor_position=self.cursor,
            ), always_hide_cursor=False, wrap_lines=False)),
            key_bindings=bind_keys(desk, self.handle, self.leave),
            style=Style.from_dict(STYLES),
            full_screen=True,
            min_redraw_interval=REDRAW,
            color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
            input=create_input(sys.stdin),
            output=create_output(without_protection(sys.stdout)),
        )  # fmt: skip
        self.app.ttimeoutlen = self.app.timeoutlen = ESCAPE

    def run(self) -> None:
        """Until the person leaves, a signal comes, or the terminal is gone."""
        with self.catching():
            self.app.run(pre_run=self.start, handle_sigint=False, set_exception_handler=False)

    def start(self) -> None:
        """Begin what goes on beside the keys."""
        for number in signals():
            asyncio.get_running_loop().add_signal_handler(number, self.interrupt, number)
        self.spawn(self.save_now_and_then)
        self.spawn(self.find_candidates)

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Restore the handlers of signals afterwards; a terminal that goes away is a hangup."""
        before = {number: signal.getsignal(number) for number in signals()}
        try:
            yield
        except (EOFError, OSError):
            self.interrupted = self.interrupted or getattr(signal, "SIGHUP", signal.SIGTERM)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def interrupt(self, number: int) -> None:
        """Save, then leave as interrupted by a signal."""
        self.interrupted = number
        self.desk.stop()
        self.desk.save()
        self.end()

    def leave(self, interrupted: bool) -> None:
        """Leave at a key."""
        if interrupted:
            self.interrupt(signal.SIGINT)
        else:
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """Leave the application, once."""
        with suppress(Exception):  # it has been left already
            self.app.exit(exception=error) if error else self.app.exit()

    def handle(self, act: Callable[[KeyPressEvent], None]) -> Callable[[KeyPressEvent], None]:
        """What a key does: end a continuation, act, and see to what follows from it."""

        def handler(event: KeyPressEvent) -> None:
            try:
                self.desk.settle()
                self.desk.message = ""
                act(event)
            except Exception as error:
                self.end(error)
                return
            self.spawn(self.write if self.desk.pieces else self.find_candidates)

        return handler

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` beside the keys; its failure ends the session, which is then saved."""

        async def guarded() -> None:
            try:
                await work()
            except Exception as error:
                self.end(error)

        self.app.create_background_task(guarded())

    async def write(self) -> None:
        """Write a continuation, screen by screen, until it is over or broken off."""
        pieces = self.desk.pieces
        await self.read()
        while self.desk.pieces is pieces and self.desk.go_on():
            self.app.invalidate()
            await asyncio.sleep(0)
        await self.find_candidates()

    async def find_candidates(self) -> None:
        """Find what the text may go on with, unless it changes first."""
        await asyncio.sleep(PAUSE)
        if self.desk.pieces is None and await self.read():
            self.desk.refresh()
            self.app.invalidate()

    async def read(self) -> bool:
        """Let the model read the text, and show how far it is; False where the text changes."""
        text = self.desk.session.text
        for count in self.desk.session.reading():
            self.desk.read = count
            self.app.invalidate()
            await asyncio.sleep(0)
            if self.desk.session.text != text:
                return False
        self.desk.read = None
        return True

    async def save_now_and_then(self) -> None:
        """Save a text that has changed."""
        while True:
            await asyncio.sleep(AUTOSAVE)
            if self.desk.session.text:
                self.desk.save()
            self.app.invalidate()

    def text(self) -> StyleAndTextTuples:
        """The screen as prompt_toolkit takes it."""
        size = self.app.output.get_size()
        self.screen = draw(self.desk, size.columns, size.rows)
        found: StyleAndTextTuples = []
        for row in self.screen.rows:
            found += [(f"class:{style}" if style else "", text) for style, text in row]
            found.append(("", "\n"))
        return found[:-1]

    def cursor(self) -> Point | None:
        """Where the cursor stands on the screen."""
        return Point(*self.screen.cursor) if self.screen.cursor else None


def signals() -> list[int]:
    """The signals of ``ENDING`` that this system has and that nobody ignores."""
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def write_together(session: WritingSession, transcript: Transcript) -> None:
    """Let a person write with a session in this terminal, and save the text in the end.

    A signal, Ctrl-C and the loss of the terminal end it too; the text is saved, and the signal is
    raised again.  Raises ``CorpusError`` where the text cannot be saved, after printing it.
    """
    conversation = Conversation(Desk(session, transcript))
    try:
        conversation.run()
    finally:
        conversation.desk.stop()
        finish(session, transcript)
    if conversation.interrupted:
        signal.raise_signal(conversation.interrupted)


def finish(session: WritingSession, transcript: Transcript) -> None:
    """Save the text and say where; print it where it cannot be saved, so that it is not lost."""
    try:
        transcript.save(session.text)
    except CorpusError:
        write_text(session.text + "\n")
        raise
    if transcript.exists:
        with suppress(OSError):
            print_note(
                f"{transcript.path} holds the text, {counted(len(session.text), 'character')}"
            )
