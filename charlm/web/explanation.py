"""The page on an explanation: a text in the colours of any unit, and the cell at every step.

The activations are rounded to whole multiples of a step of each unit's range and packed as base64,
a comment for each unit, which the page decodes when it is shown.  Those of the unit that is shown
first stand before the script and the others after it, so that the page can be used while they are
still read.
"""

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from charlm.errors import ConfigError, CorpusError, counted
from charlm.explain.activations import Explanation, most_varying
from charlm.explain.features import FEATURES, measure_feature
from charlm.web.page import data_block, make_page, resource

__all__ = ["SCRIPTS", "STYLES", "check_tokens", "explanation_page", "explanation_section"]

STYLES, SCRIPTS = ("explanation.css",), ("explanation.js",)
"""What a page needs that holds an ``explanation_section``."""

FINE_BYTES, MOST_BYTES = 24 << 20, 64 << 20
"""Bytes of activations up to which each takes two, so that three decimals are exact, and most
bytes that a page holds: it then loads in about a second."""

MOST_TOKENS = 100_000
"""Most tokens of a page, each of which is an element of its own."""

NAMES = {"cell": "cell state", "hidden": "hidden state", "modulated": "modulated hidden state"}
"""What activations are called where their names are not."""

DIAGRAMS = {"gru": "gru.svg", "rnn": "rnn.svg"}
"""Drawings of the cells; all others are kinds of LSTM."""


def explanation_page(explanation: Explanation) -> str:
    """A whole page on an explanation.

    Raises ``ConfigError`` for one without units, and for more activations than a page should hold.
    """
    head = " ".join(explanation.text.split())[:60]
    section, rest = explanation_section(explanation)
    body = f"<main><h1>Inside, while it reads</h1>{section}</main>"
    return make_page(f"charlm: {head}", body, styles=STYLES, scripts=SCRIPTS, rest=rest)


def explanation_section(explanation: Explanation) -> tuple[str, str]:
    """The part of a page that shows an explanation, and what stands after the scripts.

    A page has one.  Raises what ``explanation_page`` does.
    """
    size = bytes_of_value(explanation)
    record = record_of(explanation, size)
    gates = {name: NAMES.get(name, name.replace("_", " ")) for name in explanation.gates}
    layers = {str(index): str(number) for index, number in enumerate(explanation.layers)}
    features = {name: name.replace("-", " ") for name in record["features"]}
    section = resource("explanation.html")
    for mark, content in {
        "TOKEN": "token" if max(map(len, explanation.tokens)) > 1 else "character",
        "GATES": choices(gates),
        "LAYERS": choices(layers),
        "FEATURES": choices(features),
        "DIAGRAM": diagram_of(explanation),
    }.items():
        section = section.replace(f"<!-- {mark} -->", content)
    units = [f"<!--{packed}-->" for packed in pack(explanation, size)]
    first = units.pop(record["first"])
    return (
        f'{section}{data_block("record", record)}<div id="first" hidden>{first}</div>',
        f'<div id="others" hidden>{"".join(units)}</div>',
    )


def choices(names: Mapping[str, str]) -> str:
    """The choices of a control: their values, and what they are called."""
    return "".join(
        f'<option value="{escape(value)}">{escape(name)}</option>' for value, name in names.items()
    )


def bytes_of_value(explanation: Explanation) -> int:
    """How many bytes each activation takes on the page, one or two.

    Raises ``ConfigError`` where there is none, or too many for a page.
    """
    tokens, units = len(explanation.tokens), len(explanation.units)
    per_unit = (tokens + 1) * len(explanation.layers) * len(explanation.gates)
    if not units or not explanation.layers:
        raise ConfigError("a page needs activations, and no unit was kept", "leave `units` out")
    check_tokens(tokens)
    if per_unit * units > MOST_BYTES:
        raise ConfigError(
            f"a page on {counted(units, 'unit')} over {counted(tokens, 'token')} would hold "
            f"{per_unit * units * 4 / 3e6:,.0f} MB, too much for a browser",
            f"choose {MOST_BYTES // per_unit:,} `units` at most, like `units=[0, 1]`, "
            "or a shorter text",
        )
    return 2 if per_unit * units * 2 <= FINE_BYTES else 1


def check_tokens(tokens: int) -> None:
    """Raise ``ConfigError`` for more tokens than a page should hold."""
    if tokens > MOST_TOKENS:
        raise ConfigError(
            f"a page on {counted(tokens, 'token')} is too large for a browser",
            f"give a text of {MOST_TOKENS:,} tokens at most",
        )


