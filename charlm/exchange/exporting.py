"""A run in the formats of other programs."""

import json
from dataclasses import dataclass
from pathlib import Path

from charlm import durable
from charlm.config.paths import path_of
from charlm.errors import ConfigError, CorpusError, ModelError, way_out
from charlm.exchange.arpa import arpa_lines, spelled
from charlm.exchange.onnx import onnx_model, verify_onnx
from charlm.inference.loading import Loaded, load_run, require_recurrent
from charlm.inference.predictors.ngram import NgramPredictor

__all__ = ["FORMATS", "Exported", "export_model"]

FORMATS = ("onnx", "arpa")

EXAMPLE = '''"""Write with the exported model: python example.py "It was" """

import json
import sys

import numpy as np
import onnxruntime

about = json.load(open("about.json"))
tokens = json.load(open("tokens.json"))  # the text of each id; id 0 is the boundary
session = onnxruntime.InferenceSession("model.onnx")
state = {name: np.zeros((about["layers"], 1, about["hidden_size"]), np.float32)
         for name in about["states"]}
prompt = sys.argv[1] if len(sys.argv) > 1 else ""
ids = [0] + [tokens.index(char) for char in prompt if char in tokens]
generator = np.random.default_rng(1)
print(prompt, end="")
for _ in range(200):
    given = {"tokens": np.array([ids], np.int64), **state}
    log_probs, *after = session.run(None, given)
    state = dict(zip(about["states"], after))
    p = np.exp(log_probs[0, -1].astype(np.float64) / 0.8)
    ids = [int(generator.choice(len(p), p=p / p.sum()))]
    print(tokens[ids[0]] + about["between"], end="", flush=True)
'''


@dataclass(frozen=True)
class Exported:
    """What was written: ``bytes`` in all under ``out``; ``difference`` in nats is the largest
    between onnxruntime's log-probabilities and ours, None for other formats.
    """

    run: str
    step: int
    to: str
    out: str
    bytes: int
    difference: float | None = None


def export_model(
    run: Loaded | str | Path,
    to: str,
    out: str | Path,
    *,
    step: int | None = None,
    force: bool | None = None,
) -> Exported:
    """Write a run, or its checkpoint of a ``step``, for other programs.

    ``to="onnx"`` makes a new folder with the graph, the tokenizer and an example of use,
    ``to="arpa"`` a file of an n-gram model.

    Raises ``ConfigError`` for an unknown format, ``ModelError`` for a model that it cannot hold,
    and ``CorpusError`` if ``out`` exists or cannot be written.
    """
    out = path_of("out", out)
    loaded = run if isinstance(run, Loaded) else load_run(path_of("run", run), step=step)
    if to not in FORMATS:
        raise ConfigError(f"unknown format `to={to!r}`", f"choose one of {', '.join(FORMATS)}")
    if to == "arpa":
        durable.write_output(out, content := arpa_of(loaded), force=force)
        return Exported(str(loaded.run.folder), loaded.step, to, str(out), len(content))
    if out.exists():
        raise CorpusError(
            f"{out} exists already" + (", and `force` replaces files alone" if force else ""),
            "choose another `out`, or remove it first",
        )
    difference = write_onnx(loaded, out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Exported(str(loaded.run.folder), loaded.step, to, str(out), size, difference)


def write_onnx(loaded: Loaded, out: Path) -> float:
    """Write a folder with the graph and what one needs to use it; returns the largest difference
    between onnxruntime's log-probabilities and ours.  Raises what ``export_model`` raises.
    """
    network = require_recurrent(loaded)
    graph = onnx_model(network)
    difference = verify_onnx(graph, network)
    try:
        durable.remove_leftovers(out.resolve())
        with durable.write_folder(out) as folder:
            durable.write_bytes(folder / "model.onnx", graph)
            write_companions(folder, loaded)
    except OSError as error:
        raise CorpusError(f"{out} cannot be written: {error.strerror}", way_out(error)) from None
    return difference


def write_companions(folder: Path, loaded: Loaded) -> None:
    """Write what one needs to use the graph: tokenizer, sizes, the text of each id, an example."""
    config, tokenizer = loaded.run.config.model, loaded.tokenizer
    layers = require_recurrent(loaded).recurrent_layers()
    about = {
        "run": loaded.run.folder.name,
        "step": loaded.step,
        "tokenizer": tokenizer.kind,
        "between": " " if tokenizer.kind == "word" else "",
        "states": ["h", "c"][: layers[0].cell.state_parts],
        "layers": config.num_layers,
        "hidden_size": config.hidden_size,
        "settings": loaded.run.config.to_tables()["model"],
    }
    tokens = [each.decode("utf-8", errors="replace") for each in tokenizer.table]
    durable.make_folder(folder / "tokenizer")
    tokenizer.save(folder / "tokenizer")
    durable.write_text(folder / "about.json", json.dumps(about, indent=1) + "\n")
    durable.write_text(folder / "tokens.json", json.dumps(tokens) + "\n")
    durable.write_text(folder / "example.py", EXAMPLE)


def arpa_of(loaded: Loaded) -> bytes:
    """An ARPA file.  Raises ``ModelError`` for a run that is no n-gram model."""
    if not isinstance(loaded.model, NgramPredictor):
        raise ModelError(
            f"{loaded.run.folder} holds no n-grams, and ARPA files hold nothing else",
            "train one with `model.kind='ngram'`, or export to another format",
        )
    return "".join(arpa_lines(loaded.model.ngrams, spelled(loaded.tokenizer))).encode()
