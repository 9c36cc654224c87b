"""The program ``charlm``: commands, loaded when they are named, and what errors look like."""

import importlib
import os
import sys
import traceback
from typing import Any

import click

from charlm import __version__
from charlm.errors import CharlmError, ConfigError

__all__ = ["cli", "main"]

# Read when torch is loaded.  OpenMP's threads otherwise spin at each barrier of each time step;
# with another busy process on the machine that made training a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMMANDS = (
    "demo",
    "train",
    "generate",
    "perplexity",
    "score",
    "corpora",
    "info",
    "doctor",
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
        if not any(parameter.name == "debug" for parameter in command.params):
            command.params.append(debug_option())
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; every error becomes its cause, its way out and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except CharlmError as error:
            tell(str(error), error.hint)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)
        except KeyboardInterrupt:
            ctx.exit(130)
        except MemoryError:
            tell("the memory is used up", "choose a smaller model, batch or vocabulary")
            ctx.exit(1)
        except OSError as error:
            tell(describe(error), "check the path, its permissions and the free space")
            ctx.exit(1)
        except Exception as error:
            tell(
                f"this should not have happened: {describe(error)}",
                "run it again with --debug and report what it prints",
            )
            ctx.exit(1)


def describe(error: Exception) -> str:
    """An unforeseen error in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def tell(cause: str, hint: str) -> None:
    """Print an error: one line with the cause, one with the way out; the trace on request."""
    if os.environ.get("CHARLM_DEBUG"):
        traceback.print_exc()
    click.echo(click.style("error: ", fg="red", bold=True) + cause, err=True)
    click.echo(click.style("  try: ", fg="green", bold=True) + hint, err=True)


def switch_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember that tracebacks are wanted."""
    if value:
        os.environ["CHARLM_DEBUG"] = "1"


def debug_option() -> click.Option:
    """``--debug``."""
    return click.Option(
        ["--debug"],
        is_flag=True,
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
    sys.exit(cli(prog_name="charlm", standalone_mode=True))
