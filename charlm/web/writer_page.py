"""The page that writes: a model in one HTML file, which needs nothing else and no network."""

import base64
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from charlm import durable
from charlm.config.paths import path_of
from charlm.data.tokenizers.alphabets import ByteTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.subwords import SubwordTokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ConfigError, ModelError
from charlm.exchange.exporting import Exported
from charlm.inference.loading import Loaded, load_run, require_recurrent
from charlm.model.heads import AdaptiveHead
from charlm.model.language_model import LanguageModel
from charlm.web.page import data_block, make_page, resource

__all__ = ["PRECISIONS", "export_page", "writer_page"]

PRECISIONS = {"int16": "<i2", "int8": "<i1"}
"""Whole numbers that the weights of a row become, multiplied by a scale of the row.  In 16 bits
they are ten times closer to the weights than float16 would be."""
MOST_BYTES = 200 << 20
"""Bytes of weights that a browser loads in a few seconds."""


def export_page(
    run: Loaded | str | Path,
    out: str | Path,
    *,
    precision: str = "int16",
    step: int | None = None,
    force: bool | None = None,
) -> Exported:
    """Write the page of a run to ``out``: it writes and measures in a browser, without a network.

    ``precision`` of the weights is "int16", or "int8" for half the size.  Raises what
    ``writer_page`` does, and ``CorpusError`` if ``out`` exists or cannot be written.
    """
    path = path_of("out", out)
    durable.check_output(path, force=force)
    loaded = run if isinstance(run, Loaded) else load_run(path_of("run", run), step=step)
    content = writer_page(loaded, precision, note=" It is all in this page.").encode()
    durable.write_output(path, content, force=force)
    return Exported(str(loaded.run.folder), loaded.step, "html", str(out), len(content))


def writer_page(loaded: Loaded, precision: str = "int16", note: str = "") -> str:
    """A page that writes with a run's network and measures texts by it; ``note`` ends what it says
    of the model.

    Raises ``ModelError`` for a model that the page cannot hold, naming the setting.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown `precision={precision!r}`", f"choose {' or '.join(PRECISIONS)}")
    network = require_recurrent(loaded)
    config = network.config
    if config.mogrifier_rounds:
        raise ModelError(
            f"a page cannot hold a model with `model.mogrifier_rounds={config.mogrifier_rounds}`",
            "train one without it",
        )
    arrays, packed = pack_weights(network, precision)
    spec = {
        "cell": config.cell,
        "hidden_size": config.hidden_size,
        "num_layers": config.num_layers,
        "connections": config.connections,
        "arrays": arrays,
        "tokenizer": tokenizer_record(loaded.tokenizer),
    }
    if isinstance(network.head, AdaptiveHead):
        spec |= {"shortlist": network.head.shortlist, "tails": network.head.tails}
    name = loaded.run.folder.resolve().name
    about = (
        f"A language model of {config.num_layers} x {config.hidden_size} {config.cell}, tokenizer "
        f"{loaded.tokenizer.kind}, vocabulary {loaded.tokenizer.vocab_size:,}, step "
        f"{loaded.step:,}.{note}"
    )
    body = resource("writer.html").replace("<!-- TITLE -->", escape(name))
    body = body.replace("<!-- ABOUT -->", escape(about)) + data_block("spec", spec)
    body += f'<div id="weights" hidden><!--{base64.b64encode(packed).decode()}--></div>'
    scripts = ("model.js", "tokenizers.js", "writer.js")
    return make_page(name, body, styles=("explanation.css", "writer.css"), scripts=scripts)


def pack_weights(network: LanguageModel, precision: str) -> tuple[dict[str, Any], bytes]:
    """All parameters as bytes, and for each its shape and where it begins; vectors are one row.

    A row is whole numbers, and a scale in float32 that multiplies them.
    """
    arrays, packed, kind = {}, bytearray(), np.dtype(PRECISIONS[precision])
    for name, tensor in network.tensors().items():
        matrix = tensor.numpy() if tensor.ndim == 2 else tensor.numpy()[None]
        # Vectors are small, and every unit feels them.
        dtype = kind if tensor.ndim == 2 else np.dtype("<i2")
        scales = np.maximum(np.abs(matrix).max(axis=1), 1e-12) / np.iinfo(dtype).max
        begin = len(packed)
        packed += np.rint(matrix / scales[:, None]).astype(dtype).tobytes()
        arrays[name] = [*matrix.shape, dtype.itemsize, begin, len(packed)]
        packed += scales.astype("<f4").tobytes()
    if len(packed) > MOST_BYTES:
        raise ModelError(
            f"the weights would take {len(packed) / 1e6:,.0f} MB of the page",
            "give `precision='int8'`, or export a smaller model",
        )
    return arrays, bytes(packed)


def tokenizer_record(tokenizer: Tokenizer) -> dict[str, Any]:
    """What the page's script needs to encode and decode as the tokenizer does."""
    record: dict[str, Any] = {"kind": tokenizer.kind}
    if isinstance(tokenizer, SubwordTokenizer):
        pieces, ids = tokenizer.processor, range(tokenizer.vocab_size)
        record["pieces"] = [pieces.id_to_piece(id) for id in ids]
        record["scores"] = [round(pieces.get_score(id), 6) for id in ids]
        record["firstByte"] = pieces.piece_to_id("<0x00>")
    elif not isinstance(tokenizer, ByteTokenizer):
        record["symbols"] = tokenizer.definition()["symbols"]
    if isinstance(tokenizer, WordTokenizer):
        record["line"] = tokenizer.end_of_line
    return record
