"""The settings of evaluation-time methods, which help a trained network while it reads.

They stand without torch, so that the command line can have them at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from charlm.config import parse_value
from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["Cache", "Dynamic", "Evaluation", "Temperature", "make_evaluation", "parse_evaluation"]

TUNED = ("dynamic.lr", "dynamic.decay", "cache.theta", "cache.share", "temperature.value")
"""What tuning chooses, in this order; the other values trade accuracy for time."""


class Method(Section):
    """One method, written ``name=value,name=value`` on the command line."""

    @classmethod
    def read(cls, text: str) -> dict[str, Any]:
        """The values that a text like ``name=value,name=value`` gives.  Raises ``ConfigError``."""
        given = {}
        for part in filter(None, text.split(",")):
            name, equals, value = part.partition("=")
            if not equals:
                raise ConfigError(
                    f"`{cls.name}` takes name=value, got {part!r}",
                    f"put SOURCE before it, or give values: `{cls.name}={str(cls())!r}`",
                )
            if name.strip() in given:
                raise ConfigError(f"`{cls.name}` has {name.strip()} twice", "leave one of them out")
            given[name.strip()] = parse_value(value)
        return given

    @classmethod
    def values(cls, given: object) -> Mapping[str, Any]:
        """The values in what Python calls give: True or a table.  Raises ``ConfigError``."""
        if given is True:
            return {}
        if isinstance(given, Mapping):
            return given
        raise ConfigError(
            f"`{cls.name}` must be True or a table of values, got {given!r}",
            f"write for example `{cls.name}={cls().to_table()}`",
        )

    def __str__(self) -> str:
        return ",".join(f"{name}={value:g}" for name, value in self.to_table().items())


@dataclass(frozen=True, kw_only=True)
class Temperature(Method):
    """Divide the logits: above 1 makes a model more careful (Guo et al. 2017, arXiv:1706.04599)."""

    name: ClassVar[str] = "temperature"

    value: float = setting(1.0, "What the logits are divided by.", minimum=0.01, maximum=100)

    @classmethod
    def read(cls, text: str) -> dict[str, Any]:
        """A number; nothing leaves it to tuning."""
        return super().read(f"value={text}" if text else "")

    @classmethod
    def values(cls, given: object) -> Mapping[str, Any]:
        """A number, or what other methods are given."""
        if isinstance(given, int | float) and not isinstance(given, bool):
            return {"value": given}
        return super().values(given)

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True, kw_only=True)
class Dynamic(Method):
    """Dynamic evaluation: the network goes on learning from what it has read."""

    name: ClassVar[str] = "dynamic"

    lr: float = setting(5e-4, "Size of a step.", minimum=0)
    decay: float = setting(1e-3, "Pull back to the trained weights.", minimum=0, maximum=1)
    segment: int = setting(32, "Tokens between two steps.", minimum=1, maximum=1 << 14)
    epsilon: float = setting(0.1, "Keeps small gradients from large steps.", above=0)


@dataclass(frozen=True, kw_only=True)
class Cache(Method):
    """Continuous cache: what followed where the network was in a similar state comes again."""

    name: ClassVar[str] = "cache"

    window: int = setting(2000, "Tokens that are remembered.", minimum=1, maximum=1 << 20)
    theta: float = setting(0.5, "How much more a more similar state counts.", minimum=0)
    share: float = setting(0.1, "The cache's share of the probability.", minimum=0, below=1)


METHODS: tuple[type[Method], ...] = (Temperature, Dynamic, Cache)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The methods in use.

    ``free`` are the values, like ``dynamic.lr``, that are still to be chosen on the texts
    ``tune_on``: ``valid``, the run's own validation part, or files.
    """

    temperature: Temperature | None = None
    dynamic: Dynamic | None = None
    cache: Cache | None = None
    free: tuple[str, ...] = ()
    tune_on: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[Method, ...]:
        """Those in use, from the inside outwards."""
        return tuple(filter(None, (self.dynamic, self.temperature, self.cache)))

    @property
    def mode(self) -> str:
        """``static``, or the methods, like ``dynamic+temperature+cache``."""
        return "+".join(method.name for method in self.methods) or "static"

    def record(self) -> dict[str, Any]:
        """All values by method and name, and the texts they were tuned on."""
        values = {method.name: method.to_table() for method in self.methods}
        return {**values, "tuned_on": list(self.tune_on)}

    def value(self, name: str) -> float:
        """What a name like ``dynamic.lr`` stands for."""
        method, _, key = name.partition(".")
        return float(getattr(getattr(self, method), key))

    def change(self, name: str, value: float) -> "Evaluation":
        """These methods with another value for one name.

        Raises ``ConfigError`` where the value is out of range.
        """
        method, _, key = name.partition(".")
        changes: dict[str, Any] = {method: replace(getattr(self, method), **{key: value})}
        return replace(self, **changes)


def parse_evaluation(given: Mapping[str, str | None], tune_on: tuple[str, ...]) -> Evaluation:
    """The methods that options ask for, by their names; None is an option that is not there.

    Raises ``ConfigError`` as ``make_evaluation`` does, and for what is not ``name=value``.
    """
    methods = {kind.name: kind for kind in METHODS}
    values = {
        name: methods[name].read(text) or True for name, text in given.items() if text is not None
    }
    return make_evaluation(values, tune_on)


def make_evaluation(
    given: Mapping[str, float | bool | Mapping[str, float]], tune_on: tuple[str, ...] = ()
) -> Evaluation:
    """The methods named in ``given``: True, or a table of values; False or None: not used.

    The temperature may be a number.  Values that are not given keep their defaults, or are left
    to be chosen on the texts ``tune_on``.  Raises ``ConfigError`` for unknown names and wrong
    values, for a temperature that nothing decides, and for tuning without anything to choose.
    """
    methods: dict[str, Any] = {}
    fixed: set[str] = set()
    for kind in METHODS:
        wanted = given.get(kind.name)
        if wanted is None or wanted is False:
            continue
        values = kind.values(wanted)
        methods[kind.name] = kind.from_table(values)
        fixed |= {f"{kind.name}.{name}" for name in values}
    free = [name for name in TUNED if name.partition(".")[0] in methods and name not in fixed]
    if "temperature.value" in free and not tune_on:
        raise ConfigError(
            "`temperature` lacks its value", "give one, or let it be chosen: `tune_on='valid'`"
        )
    if tune_on and not free:
        raise ConfigError(
            "`tune_on` has nothing to choose",
            "name a method, its values left out: `dynamic=True`, `cache=True` or "
            "`temperature=True`",
        )
    return Evaluation(**methods, free=tuple(free) if tune_on else (), tune_on=tune_on)
