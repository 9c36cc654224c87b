"""Synthetic text: sources whose entropy rate is known exactly, so that a perplexity can be checked.

No model can predict such a text better than its entropy rate, except by the sampling error; a model
that has learnt the source comes close to it.  Rates and surprisals here are in bits.
"""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from charlm import durable
from charlm.config.section import unknown_name
from charlm.data.synthetic.markov import MarkovSource
from charlm.data.synthetic.nested import NestedSource
from charlm.data.synthetic.recall import RecallSource

__all__ = [
    "SOURCES",
    "MarkovSource",
    "NestedSource",
    "RecallSource",
    "SyntheticSource",
    "synthetic_source",
    "write_synthetic",
]

SyntheticSource = MarkovSource | NestedSource | RecallSource
"""A random source of characters whose probabilities are all known."""

SOURCES: dict[str, type[SyntheticSource]] = {
    "markov": MarkovSource,
    "nested": NestedSource,
    "recall": RecallSource,
}


def synthetic_source(kind: str, **parameters: Any) -> SyntheticSource:
    """A source of a kind of ``SOURCES``.  Raises ``ConfigError`` for unknown names."""
    if kind not in SOURCES:
        raise unknown_name(f"kind of made text {kind}", kind, list(SOURCES))
    known = [field.name for field in fields(SOURCES[kind])]
    for name in parameters:
        if name not in known:
            raise unknown_name(f"parameter {name} of {kind}", name, known)
    return SOURCES[kind](**parameters)


def write_synthetic(source: SyntheticSource, path: Path, chars: int, seed: int) -> dict[str, Any]:
    """Write a synthetic text to ``path`` and its facts to ``path`` + ``.json``; return the facts.

    Raises ``CorpusError`` if either exists already or cannot be written.
    """
    beside = path.with_name(path.name + ".json")
    for each in (path, beside):
        durable.check_output(each)
    text = source.generate(chars, seed)
    facts = {
        "source": source.name,
        "parameters": asdict(source),
        "seed": seed,
        "chars": chars,
        "entropy_rate_bits_per_char": source.entropy_rate,
        "surprisal_bits_per_char": float(source.surprisals(text).mean()),
        "sha256": hashlib.sha256(text.encode("ascii")).hexdigest(),
    }
    durable.write_output(path, text.encode())
    durable.write_output(beside, (json.dumps(facts, indent=2) + "\n").encode())
    return facts
