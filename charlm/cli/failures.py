"""How errors are reported: a line with the cause, a line with the way out, an exit code."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from charlm import errors
from charlm.cli.frame import DEBUG, RUNNING
from charlm.cli.standard_streams import NO_READER
from charlm.errors import CharlmError, ConfigError

__all__ = ["ending_in_two_lines", "print_error"]

LONGEST = 400
"""Most characters of a line.  Of a longer one, for example a text that was given as the name of a
file, the beginning and the end are shown."""


@contextmanager
def ending_in_two_lines(ctx: click.Context) -> Iterator[None]:
    """Print every error of the block in two lines and exit: 1 failed, 2 wrong use, 128 + signal."""
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
        raise
    except BrokenPipeError:
        ctx.exit(NO_READER)
    except KeyboardInterrupt as error:
        # A terminal has just echoed ^C, perhaps amid a line.
        click.echo("\ninterrupted" if sys.stderr.isatty() else "interrupted", err=True)
        ctx.exit(getattr(error, "code", 130))
    except Exception as error:
        if ctx.meta.get(DEBUG):
            traceback.print_exc()
        print_error(*map(presentable, in_two_lines(error, ctx)))
        wrong_use = isinstance(error, click.UsageError | ConfigError)
        ctx.exit(2 if wrong_use else 1)


def in_two_lines(error: Exception, ctx: click.Context) -> tuple[str, str]:
    """The cause and the way out of an error; ``ctx`` is that of the program or a command."""
    if isinstance(error, CharlmError):
        from charlm.cli.translation import translate

        running = ctx.meta.get(RUNNING)
        return translate(str(error), running), translate(error.hint, running)
    if isinstance(error, click.ClickException):
        return way_to_use(error, ctx)
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return "the memory is used up", "choose a smaller model, batch or vocabulary"
    if isinstance(error, OSError):
        return one_line(errors.describe(error)), errors.way_out(error)
    return (
        f"this should not have happened: {one_line(describe(error))}",
        "run it again with --debug and report what it prints",
    )


def way_to_use(error: click.ClickException, outer: click.Context) -> tuple[str, str]:
    """What is wrong with the command line; the nearest name, and how to see the help."""
    near = getattr(error, "possibilities", None)
    ctx = getattr(error, "ctx", None)
    # An option without its value does not say which command it is of.
    path = ctx.command_path if ctx else f"charlm {outer.invoked_subcommand or ''}".strip()
    if near:
        return one_line(error.message).rstrip("."), f"{near[0]}, or: {path} --help"
    return one_line(error.format_message()).rstrip("."), f"{path} --help"


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch failed because there is no memory left."""
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    )


def describe(error: Exception) -> str:
    """An error that is neither one of charlm's nor one of the system's, in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def presentable(text: str) -> str:
    """``text`` in one line of limited length that cannot steer a terminal."""
    from charlm.console.terminal import harmless

    return errors.shortened(harmless(one_line(text)), LONGEST)


def one_line(text: str) -> str:
    """``text`` without line breaks."""
    return " ".join(text.split())


def print_error(cause: str, hint: str) -> None:
    """Print an error on stderr, if there is anybody to read it."""
    from charlm.console.figures import columns_of, in_columns
    from charlm.console.terminal import without_protection

    stream = without_protection(sys.stderr)  # of the styles; cause and hint are harmless
    for name, color, text in (("error:", "red", cause), ("  try:", "green", remedy(hint))):
        lines = in_columns(name, text, columns_of(stream), len(name))
        with suppress(OSError):
            click.echo(click.style(name, fg=color, bold=True) + lines[len(name) :], stream)


def remedy(hint: str) -> str:
    """A hint as it follows "try:": of "did you mean X?" only X."""
    if hint.startswith("did you mean "):
        return hint.removeprefix("did you mean ").removesuffix("?")
    return hint.removeprefix("known: ").removeprefix("try ")
