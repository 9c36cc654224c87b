"""Translate the names of settings and arguments in messages into options.

The layers below the command line write names between backquotes, as in Python: "`top_k` must be 0
or more", "give `steps=100`", "leave `precision` out".
"""

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

import click
from click.core import ParameterSource

from charlm.cli.options import SETTINGS

__all__ = ["translate", "translated"]

METHODS = ("temperature", "dynamic", "cache")
"""Options with values of their own, like --dynamic lr=0.1, which are methods of evaluation time."""

QUOTED = re.compile(r"`([a-z]\w*(?:\.[a-z]\w*)?)(?:=([^`]*))?`")
"""A name, or a section and a key, with a value or without."""


def translate(text: str, running: click.Context | None) -> str:
    """``text`` with every name in backquotes as the option that sets it of the command whose
    context is ``running``; a setting that was given by --set, or in a file, keeps its name.

    What is no option of the command only loses its backquotes.
    """
    return QUOTED.sub(lambda found: spelled(found[1], found[2], running), text)


def translated(records: Iterable[Any]) -> Iterator[Any]:
    """The ``records`` of a training with the names in its notes as options."""
    from charlm.training.reports import Note

    for record in records:
        if isinstance(record, Note):
            yield Note(text=translate(record.text, click.get_current_context()))
        else:
            yield record


def spelled(name: str, value: str | None, running: click.Context | None) -> str:
    """How ``name`` or ``name=value`` is typed on the command line."""
    command = running.command if running else None
    flag = option_of(name, command)
    section, _, key = name.partition(".")
    if section in METHODS and key and has_option(command, f"--{section}"):
        given = "" if value is None else f"={typed(value)}"
        return f"--{section}" if key == "value" else f"--{section} {key}{given}"
    if running and key and is_set(name, flag, running):
        flag = None
    if value is None:
        shortened = key and has_option(command, "--set") and not sets_sections(command)
        return flag or (key if shortened else name)
    if flag is not None:
        return f"{flag} {typed(value)}".rstrip()
    if "." in name and has_option(command, "--set"):
        target = name if sets_sections(command) else key
        listed = value.startswith("[")  # as in TOML, whose brackets a shell would read
        return "--set " + (
            shlex.quote(f"{target}={value}") if listed else f"{target}={typed(value)}"
        )
    trains = next((flag for flag, target in SETTINGS.items() if target == name), None)
    if trains and command:
        return f"{trains} {typed(value)}"  # an option of charlm train
    return f"{name}={value}"


def option_of(name: str, command: click.Command | None) -> str | None:
    """The option or argument (like SOURCE) of ``command`` that sets ``name``; None without one."""
    key = name.rpartition(".")[2]
    own = [flag for flag, target in SETTINGS.items() if target == name]
    for flag in (*own, "--" + key.replace("_", "-")):
        if has_option(command, flag):
            return flag
    for parameter in command.params if command else ():
        if parameter.name == key and isinstance(parameter, click.Option):
            return max(parameter.opts, key=len)
        if parameter.name == key:
            return (parameter.metavar or key.upper()).rstrip(".")
    return None


def is_set(name: str, flag: str | None, running: click.Context) -> bool:
    """Whether the setting ``name`` was given by --set, or may be in the file of --config, and not
    by ``flag``.
    """
    for each in running.command.params:
        source = running.get_parameter_source(each.name or "")
        if flag in each.opts and source is ParameterSource.COMMANDLINE:
            return False
    typed_names = {each.partition("=")[0].strip() for each in running.params.get("assignments", ())}
    return bool({name, name.partition(".")[2]} & typed_names or running.params.get("config_file"))


def has_option(command: click.Command | None, flag: str) -> bool:
    """Whether ``command`` knows ``flag``."""
    return any(flag in each.opts for each in (command.params if command else ()))


def sets_sections(command: click.Command | None) -> bool:
    """Whether ``command`` has a --set that takes SECTION.KEY=VALUE; that of generate has no
    section.
    """
    return any(
        "--set" in each.opts and (each.metavar or "").startswith("SECTION")
        for each in (command.params if command else ())
    )


def typed(value: str) -> str:
    """A value in Python's spelling as it is typed after an option; True is a flag, without one."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value  # a word that stands for a value, like FILE
    if found is True:
        return ""
    if isinstance(found, list | tuple):
        return ",".join(map(str, found))
    return shlex.quote(found) if isinstance(found, str) else value
