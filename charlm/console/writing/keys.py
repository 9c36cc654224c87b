"""The keys of ``charlm write``."""

from collections.abc import Callable
from typing import Any

from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from charlm.console.writing.desk import Desk

__all__ = ["bind_keys"]

Act = Callable[[], Any]
Handler = Callable[[KeyPressEvent], None]


def bind_keys(
    desk: Desk, handle: Callable[[Handler], Handler], leave: Callable[[bool], None]
) -> KeyBindings:
    """All keys; ``handle`` is put around what each does, and ``leave`` ends the session, as
    interrupted or not.
    """
    bindings = KeyBindings()

    def on(keys: str, act: Act) -> None:
        for key in keys.split():
            bindings.add(*key.split("+"), eager=key == "c-c")(handle(lambda _: act()))

    session = desk.session
    on("tab", lambda: in_text(desk, lambda: desk.begin("word")))
    on("c-l", lambda: in_text(desk, lambda: desk.begin("line")))
    on("c-p", lambda: in_text(desk, lambda: desk.begin("paragraph")))
    on("c-r", lambda: in_text(desk, lambda: desk.begin(None)))
    on("backspace c-h", lambda: take_back(desk))
    on("c-w escape+backspace", lambda: in_text(desk, lambda: session.take_back("word")))
    on("c-k", lambda: in_text(desk, lambda: session.take_back("line")))
    on("c-z", lambda: in_text(desk, lambda: desk.tell_if_nothing(session.undo(), "undo")))
    on("c-y", lambda: in_text(desk, lambda: desk.tell_if_nothing(session.redo(), "redo")))
    on("c-n", lambda: in_text(desk, desk.switch))
    on("c-s", lambda: save(desk))
    on("c-t", lambda: in_text(desk, desk.open_settings))
    on("enter c-j", lambda: enter(desk))
    on("right", lambda: in_text(desk, desk.choose))
    on("up", lambda: move(desk, -1))
    on("down", lambda: move(desk, 1))
    on("pageup", lambda: scroll(desk, 5))
    on("pagedown", lambda: scroll(desk, -5))
    on("f1 escape+?", lambda: show_help(desk))
    on("escape", lambda: show_text(desk))
    on("c-x c-q", lambda: leave(False))
    on("c-c", lambda: leave(True))
    bindings.add(Keys.Any)(handle(lambda event: type_keys(desk, event)))
    bindings.add(Keys.BracketedPaste)(handle(lambda event: paste(desk, event.data)))
    return bindings


def in_text(desk: Desk, act: Act) -> None:
    """Do what changes the text; in the help and the line of settings such a key goes back to it."""
    if desk.mode != "text":
        show_text(desk)
        return
    desk.back = 0
    act()


def show_text(desk: Desk) -> None:
    """Go back to the text."""
    desk.mode, desk.back = "text", 0


def take_back(desk: Desk) -> None:
    """Remove a character of the text or of the line of settings."""
    if desk.mode == "settings":
        desk.entry = desk.entry[:-1]
    else:
        in_text(desk, lambda: desk.session.take_back("character"))


def enter(desk: Desk) -> None:
    """A line break; in the line of settings, use it."""
    if desk.mode == "settings":
        desk.take_settings()
    else:
        in_text(desk, lambda: desk.type("\n"))


def move(desk: Desk, step: int) -> None:
    """Move among candidates, in the help, or the temperature."""
    if desk.mode == "help":
        desk.back = max(0, desk.back + step)
    elif desk.mode == "settings":
        desk.warm(-step)
    else:
        desk.select(step)


def scroll(desk: Desk, rows: int) -> None:
    """Scroll the text back, or the help forth."""
    if desk.mode != "settings":
        desk.back = max(0, desk.back + (rows if desk.mode == "text" else -rows))


def show_help(desk: Desk) -> None:
    """Show the help, or go back."""
    desk.mode, desk.back = "text" if desk.mode == "help" else "help", 0


def save(desk: Desk) -> None:
    """Save, and say so."""
    if desk.save():
        desk.message = f"saved {desk.transcript.path}"


def type_keys(desk: Desk, event: KeyPressEvent) -> None:
    """Write what was typed; keys without a meaning do nothing."""
    text = event.data
    if text and text.isprintable():
        if desk.mode == "help":
            show_text(desk)
        else:
            paste(desk, text)


def paste(desk: Desk, text: str) -> None:
    """Write what was pasted, if there is a place for it."""
    if desk.mode != "help":
        desk.back = 0
        desk.type(text)
