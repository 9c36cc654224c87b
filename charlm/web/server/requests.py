"""What clients of the server send: JSON bodies -> checked records, or a refusal with its cause."""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charlm.errors import CharlmError, ConfigError, counted
from charlm.inference.serving.texts import Sampling
from charlm.untrusted import parse_json

__all__ = [
    "CompletionRequest",
    "Fields",
    "Refused",
    "ServeLimits",
    "parse_body",
    "parse_completion",
]

MOST_STOPS = 16
MOST_TOP = 20
"""Most probable tokens that ``logprobs`` may ask for."""
LARGEST_BIAS = 100.0
LONGEST_SHOWN = 60
"""Characters of a wrong value that an error shows."""
IGNORED = ("user", "suffix", "best_of", "presence_penalty", "frequency_penalty")
"""Fields of OpenAI's that are accepted where they change nothing."""


class Refused(CharlmError):
    """A request that is answered with an error: an HTTP ``status``, and perhaps the field
    (``param``) and a ``code`` that programs can compare.
    """

    def __init__(
        self, cause: str, hint: str, *, status: int = 400, param: str | None = None,
        code: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(cause, hint)
        self.status, self.param, self.code = status, param, code


@dataclass(frozen=True)
class ServeLimits:
    """What a server does at most."""

    lanes: int = 64
    """Texts of a model that are written at a time."""
    waiting: int = 256
    """Texts that wait for a lane."""
    length: int = 16384
    """Tokens of a prompt and a text that follows it together."""
    seconds: float = 300
    """Time for one request."""
    body: int = 1 << 20
    """Bytes of a request."""
    patience: float = 10
    """Seconds for the head or the body of a request to arrive."""
    grace: float = 5
    """Seconds that running requests get when the server ends."""

    def __post_init__(self) -> None:
        """Raises ``ConfigError`` for a limit below 1."""
        for name in ("lanes", "length", "seconds"):
            if not getattr(self, name) >= 1:
                raise ConfigError(f"`{name}` must be 1 or more", f"leave `{name}` out")
        if self.waiting < 0:
            raise ConfigError("`waiting` must be 0 or more", "leave `waiting` out")


@dataclass(frozen=True)
class CompletionRequest:
    """What ``/v1/completions`` was asked for; ``prompts`` are texts or token ids."""

    prompts: Sequence[str | list[int]]
    max_tokens: int
    n: int
    sampling: Sampling
    stop: tuple[str, ...]
    seed: int | None
    logprobs: int | None
    echo: bool
    stream: bool
    include_usage: bool
    replace_unknown: str | None


def parse_body(content: bytes) -> "Fields":
    """The fields of a JSON object.  Raises ``Refused``."""
    try:
        body = parse_json(content)
    except ValueError as error:
        why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).split(";")[0]
        raise Refused(f"the body is no JSON: {why}", "send a JSON object") from None
    if not isinstance(body, dict):
        raise Refused("the body is no JSON object", 'send one like {"prompt": "It was"}')
    return Fields(body)


