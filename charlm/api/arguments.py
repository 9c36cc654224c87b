"""Checks of the arguments of ``charlm.train``, ``load``, ``compare`` and ``Model``."""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, get_args, get_origin

from charlm.config import GenerationConfig
from charlm.config.paths import path_of
from charlm.config.section import unknown_name
from charlm.config.whole import keys
from charlm.errors import CharlmWarning, ConfigError

__all__ = [
    "Texts",
    "check_part",
    "last_of",
    "listed",
    "naming_unknown",
    "require",
    "run_folder",
    "several",
    "within",
]

Texts = str | Path | Iterable[str | Path]
"""A ``str`` is the text itself, a ``Path`` a file, folder or corpus, a list several of either."""

PARTS = ("train", "valid", "test")
"""The parts into which the text of a run is divided."""

SETTING = re.compile(r"`(?P<section>\w+)\.(?P<key>\w+)")
"""A setting of a section in a message."""

LONGEST_NAME = 60
"""Characters of a text that is perhaps meant as the name of a file."""

PLAIN: dict[object, tuple[type, str]] = {
    bool: (bool, "True or False"),
    float: (Real, "a number"),
    int: (Integral, "a whole number"),
    str: (str, "a str"),
    bytes: (bytes, "bytes"),
    Path: (Path, "a Path"),
    Sequence: (Iterable, "a list"),
    NoneType: (NoneType, "None"),
}
"""For each annotation that is checked at every call: what is accepted, and how it is named."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


def naming_unknown(call: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let ``call`` refuse an argument that it does not have with the nearest name that it has,
    and one of the wrong type where its annotation is made of the types in ``PLAIN``.  Keywords
    that have no name in its signature are settings of ``generation``.
    """
    expected = signature(call)
    known = [name for name in expected.parameters if name != "self"]
    if any(each.kind is each.VAR_KEYWORD for each in expected.parameters.values()):
        known = [*known[:-1], *keys()[GenerationConfig.name]]
    types = {name: plain_types(each.annotation) for name, each in expected.parameters.items()}

    @wraps(call)
    def checked(*arguments: Given.args, **named: Given.kwargs) -> Result:
        for name in named:
            if name not in known:
                raise unknown_name(f"argument `{name}` of {call.__name__}", name, known)
        for name, value in expected.bind_partial(*arguments, **named).arguments.items():
            if types[name] and name != "settings":
                kinds = tuple(PLAIN[each][0] for each in types[name])
                require(name, value, kinds, " or ".join(PLAIN[each][1] for each in types[name]))
        try:
            return call(*arguments, **named)
        except ConfigError as error:
            cause, hint = (as_arguments(text, known) for text in (str(error), error.hint))
            if (cause, hint) == (str(error), error.hint):
                raise
            raise ConfigError(cause, hint) from None

    return checked


def as_arguments(text: str, known: Sequence[str]) -> str:
    """``text`` with a setting like `generation.length` or `temperature.value` under the name of the
    argument of a call that sets it, if it is among the ``known`` ones.
    """

    def argument(found: re.Match[str]) -> str:
        name = found["section"] if found["key"] == "value" else found["key"]
        return f"`{name}" if name in known else found[0]

    return SETTING.sub(argument, text)


def plain_types(annotation: object) -> tuple[object, ...]:
    """The types of an annotation like ``int | None``; none where not all are in ``PLAIN``."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    types = tuple(get_origin(part) or part for part in parts)
    return types if all(each in PLAIN for each in types) else ()


def require(name: str, value: object, kinds: tuple[type, ...], wanted: str) -> None:
    """Raise ``ConfigError`` unless the argument ``name`` has one of the types ``kinds``."""
    if not fits(value, kinds):
        raise ConfigError(f"`{name}` must be {wanted}, got {value!r:.60}", f"change `{name}`")


def fits(value: object, kinds: tuple[type, ...]) -> bool:
    """Whether ``value`` has one of the types ``kinds`` and can be used as such: an array without
    dimensions has no items, and a whole number may be too large for any ``float``.
    """
    if isinstance(value, bool) or not isinstance(value, kinds):
        return isinstance(value, bool) and bool in kinds
    try:
        if isinstance(value, Integral) and Integral not in kinds:
            float(value)
        elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
            iter(value)
    except (OverflowError, TypeError):
        return False
    return True


def several(name: str, given: str | Iterable[str]) -> list[str]:
    """The texts that the argument ``name`` gives.  Raises ``ConfigError`` unless it is a str or
    several.
    """
    every = [given] if isinstance(given, str) else list(given)
    for each in every:
        require(name, each, (str,), "a str, or a list of them")
    return every


def within(least: int, most: int | None = None, /, **numbers: int | None) -> None:
    """Raise ``ConfigError`` for a number below ``least`` or above ``most``; None is fine."""
    for name, value in numbers.items():
        if value is not None and not least <= value <= (value if most is None else most):
            allowed = f"{least} or more" if most is None else f"from {least} to {most}"
            raise ConfigError(f"`{name}` must be {allowed}, got {value}", f"change `{name}`")


def run_folder(run: str | Path) -> Path:
    """The folder of a run; ``hf:owner/name`` is downloaded from the Hub into the cache.

    Raises ``CharlmError`` for a run that the Hub does not give.
    """
    if str(run).startswith("hf:"):
        from charlm.exchange.hub import local_run

        return local_run(str(run))
    return path_of("run", run)


def last_of(records: Iterable[object], kind: type[Result]) -> Result:
    """The last record, which has the type ``kind``: the result of long work."""
    *_, last = records
    assert isinstance(last, kind)
    return last


def listed(text: Texts | None) -> str | Path | Sequence[str | Path] | None:
    """``text``, an iterable of texts as a list.

    Raises ``ConfigError`` for what is no text, and warns of a text that is also the name of a file,
    which is hardly what was to be measured.
    """
    single = text is None or isinstance(text, str | Path)
    readable = isinstance(text, bytes) or hasattr(text, "read")
    if not single and (readable or not fits(text, (Iterable,))):
        raise ConfigError(
            f"a text must be a str, or the Path of a file, or a list of them, got {text!r:.60}",
            "decode or read it first, or give the Path of the file",
        )
    texts: list[Any] = [text] if single else list(text)  # type: ignore[arg-type]
    for each in texts:
        if isinstance(each, str) and 0 < len(each) <= LONGEST_NAME and Path(each).is_file():
            about = f"the text {each!r} is also the name of a file; Path({each!r}) is what it holds"
            warnings.warn(about, CharlmWarning, stacklevel=4)
    return texts[0] if single else texts


def check_part(part: str | None) -> None:
    """Raise ``ConfigError`` unless ``part`` is None or names a part of a run's text."""
    if part is not None and part not in PARTS:
        raise unknown_name(f"`part`: {part!r}", str(part), list(PARTS))
