"""What the calls of the front door check of their arguments, so that mistakes are named."""

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import ParamSpec, TypeVar

from charlm.config.section import unknown_name
from charlm.errors import ConfigError

__all__ = ["Texts", "naming_unknown", "require"]

Texts = str | Path | Sequence[str | Path]
"""A ``str`` is the text itself, a ``Path`` a file, folder or corpus, a list several of either."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


def naming_unknown(call: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let ``call`` refuse an argument that it does not have with the nearest name that it has."""
    known = [name for name in signature(call).parameters if name != "self"]

    @wraps(call)
    def checked(*arguments: Given.args, **named: Given.kwargs) -> Result:
        for name in named:
            if name not in known:
                raise unknown_name(f"argument `{name}` of {call.__name__}", name, known)
        return call(*arguments, **named)

    return checked


def require(name: str, value: object, kinds: tuple[type, ...], wanted: str) -> None:
    """Raise ``ConfigError`` unless the argument ``name`` has one of the types ``kinds``."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigError(f"`{name}` must be {wanted}, got {value!r:.60}", f"change `{name}`")
