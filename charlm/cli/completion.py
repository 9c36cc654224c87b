"""``charlm completion``."""

import click
from click.shell_completion import get_completion_class

from charlm.cli.frame import Command


@click.command("completion", cls=Command, short_help="Print a script for shell completion.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that lets a shell complete charlm's commands and options.

    \b
    bash:  charlm completion bash >> ~/.bashrc
    zsh:   charlm completion zsh >> ~/.zshrc
    fish:  charlm completion fish > ~/.config/fish/completions/charlm.fish
    """
    from charlm.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "charlm", "_CHARLM_COMPLETE").source())
