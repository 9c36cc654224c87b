"""Translate the names of settings and arguments in messages into options.

The layers below the command line write names between backquotes, as in Python: "`top_k` must be 0
or more", "give `steps=100`", "leave `precision` out".
"""

import ast
import re
import shlex

import click

from charlm.cli.options import SETTINGS

__all__ = ["translate"]

QUOTED = re.compile(r"`([a-z]\w*(?:\.[a-z]\w*)?)(?:=([^`]*))?`")
"""A name, or a section and a key, with a value or without."""


def translate(text: str, command: click.Command | None) -> str:
    """``text`` with every name in backquotes as the option of ``command`` that sets it.

    What is no option of ``command`` only loses its backquotes.
    """
    return QUOTED.sub(lambda found: spelled(found[1], found[2], command), text)


def spelled(name: str, value: str | None, command: click.Command | None) -> str:
    """How ``name`` or ``name=value`` is typed on the command line."""
    flag = option_of(name, command)
    section, _, key = name.partition(".")
    if flag is None and key == "value" and has_option(command, f"--{section}"):
        return f"--{section}"  # that of the command's method of evaluation time
    if value is None:
        # Where it may also come from a file or from --set, a setting keeps its own name.
        if "." in name and sets_sections(command):
            return name
        return flag or (key if key and has_option(command, "--set") else name)
    if flag is not None:
        return f"{flag} {typed(value)}".rstrip()
    if "." in name and has_option(command, "--set"):
        return f"--set {name if sets_sections(command) else key}={typed(value)}"
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
