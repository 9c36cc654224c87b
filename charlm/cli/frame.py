"""What all commands have in common: options under headings, ``--debug``, renamed options."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from charlm.cli import renamed
from charlm.errors import ConfigError

__all__ = [
    "DEBUG",
    "DEBUG_OPTION",
    "RUNNING",
    "Command",
    "Group",
    "each_once",
    "given_among",
    "option",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

DEBUG = "charlm.debug"
"""The key in a context's ``meta`` that asks for tracebacks."""

RUNNING = "charlm.running"
"""The key in a context's ``meta`` under which that of the running command is, for its errors."""

GENERAL = "General"
"""The last heading of a help, for the options that nearly every command has."""

COMMON = ("step", "device", "as_json", "debug")
"""Options that, with ``--help``, stand under ``GENERAL`` in a help that has headings."""


class Option(click.Option):
    """An option with a heading, under which the help of its command lists it."""

    def __init__(self, *arguments: Any, heading: str | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heading = heading


def option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """Add an option like ``click.option``; the help lists it under ``heading``."""
    return click.option(*names, cls=Option, **settings)


def switch_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Note in the context that ``--debug`` was given."""
    if value:
        ctx.meta[DEBUG] = True


DEBUG_OPTION = click.Option(
    ["--debug"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=switch_debug,
    help="Show the whole trace of an error.",
)
"""The option ``--debug``, which all commands share."""


class Command(click.Command):
    """A command whose help groups its options, and which knows the former names of options.

    Options without a heading stand first, as "Options"; without any heading there is only that.
    Every command has ``--debug``.
    """

    def __init__(self, name: str | None, **settings: Any) -> None:
        settings["params"] = [*(settings.get("params") or ()), DEBUG_OPTION]
        super().__init__(name, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse.  Raises ``ConfigError`` with the new name of an option that has one."""
        ctx.meta[RUNNING] = ctx
        self.refuse_careless(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            new = renamed.OPTIONS.get((self.name or "", error.option_name))
            if new is None:
                raise
            cause = f"{error.option_name} is now {new}"
            raise ConfigError(cause, f"{ctx.command_path} {new}") from None

    def refuse_careless(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option that is given twice and takes one value, of which click would take the
        last, and an empty path (a variable of a script that is not set), which would be the
        current folder.  Other mistakes are left to click.
        """
        try:
            values, _, order = self.make_parser(ctx).parse_args(list(args))
        except click.UsageError:
            return
        for option in order:
            single = isinstance(option, click.Option) and not (option.multiple or option.is_flag)
            if single and order.count(option) > 1:
                raise click.BadParameter("given more than once", ctx=ctx, param=option)
            if isinstance(option.type, click.Path) and values.get(option.name or "") == "":
                raise click.BadParameter("empty", ctx=ctx, param=option)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each below its heading, in the order of their first options."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        for title, rows in grouped(options, self.get_help_option(ctx), ctx).items():
            with formatter.section(title):
                formatter.write_dl(rows)


class Group(Command, click.Group):
    """A command with commands below it."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands below this one."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def each_once(
    _: click.Context, option: click.Parameter, assignments: tuple[str, ...]
) -> tuple[str, ...]:
    """The values NAME=VALUE of an option.  Raises ``BadParameter`` for a name that comes twice."""
    names = [assignment.partition("=")[0].strip() for assignment in assignments]
    for name in names:
        if names.count(name) > 1:
            raise click.BadParameter(f"{name} given more than once", param=option)
    return assignments


def given_among(names: Iterable[str]) -> list[str]:
    """Which of these parameters of the running command stand on the command line."""
    source = click.get_current_context().get_parameter_source
    return [name for name in names if source(name) is ParameterSource.COMMANDLINE]


def grouped(
    options: Sequence[click.Option], help_option: click.Option | None, ctx: click.Context
) -> dict[str, list[tuple[str, str]]]:
    """The rows of a help (option, what it does) under their headings."""
    titles = {getattr(each, "heading", None) for each in options} - {None}
    rows: dict[str, list[tuple[str, str]]] = {"Options": []}
    last: list[tuple[str, str]] = []
    for option in options:
        row = option.get_help_record(ctx)
        if row is None:
            continue
        if titles and (option is help_option or option.name in COMMON):
            last.append(row)
        else:
            rows.setdefault(getattr(option, "heading", None) or "Options", []).append(row)
    return {title: found for title, found in {**rows, GENERAL: last}.items() if found}