def record_of(explanation: Explanation, size: int) -> dict[str, Any]:
    """What the page's script reads beside the activations; surprisal and entropy in bits."""
    scales = [scale_of(steps_of(explanation, name), size) for name in explanation.gates]
    return {
        "tokens": explanation.tokens,
        "surprisal": rounded(explanation.surprisal / math.log(2), 5),
        "entropy": rounded(explanation.entropy / math.log(2), 5),
        "rank": explanation.rank.tolist(),
        "expected": [
            [[token, round(probability, 4)] for token, probability in guesses]
            for guesses in (*explanation.likeliest, explanation.following)
        ],
        "features": dict(features_of(explanation)),
        "layers": explanation.layers,
        "units": explanation.units,
        "first": first_place(explanation),
        "gates": list(explanation.gates),
        "bytes": size,
        "lowest": [rounded(low.ravel(), 6) for low, _ in scales],
        "step": [rounded(step.ravel(), 9) for _, step in scales],
        "equations": equations_of(explanation),
    }


def first_place(explanation: Explanation) -> int:
    """The place of the unit that is shown first: the most varying one of the last layer."""
    above = (len(explanation.layers) - 1) * len(explanation.units)
    return above + most_varying(explanation.gates["hidden"][:, -1])


def equations_of(explanation: Explanation) -> dict[str, str]:
    """The equations of a step by the letter on their left, with the names of numbers in braces."""
    known: dict[str, dict[str, str]] = json.loads(resource("equations.json"))
    found = known[explanation.cell]
    if explanation.cell not in DIAGRAMS:
        found = known["lstm"] | found
    if "modulated" not in explanation.gates:
        return found
    # The cell reads the modulated x and h, which are primed.
    primed = {
        letter: re.sub(r"(?<![\w{])[xh](?!\w)", "\\g<0>\N{PRIME}", equation)
        for letter, equation in found.items()
    }
    return known["mogrifier"] | {
        letter: equation.replace("hidden before", "modulated")
        for letter, equation in primed.items()
    }


def diagram_of(explanation: Explanation) -> str:
    """The drawing of the cell, or why there is none."""
    drawing = resource(DIAGRAMS.get(explanation.cell, "lstm.svg"))
    if "modulated" not in explanation.gates:
        return drawing
    if explanation.cell in DIAGRAMS:
        return f"<p>A {explanation.cell} with a mogrifier has no drawing, only numbers.</p>"
    drawing = drawing.replace("The cell: ", "The cell: x and h modulate each other, then ")
    return drawing.replace("</svg>", resource("mogrifier.svg") + "</svg>")


def features_of(explanation: Explanation) -> Iterator[tuple[str, list[int]]]:
    """The features that change over the text, each with its whole number at every token."""
    for name in FEATURES:
        try:
            values = measure_feature(name, explanation.tokens)
        except CorpusError:  # constant on this text
            continue
        yield name, values.astype(int).tolist()


def steps_of(explanation: Explanation, name: str) -> np.ndarray:
    """The activations before the text and over it: (T + 1, L, H)."""
    return np.concatenate([explanation.initial[name][None], explanation.gates[name]])


def scale_of(steps: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest activation of each unit (L, H), and the step between two whole numbers."""
    low = steps.min(axis=0).astype(np.float64)
    return low, (steps.max(axis=0) - low) / (256**size - 1)


def pack(explanation: Explanation, size: int) -> Iterator[str]:
    """The activations of each layer and unit as base64: for each gate T + 1 whole numbers, filled
    up to a multiple of three bytes, so that they are a piece of the text.
    """
    packed = []
    for name in explanation.gates:
        steps = steps_of(explanation, name)
        low, step = scale_of(steps, size)
        numbers = np.rint((steps - low) / np.where(step > 0, step, 1))
        rows = np.ascontiguousarray(numbers.transpose(1, 2, 0).astype(f"<u{size}"))  # (L, H, T + 1)
        filling = -rows.shape[-1] * size % 3
        packed.append(np.pad(rows.view(np.uint8), ((0, 0), (0, 0), (0, filling))))
    for unit in np.stack(packed, axis=2).reshape(-1, len(packed) * packed[0].shape[-1]):
        # A comment is what a browser reads fastest: twice as fast as text.
        yield base64.b64encode(unit.tobytes()).decode()


def rounded(values: np.ndarray, digits: int) -> list[float]:
    """Numbers short enough for a page."""
    return [round(float(value), digits) for value in values]
