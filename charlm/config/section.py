"""What a setting is: a field with help and range; what a section of settings can do."""

import dataclasses
import difflib
import math
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field
from functools import cache
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from charlm.errors import ConfigError

__all__ = ["Section", "assignment", "default_text", "setting", "unknown_name"]

WIDEST = 63
"""Bits of a whole number at most, which the libraries below can count with."""

type_hints: Callable[[type], dict[str, Any]] = cache(get_type_hints)
"""The types of a section's settings, by name; working them out takes longer than all checks."""


def setting(
    default: Any, help: str, *, decided: bool = False, choices: tuple[str, ...] = (),
    minimum: float | None = None, maximum: float | None = None, above: float | None = None,
    below: float | None = None,
) -> Any:  # fmt: skip
    """A dataclass field that carries its help and its range.

    ``decided``: the field is None until a training that is given minutes chooses a value; in all
    other trainings it becomes ``default``.  Such a field is annotated with the type that it has
    once it is decided, because only resolution ever sees the None.
    """
    limits = {"minimum": minimum, "maximum": maximum, "above": above, "below": below}
    fallback = default if decided else None
    metadata = {"help": help, "decided": decided, "fallback": fallback, "choices": choices}
    return field(default=None if decided else default, metadata=metadata | limits)


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the sections share: checking, reading from and writing to plain tables.

    ``needs`` names settings that do nothing unless one of others is changed, the first of which is
    suggested; ``rivals`` names settings that contradict others.
    """

    name: ClassVar[str]
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    rivals: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        hints = type_hints(type(self))
        for entry in dataclasses.fields(self):
            name, value = f"{self.name}.{entry.name}", getattr(self, entry.name)
            if value is None and entry.metadata.get("decided"):
                continue
            value = checked(name, value, hints[entry.name])
            check_range(name, value, entry)
            object.__setattr__(self, entry.name, value)
        self.check_companions()
        self.check()

    def check(self) -> None:
        """Refuse other combinations that cannot work.  Raises ``ConfigError`` naming them."""

    def check_companions(self) -> None:
        """Raise ``ConfigError`` for a setting without one that it needs, or beside a rival."""
        given, named = self.changed(), f"{self.name}.{{}}".format
        for name, others in self.needs.items():
            if name in given and not given.keys() & set(others):
                other, value = named(others[0]), getattr(self, others[0])
                beside = (
                    f"without `{other}`" if value is None else f"with `{assignment(other, value)}`"
                )
                raise ConfigError(
                    f"`{assignment(named(name), given[name])}` does nothing {beside}",
                    f"leave it out, or give {'another ' * (value is not None)}`{other}`",
                )
        for name, others in self.rivals.items():
            for rival in others:
                if {name, rival} <= given.keys():
                    raise ConfigError(
                        f"`{named(name)}` and `{named(rival)}` contradict each other",
                        f"leave out `{named(rival)}`",
                    )

    def changed(self) -> dict[str, Any]:
        """The settings that have another value than where nobody has chosen or decided it."""
        return {
            entry.name: value
            for entry in dataclasses.fields(self)
            if (value := getattr(self, entry.name)) is not None
            and value not in (entry.default, entry.metadata["fallback"])
        }

    def with_defaults(self) -> Self:
        """This section with the fallback of every setting that is still undecided.

        Raises ``ConfigError`` where a fallback does not go with what was chosen.
        """
        missing = {
            entry.name: entry.metadata["fallback"]
            for entry in dataclasses.fields(self)
            if getattr(self, entry.name) is None and entry.metadata["fallback"] is not None
        }
        return dataclasses.replace(self, **missing) if missing else self

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Read a TOML table.  Raises ``ConfigError`` for an unknown key, wrong type or range."""
        known = [entry.name for entry in dataclasses.fields(cls)]
        for key in table:
            if key not in known:
                raise unknown_name(f"setting `{cls.name}.{key}`", key, known, f"{cls.name}.")
        return cls(**table)

    def to_table(self) -> dict[str, Any]:
        """The section as a TOML table; settings that are None are left out."""
        table = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in table.items()
            if value is not None
        }


def checked(name: str, value: Any, kind: Any) -> Any:
    """``value`` as ``kind``; integers pass for floats, lists for tuples, one item for a tuple.

    Raises ``ConfigError``.
    """
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(checked(name, item, get_args(kind)[0]) for item in items)
    if isinstance(value, int) and value.bit_length() > WIDEST:  # too long for a message
        raise ConfigError(
            f"`{name}` must have at most {WIDEST} bits, got a number of {value.bit_length():,}",
            f"change `{name}`",
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise ConfigError(f"`{name}` must be {words[kind]}, got {value!r}", f"change `{name}`")
    return value


RULES: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("at least", operator.ge),
    "maximum": ("at most", operator.le),
    "above": ("more than", operator.gt),
    "below": ("less than", operator.lt),
}
"""What each limit of a field says of its value, in words and as a comparison with the limit."""


def check_range(name: str, value: Any, entry: Field[Any]) -> None:
    """Raise ``ConfigError`` where ``value`` lies outside what the field's metadata allow."""
    limits = entry.metadata
    if value is None or not limits:
        return
    if limits["choices"] and value not in limits["choices"]:
        raise unknown_name(f"value `{assignment(name, value)}`", value, limits["choices"])
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if not math.isfinite(value):
        raise ConfigError(f"`{name}` must be finite, got {value}", f"change `{name}`")
    rules = {key: limits[key] for key in RULES if limits[key] is not None}
    if not all(RULES[key][1](value, limit) for key, limit in rules.items()):
        allowed = " and ".join(f"{RULES[key][0]} {limit}" for key, limit in rules.items())
        shown = f"{value:g}" if isinstance(value, float) else value
        raise ConfigError(f"`{name}` must be {allowed}, got {shown}", f"change `{name}`")


def assignment(name: str, value: Any) -> str:
    """``name=value`` with the value spelled so that Python and a settings file both take it."""
    if isinstance(value, bool):
        return f"{name}={str(value).lower()}"
    if isinstance(value, list | tuple):
        items = ", ".join(f"{item:g}" if isinstance(item, float) else repr(item) for item in value)
        return f"{name}=[{items}]"
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value!r}"


def default_text(entry: Field[Any]) -> str:
    """What a setting is where nobody names it, for help and documentation; empty where the help
    says it in words.
    """
    fallback = entry.metadata["fallback"]
    if entry.metadata["decided"]:
        return "decided" if fallback is None else f"decided; {shown(fallback)} with steps or epochs"
    return "" if entry.default in (None, ()) else shown(entry.default)


def shown(value: Any) -> str:
    """A default in a sentence."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def unknown_name(what: str, given: object, known: Sequence[str], prefix: str = "") -> ConfigError:
    """The error for a name that is none of ``known``; the nearest one is its way out."""
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"unknown {what}", hint)


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ``ConfigError`` if an argument has none of the values it may have."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        raise ConfigError(
            f"`{name}` must be one of {', '.join(allowed)}, got {value!r}",
            f"`{name}={near[0] if near else allowed[0]!r}`",
        )
