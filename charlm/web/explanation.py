"""The page on an explanation: a text in the colours of any unit, and the cell at every step.

The activations are rounded to whole multiples of a step of each unit's range, packed as base64,
and decoded by the page unit by unit when they are shown.
"""

import base64
import json
import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from charlm.errors import ConfigError, CorpusError, counted
from charlm.explain.activations import Explanation
from charlm.explain.features import FEATURES, measure_feature
from charlm.web.page import data_block, make_page, resource

__all__ = ["SCRIPTS", "STYLES", "explanation_page", "explanation_section"]

STYLES, SCRIPTS = ("explanation.css",), ("explanation.js",)
"""What a page needs that holds an ``explanation_section``."""

FINE_BYTES, MOST_BYTES = 24 << 20, 64 << 20
"""Bytes of activations up to which each takes two, so that three decimals are exact, and most
bytes that a page holds: it then loads in about a second."""

MOST_TOKENS = 100_000
"""Most tokens of a page, each of which is an element of its own."""

NAMES = {"cell": "cell state", "hidden": "hidden state"}
"""What activations are called where their names are not."""

DIAGRAMS = {"gru": "gru.svg", "rnn": "rnn.svg"}
"""Drawings of the cells; all others are kinds of LSTM."""


def explanation_page(explanation: Explanation) -> str:
    """A whole page on an explanation.

    Raises ``ConfigError`` for one without units, and for more activations than a page should hold.
    """
    head = " ".join(explanation.text.split())[:60]
    body = f"<main><h1>Inside, while it reads</h1>{explanation_section(explanation)}</main>"
    return make_page(f"charlm: {head}", body, styles=STYLES, scripts=SCRIPTS)


def explanation_section(explanation: Explanation) -> str:
    """The part of a page that shows an explanation; a page has one.

    Raises what ``explanation_page`` does.
    """
    size = bytes_of_value(explanation)
    diagram = resource(DIAGRAMS.get(explanation.cell, "lstm.svg"))
    record = record_of(explanation, size)
    gates = {name: NAMES.get(name, name.replace("_", " ")) for name in explanation.gates}
    layers = {str(index): str(number) for index, number in enumerate(explanation.layers)}
    features = {name: name.replace("-", " ") for name in record["features"]}
    section = resource("explanation.html")
    for mark, content in {
        "GATES": choices(gates),
        "LAYERS": choices(layers),
        "FEATURES": choices(features),
        "DIAGRAM": diagram,
    }.items():
        section = section.replace(f"<!-- {mark} -->", content)
    return (
        section
        + data_block("record", record)
        # A comment is what a browser reads fastest: twice as fast as text.
        + f'<div id="values" hidden><!--{pack(explanation, size)}--></div>'
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
    if tokens > MOST_TOKENS:
        raise ConfigError(
            f"a page on {counted(tokens, 'token')} is too large for a browser",
            f"give a text of {MOST_TOKENS:,} tokens at most",
        )
    if per_unit * units > MOST_BYTES:
        raise ConfigError(
            f"a page on {counted(units, 'unit')} over {counted(tokens, 'token')} would hold "
            f"{per_unit * units * 4 / 3e6:,.0f} MB, too much for a browser",
            f"choose {MOST_BYTES // per_unit:,} `units` at most, like `units=[0, 1]`, "
            "or a shorter text",
        )
    return 2 if per_unit * units * 2 <= FINE_BYTES else 1


def record_of(explanation: Explanation, size: int) -> dict[str, Any]:
    """What the page's script reads beside the activations; surprisal and entropy in bits."""
    scales = {name: scale_of(*both(explanation, name), size) for name in explanation.gates}
    return {
        "tokens": explanation.tokens,
        "surprisal": rounded(explanation.surprisal / math.log(2), 5),
        "entropy": rounded(explanation.entropy / math.log(2), 5),
        "expected": [
            [[token, round(probability, 4)] for token, probability in guesses]
            for guesses in (*explanation.likeliest, explanation.following)
        ],
        "features": dict(features_of(explanation)),
        "layers": explanation.layers,
        "units": explanation.units,
        "gates": list(explanation.gates),
        "bytes": size,
        "lowest": [rounded(low.ravel(), 6) for low, _ in scales.values()],
        "step": [rounded(step.ravel(), 9) for _, step in scales.values()],
        "equations": json.loads(resource("equations.json"))[explanation.cell],
    }


def features_of(explanation: Explanation) -> Iterator[tuple[str, list[int]]]:
    """The features that change over the text, each with its whole number at every token."""
    for name in FEATURES:
        try:
            values = measure_feature(name, explanation.tokens)
        except CorpusError:  # constant on this text
            continue
        yield name, values.astype(int).tolist()


def both(explanation: Explanation, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The activations before the text (1, L, H) and over it (T, L, H)."""
    return explanation.initial[name][None], explanation.gates[name]


def scale_of(before: np.ndarray, during: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest activation of each unit (L, H), and the step between two whole numbers."""
    low = np.minimum(during.min(axis=0), before[0]).astype(np.float64)
    high = np.maximum(during.max(axis=0), before[0])
    return low, (high - low) / (256**size - 1)


def pack(explanation: Explanation, size: int) -> str:
    """All activations as base64: for each gate, layer and unit a row of T + 1 whole numbers,
    filled up to a multiple of three bytes, so that a row is a piece of the text.
    """
    packed = []
    for name in explanation.gates:
        before, during = both(explanation, name)
        low, step = scale_of(before, during, size)
        scale = np.where(step > 0, step, 1)
        numbers = np.rint((np.concatenate([before, during]) - low) / scale)
        rows = np.ascontiguousarray(numbers.transpose(1, 2, 0).astype(f"<u{size}"))  # (L, H, T + 1)
        rows = rows.reshape(-1, rows.shape[-1]).view(np.uint8)
        filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 3)))
        packed.append(base64.b64encode(filled.tobytes()).decode())
    return "".join(packed)


def rounded(values: np.ndarray, digits: int) -> list[float]:
    """Numbers short enough for a page."""
    return [round(float(value), digits) for value in values]
