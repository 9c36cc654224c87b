"""Write docs/commands.md and docs/settings.md from the program itself.

Run it after a command or a setting has changed; the tests compare the files with it.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import click

from charlm.cli.main import COMMANDS, cli
from charlm.config import Config
from charlm.config.section import Section, default_text

DOCS = Path(__file__).parents[1] / "docs"
ALWAYS = (
    "Every command also takes `-h` or `--help`, and `--debug`, which shows the whole trace of an "
    "error."
)
GENERATED = "<!-- Written by scripts/make_docs.py; change the program instead. -->"


def documents() -> dict[str, str]:
    """What each generated file must hold."""
    return {"commands.md": commands_page(), "settings.md": settings_page()}


def commands_page() -> str:
    """Every command with its arguments and options."""
    # With the settings of the program: click remembers what it finds under the first context.
    top = click.Context(cli, info_name="charlm", **cli.context_settings)
    blocks = [GENERATED, "# Commands", paragraphs(cli.help or ""), ALWAYS]
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        blocks += describe(command, click.Context(command, info_name=name, parent=top))
    return "\n\n".join(blocks) + "\n"


def describe(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """A command, then the commands below it."""
    yield f"## {ctx.command_path}"
    yield fenced(f"{ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}")
    yield paragraphs(command.help or "")
    options = [each for each in command.params if isinstance(each, click.Option)]
    records = [each.get_help_record(ctx) for each in options if each.name != "debug"]
    rows = [(f"`{record[0]}`", record[1]) for record in records if record]
    if rows:
        yield table(("option", "what it does"), rows)
    for name, below in getattr(command, "commands", {}).items():
        yield from describe(below, click.Context(below, info_name=name, parent=ctx))


def settings_page() -> str:
    """Every setting with its default and range."""
    blocks = [
        GENERATED,
        "# Settings",
        "These names are used in `run.toml`, in the file of `--config`, by "
        "`--set section.key=value`, and by `charlm.train` in Python; the last two take a key alone "
        'where one section has it. Where the default is "decided", a training that is given '
        "minutes chooses the value by the text and the machine ([budget.md](budget.md)), and one "
        "that is given steps or epochs takes the value named.",
    ]
    for name, section in get_type_hints(Config).items():
        rows = [setting_row(name, entry) for entry in dataclasses.fields(section)]
        blocks += [f"## {name}", about(section)]
        blocks.append(table(("setting", "default", "allowed", "what it is"), rows))
    return "\n\n".join(blocks) + "\n"


def about(section: type[Section]) -> str:
    """What a section is for."""
    return inspect.cleandoc(section.__doc__ or "")


def setting_row(section: str, entry: dataclasses.Field[Any]) -> tuple[str, ...]:
    """One line of the table of settings."""
    default = default_text(entry)
    if default and not entry.metadata["decided"]:
        default = f"`{default}`"
    return f"`{section}.{entry.name}`", default, allowed(entry), entry.metadata["help"]


def allowed(entry: dataclasses.Field[Any]) -> str:
    """The range or the choices of a setting."""
    limits = entry.metadata
    if limits["choices"]:
        return ", ".join(f"`{choice}`" for choice in limits["choices"])
    words = {"minimum": "at least", "maximum": "at most", "above": "above", "below": "below"}
    return ", ".join(f"{word} {limits[key]}" for key, word in words.items()
                     if limits[key] is not None)  # fmt: skip


def paragraphs(text: str) -> str:
    """A docstring as Markdown: lines are joined but for blocks that are marked to stay."""
    blocks = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        fenced(block.removeprefix("\b\n")) if block.startswith("\b") else " ".join(block.split())
        for block in blocks
    )


def fenced(text: str) -> str:
    """A block that is shown as it is."""
    return f"```text\n{text}\n```"


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(text: str) -> str:
    """Text that neither ends a cell nor begins a tag."""
    return re.sub(" +", " ", text).replace("|", "\\|").replace("<", "\\<")


def main() -> None:
    """Write all files."""
    DOCS.mkdir(exist_ok=True)
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
