"""The program ``charlm``: commands, loaded when they are named, and what errors look like."""

import importlib
import os
import sys
import warnings
from typing import Any

import click

from charlm import __version__
from charlm.cli.failures import DEBUG, ending_in_two_lines
from charlm.cli.signals import interruptible
from charlm.config.section import unknown_name

__all__ = ["cli", "main"]

# Read when torch is loaded.  By default OpenMP spins for milliseconds at each barrier of each time
# step; with other busy processes on the machine that made training a hundred times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

COMMANDS = (
    "demo",
    "train",
    "generate",
    "perplexity",
    "score",
    "pairs",
    "compare",
    "rescore",
    "compress",
    "decompress",
    "corpora",
    "recipes",
    "info",
    "doctor",
    "bench",
    "completion",
)
"""The commands in the order of the help; each is ``command`` in a module of its name."""


class Commands(click.Group):
    """Loads a command's module when the command is named, and ends errors in two lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; each takes ``--debug``, wherever it stands."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"charlm.cli.{cmd_name}").command
        add_debug(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command.  Raises ``ConfigError`` with the nearest name if there is none."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise unknown_name(f"command {args[0]}", args[0], list(COMMANDS))
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the command."""
        with ending_in_two_lines(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; every error becomes its cause, its way out and an exit code."""
        with ending_in_two_lines(ctx), interruptible():
            return super().invoke(ctx)


def add_debug(command: click.Command) -> None:
    """Give a command, and the commands below it, the option ``--debug``."""
    if not any(parameter.name == "debug" for parameter in command.params):
        command.params.append(debug_option())
    for below in getattr(command, "commands", {}).values():
        add_debug(below)


def switch_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember that tracebacks are wanted."""
    if value:
        ctx.meta[DEBUG] = True


def debug_option() -> click.Option:
    """``--debug``."""
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=switch_debug,
        help="Show the whole trace of an error.",
    )


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[debug_option()],
    epilog="Start with: charlm demo",
)
@click.version_option(__version__, message="charlm %(version)s")
def cli() -> None:
    """Train a stacked LSTM language model on any text, let it write, and measure how well it
    predicts.
    """


def main() -> None:
    """Run the program; the exit code is 0, 1 (failed), 2 (wrong use) or 128 + signal."""
    if os.environ.get("NO_COLOR"):
        cli.context_settings["color"] = False
    for stream in (sys.stdout, sys.stderr):
        # Text keeps its bytes in files and pipes; a terminal gets what it can show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )
    warnings.showwarning = show_warning
    sys.exit(cli(prog_name="charlm", standalone_mode=True))


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line, without the code that it came from."""
    click.echo(f"warning: {message}", err=True)
