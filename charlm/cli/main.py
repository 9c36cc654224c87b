"""The program ``charlm``: its commands, imported when they are named, and its start."""

import importlib
import os
import sys
import warnings
from functools import partial
from typing import Any

import click

from charlm import __version__
from charlm.cli.failures import ending_in_two_lines, print_error
from charlm.cli.frame import DEBUG_OPTION, RUNNING
from charlm.cli.renamed import meant_command
from charlm.cli.signals import StopFlag, handling
from charlm.errors import CharlmWarning, ConfigError

__all__ = ["COMMANDS", "SECTIONS", "cli", "main"]

SECTIONS = {
    "Start": ("demo", "train", "recipes", "corpora"),
    "Write": ("generate", "write", "novelty"),
    "Measure": ("perplexity", "score", "pairs", "compare", "rescore", "compress", "decompress"),
    "Look": ("info", "explain", "report"),
    "Share": ("export", "import", "serve", "push", "pull"),
    "Machine": ("doctor", "bench"),
}
"""The commands in the order of the help; each is ``command`` in a module of its name."""

HIDDEN = ("completion",)
"""Commands that are rarely needed and not in the list of the help."""

COMMANDS = tuple(name for names in SECTIONS.values() for name in names) + HIDDEN


class Commands(click.Group):
    """Imports a command's module when the command is named, and reports errors in two lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"charlm.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, each with its commands and what they do."""
        width = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            commands = [self.get_command(ctx, name) for name in names]
            rows = [
                (name.ljust(width), command.get_short_help_str(formatter.width))
                for name, command in zip(names, commands, strict=True)
                if command is not None
            ]
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command.  Raises ``ConfigError`` with the nearest name if there is none."""
        given = args[0]
        if given not in COMMANDS and not given.startswith("-") and not ctx.resilient_parsing:
            meant = meant_command(given, COMMANDS)
            raise ConfigError(f"unknown command {given}", f"charlm {meant or '--help'}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments before the command's name."""
        with ending_in_two_lines(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error is reported in two lines and becomes an exit code."""
        with ending_in_two_lines(ctx), handling(StopFlag().receive), warnings.catch_warnings():
            warnings.simplefilter("default", CharlmWarning)
            warnings.showwarning = partial(show_warning, ctx)
            return super().invoke(ctx)


@click.command(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    params=[DEBUG_OPTION],
    epilog="Start with: charlm demo.  Options of a command: charlm COMMAND -h.  "
    "Completion by the shell: charlm completion -h",
)
@click.version_option(__version__, message="charlm %(version)s")
def cli() -> None:
    """Train a stacked LSTM language model on any text, let it write, and measure how well it
    predicts.
    """


def main() -> None:
    """Run the program; the exit code is 0, 1 (failed), 2 (wrong use) or 128 + signal."""
    from charlm.cli.standard_streams import NO_READER, flush_streams, replace_closed_streams
    from charlm.console.terminal import protect_terminals

    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
        cli.context_settings["color"] = False
    replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # Text keeps its bytes in files and pipes; a terminal gets what it can show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )
    protect_terminals()
    try:
        cli(prog_name="charlm", standalone_mode=True)
    except SystemExit as done:
        failure = flush_streams()
        if done.code or not failure:
            raise
        if isinstance(failure, BrokenPipeError):
            sys.exit(NO_READER)
        print_error(f"standard output: {failure.strerror}", "send it somewhere else: > FILE")
        sys.exit(1)


def show_warning(
    ctx: click.Context, message: Warning | str, category: type[Warning], *_: Any, **__: Any
) -> None:
    """Print a warning in one line, without the code that it came from; charlm's own as a note."""
    if issubclass(category, CharlmWarning):
        from charlm.cli.translation import translate
        from charlm.console.streams import print_note

        print_note(translate(str(message), ctx.meta.get(RUNNING)))
    else:
        click.echo(f"warning: {message}", err=True)