class Fields:
    """The fields of a request, each taken once; null stands for a field that is not given."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.given = {name: value for name, value in body.items() if value is not None}
        self.known: set[str] = set()

    def take(self, name: str, default: Any = None) -> Any:
        """The value of a field, whatever it is."""
        self.known.add(name)
        return self.given.get(name, default)

    def whole(self, name: str, default: int | None, low: int, high: int) -> Any:
        """A whole number from ``low`` to ``high``.  Raises ``Refused``."""
        value = self.take(name, default)
        if value is not None and not (is_whole(value) and low <= value <= high):
            raise self.wrong(name, f"a whole number from {low:,} to {high:,}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number from ``low`` to ``high``.  Raises ``Refused``."""
        value = self.take(name, default)
        if not is_number(value) or not low <= value <= high:
            raise self.wrong(name, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false, which is the default.  Raises ``Refused``."""
        value = self.take(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def text(self, name: str, default: str | None = None) -> Any:
        """A text.  Raises ``Refused``."""
        value = self.take(name, default)
        if value is not None and not is_text(value):
            lone = " without lone surrogates" if isinstance(value, str) else ""
            raise self.wrong(name, f"a text{lone}")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A text or a list of at most ``most``, none empty.  Raises ``Refused``."""
        value = self.take(name, [])
        values = value if isinstance(value, list) else [value]
        if len(values) > most:
            raise self.wrong(name, f"a text, or a list of at most {most}")
        for each in values:
            if not is_text(each) or not each:
                raise wrong(name, "a text that is not empty, or a list of those", each)
        return tuple(values)

    def wrong(self, name: str, allowed: str) -> Refused:
        """The error for a field with a value that is not allowed."""
        return wrong(name, allowed, self.given.get(name))

    def refuse_others(self) -> None:
        """Raise ``Refused`` for a field that nobody has taken."""
        for name in self.given:
            if name not in self.known:
                near = difflib.get_close_matches(name, self.known, n=1)
                known = ", ".join(sorted(self.known))
                hint = f"did you mean `{near[0]}`?" if near else f"known: {known}"
                raise Refused(f"unknown field {name[:60]!r}", hint, param=name[:60])


def parse_completion(fields: Fields, vocab_size: int, limits: ServeLimits) -> CompletionRequest:
    """Check a request for completions, its ``model`` apart.  Raises ``Refused``."""
    n = fields.whole("n", 1, 1, limits.lanes + limits.waiting)
    refuse_effects(fields, n)
    options = fields.take("stream_options", {})
    if not isinstance(options, dict) or not isinstance(options.get("include_usage", False), bool):
        raise fields.wrong("stream_options", 'like {"include_usage": true}')
    request = CompletionRequest(
        prompts=parse_prompts(fields, vocab_size, limits),
        max_tokens=fields.whole("max_tokens", 16, 0, limits.length),
        n=n,
        sampling=Sampling(
            temperature=fields.number("temperature", 1, 0, 1000),
            top_p=fields.number("top_p", 1, 0, 1) or 1e-9,  # 0 keeps the most probable token
            top_k=fields.whole("top_k", 0, 0, 1 << 31),
            min_p=fields.number("min_p", 0, 0, 1),
            bias=parse_bias(fields, vocab_size),
        ),
        stop=fields.texts("stop", MOST_STOPS),
        seed=fields.whole("seed", None, 0, (1 << 62) - 1),
        logprobs=fields.whole("logprobs", None, 0, MOST_TOP),
        echo=fields.flag("echo"),
        stream=fields.flag("stream"),
        include_usage=options.get("include_usage", False),
        replace_unknown=fields.text("replace_unknown"),
    )
    fields.refuse_others()
    if len(request.prompts) * n > limits.lanes + limits.waiting:
        raise Refused(
            f"{counted(len(request.prompts), 'prompt')} with n={n} are more than "
            f"{limits.lanes + limits.waiting} texts", "ask for fewer at a time", param="n",
        )  # fmt: skip
    return request


def refuse_effects(fields: Fields, n: int) -> None:
    """Raise ``Refused`` for fields of OpenAI's that this server has not, unless without effect."""
    for name in IGNORED:
        value = fields.take(name)
        without = (None, "", 0, 0.0) if name != "best_of" else (None, 1, n)
        if name != "user" and (isinstance(value, list | dict) or value not in without):
            raise Refused(f"`{name}` is not supported", f"leave `{name}` out", param=name)


def parse_prompts(
    fields: Fields, vocab_size: int, limits: ServeLimits
) -> Sequence[str | list[int]]:
    """The prompts: a text, token ids, or a list of either.  Raises ``Refused``."""
    value, most = fields.take("prompt", ""), limits.lanes + limits.waiting
    if isinstance(value, str):
        return [fields.text("prompt", "")]
    if not isinstance(value, list) or not value:
        raise fields.wrong("prompt", "a text, a list of token ids, or a list of either")
    if is_whole(value[0]):
        return [check_ids("prompt", value, vocab_size)]
    if len(value) > most:
        raise Refused(
            f"`prompt` has {len(value):,} texts, of at most {most}",
            "ask for fewer at a time", param="prompt",
        )  # fmt: skip
    for at, each in enumerate(value):
        if isinstance(value[0], list):
            if not each:
                raise wrong(f"prompt[{at}]", "a list of token ids", each)
            check_ids(f"prompt[{at}]", each, vocab_size)
        elif not is_text(each):
            raise wrong(f"prompt[{at}]", "a text", each)
    return value


def parse_bias(fields: Fields, vocab_size: int) -> tuple[tuple[int, float], ...]:
    """What is added to logits by id.  Raises ``Refused``."""
    value = fields.take("logit_bias", {})
    if not isinstance(value, dict):
        raise fields.wrong("logit_bias", f'an object like {{"{vocab_size - 1}": -100}}')
    found = []
    for name, bias in value.items():
        id = int(name) if name.isascii() and name.isdigit() and len(name) < 12 else -1
        if not 0 <= id < vocab_size:
            allowed = f"an object whose names are token ids from 0 to {vocab_size - 1}"
            raise wrong("logit_bias", allowed, name)
        if not is_number(bias) or abs(bias) > LARGEST_BIAS:
            numbers = f"a number from {-LARGEST_BIAS:g} to {LARGEST_BIAS:g}"
            raise wrong(f"logit_bias[{name}]", numbers, bias)
        found.append((id, float(bias)))
    return tuple(sorted(found))


def check_ids(name: str, values: Any, vocab_size: int) -> list[int]:
    """``values`` if they are a list of token ids.  Raises ``Refused``."""
    if not isinstance(values, list):
        raise wrong(name, "a list of token ids", values)
    for at, id in enumerate(values):
        if not is_whole(id) or not 0 <= id < vocab_size:
            raise wrong(f"{name}[{at}]", f"a token id from 0 to {vocab_size - 1}", id)
    return values


def wrong(name: str, allowed: str, value: Any) -> Refused:
    """The error for a field, or a part of one like ``prompt[2]``, whose value is not allowed."""
    if isinstance(value, list | dict):
        shown = f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    else:
        shown = "nothing" if value is None else json.dumps(value)
    if len(shown) > LONGEST_SHOWN:
        shown = f"{shown[:LONGEST_SHOWN]}..."
    param = name.partition("[")[0]
    return Refused(f"`{name}` must be {allowed}, got {shown}", f"correct `{param}`", param=param)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_text(value: Any) -> bool:
    """Whether a value is a text that can be written as UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
