"""A language model of another tool becomes a run."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID, Config, ModelConfig, TokenizerConfig
from charlm.config.paths import path_of
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.data.tokenizers.base import Tokenizer
from charlm.data.tokenizers.words import END_OF_LINE, WordTokenizer
from charlm.errors import CheckpointError, ConfigError, CorpusError, ModelError
from charlm.exchange.arpa import read_arpa, unspelled
from charlm.exchange.foreign.arrays import mapped, read_manifest, read_npz
from charlm.exchange.foreign.conversion import ForeignModel, convert
from charlm.exchange.foreign.keras import read_keras
from charlm.exchange.foreign.layouts import from_tensorflow, from_torch
from charlm.exchange.foreign.torch_files import read_torch_file
from charlm.exchange.foreign.vocabularies import kind_of, read_vocabulary
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.tensors import to_tensors
from charlm.storage.run import create_run
from charlm.training.setup.resuming import made_here

__all__ = ["KINDS", "Imported", "import_model"]

KINDS = ("torch", "tensorflow1", "keras", "npz", "arpa")
ENDINGS = {
    ".pt": "torch", ".pth": "torch", ".bin": "torch", ".ckpt": "torch", ".safetensors": "torch",
    ".h5": "keras", ".hdf5": "keras", ".keras": "keras", ".npz": "npz", ".arpa": "arpa",
}  # fmt: skip

TOLERANCE = 1e-4
"""Nats per token by which the expected and the found nll may differ."""

CHUNK = 1024

LARGEST_NLL = 200.0
"""Nats from which on a token counts as impossible: ARPA files give 10^-99 at least, 228 nats."""


@dataclass(frozen=True)
class Imported:
    """A new run, made of a model of another tool.

    ``kind`` is one of ``KINDS``, ``cell`` and ``sizes`` (hidden size of each layer, or the order of
    n-grams) describe the model.  ``nll`` is the mean in nats per token on the text ``on``, of which
    ``unknown`` of ``tokens`` tokens are not in the vocabulary; None without such a text.  A
    network's state is zero before the first token, which is given, as those tools measure; n-grams
    are measured line by line, with the end of each.
    """

    run: str
    kind: str
    cell: str
    sizes: tuple[int, ...]
    tokenizer: str
    vocab_size: int
    parameters: int
    notes: tuple[str, ...]
    on: str | None = None
    tokens: int = 0
    unknown: int = 0
    nll: float | None = None


def import_model(
    file: str | Path,
    out: str | Path,
    *,
    kind: str | None = None,
    vocab: str | Path | None = None,
    mapping: str | Path | None = None,
    on: str | Path | None = None,
    expect: float | None = None,
) -> Imported:
    """Make the run ``out`` of a model that another tool has trained.

    ``kind`` is one of ``KINDS``, by default told by the file's name: ``torch`` is a module, a state
    dict or a ``.safetensors`` file; ``tensorflow1`` a folder of raw arrays with a manifest;
    ``keras`` an ``.h5`` or ``.keras`` file; ``npz`` arrays that a ``mapping`` in TOML names;
    ``arpa`` n-grams.  ``vocab`` says what the ids stand for (``read_vocabulary``).  With ``on``, a
    text, the model's nll is measured, and with ``expect``, nats per token, nothing is written
    unless it agrees to 1e-4.  Raises ``CharlmError``.
    """
    path, out = path_of("file", file), path_of("out", out)
    for name, given in (("vocab", vocab), ("mapping", mapping), ("on", on)):
        if given is not None:
            path_of(name, given)
    if not path.exists():
        raise ModelError(f"{path} does not exist", "name the file that holds the model")
    kind = kind or told_by_name(path)
    check_arguments(kind, vocab, mapping, on, expect)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} exists already", "choose another `out=FOLDER`")
    content = read_ngrams(path) if kind == "arpa" else read_network(path, kind, vocab, mapping)
    about = content.described(str(out), kind)
    if on is not None:
        about = measured(about, content, Path(on))
    if expect is not None and about.nll is not None and not abs(about.nll - expect) <= TOLERANCE:
        raise ModelError(
            f"{path} has {about.nll:.6f} nats per token on {on}, not {expect}",
            "compare gate order, biases, vocabulary and the text with those of the other tool",
        )
    write_run(out, path, content)
    return about


@dataclass(frozen=True)
class Content:
    """What a run will hold, and a measure of its model: ids (N,) of a stream -> nll (N - 1,)."""

    config: Config
    tokenizer: Tokenizer
    tensors: Mapping[str, Tensor]
    nll: Callable[[np.ndarray], np.ndarray]
    cell: str
    sizes: tuple[int, ...]
    parameters: int
    by_line: bool
    notes: tuple[str, ...] = ()

    def described(self, run: str, kind: str) -> Imported:
        """What is known without a text."""
        return Imported(
            run, kind, self.cell, self.sizes, self.tokenizer.kind, self.tokenizer.vocab_size,
            self.parameters, self.notes,
        )  # fmt: skip


def read_network(
    path: Path, kind: str, vocab: str | Path | None, mapping: str | Path | None
) -> Content:
    """The content of a run of a foreign network."""
    symbols = read_vocabulary(vocab or "")
    foreign = read_foreign(path, kind, mapping)
    made = convert(foreign, symbols, kind_of(symbols))
    network = LanguageModel.from_tensors(
        made.config.model, made.tokenizer.vocab_size, made.tensors
    ).eval()

    def nll(ids: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            reader = Reader(Recurrent(network), first=int(ids[0]))
            parts = [reader.nll(ids[at : at + CHUNK]) for at in range(1, len(ids), CHUNK)]
        return np.concatenate(parts)

    sizes = tuple(layer.weight_hh.shape[1] for layer in foreign.layers)
    size = network.count_parameters()
    return Content(
        made.config, made.tokenizer, made.tensors, nll, foreign.cell, sizes, size, False, made.notes
    )


def read_ngrams(path: Path) -> Content:
    """The content of a run of an ARPA file; of characters if every name is one."""
    model, names = read_arpa(path)
    symbols = [unspelled(name) for name in names]
    chars = all(len(symbol) == 1 for symbol in symbols)
    # A run of words that charlm has exported writes its line break as <U+000A>.
    lines = not chars and "\n" in symbols
    words = [
        END_OF_LINE if symbol == "\n" else name for symbol, name in zip(symbols, names, strict=True)
    ]
    tokenizer = CharTokenizer(symbols) if chars else WordTokenizer(words, end_of_line=lines)
    line_end = {} if chars else {"end_of_line": lines}
    config = Config(
        tokenizer=TokenizerConfig(kind=tokenizer.kind, **line_end),
        model=ModelConfig(kind="ngram", order=model.order),
    )
    tensors = to_tensors(model)
    return Content(config, tokenizer, tensors, model.nll, "ngram", (model.order,), model.size, True)


def read_foreign(path: Path, kind: str, mapping: str | Path | None) -> ForeignModel:
    """The model of a file of one of ``KINDS``."""
    if kind == "npz":
        return mapped(read_npz(path), Path(mapping or ""))
    if kind == "tensorflow1":
        return from_tensorflow(read_manifest(path))
    return read_keras(path) if kind == "keras" else from_torch(read_torch_file(path))


def told_by_name(path: Path) -> str:
    """The kind that a file's name tells.  Raises ``ConfigError`` where it tells none."""
    if (path / "manifest.json").is_file():
        return "tensorflow1"
    if path.suffix in ENDINGS:
        return ENDINGS[path.suffix]
    if path.suffix in (".html", ".onnx") or (path / "model.onnx").is_file():
        raise ConfigError(
            f"{path} is for a browser or another program, and cannot be imported",
            "use the run that it was exported from; `push` and `pull` send a run as it is",
        )
    raise ConfigError(
        f"the name of {path} does not tell its kind", f"give `kind`: {', '.join(KINDS)}"
    )


def check_arguments(
    kind: str, vocab: object, mapping: object, on: object, expect: float | None
) -> None:
    """Raise ``ConfigError`` for arguments that are missing or do not go together."""
    if kind not in KINDS:
        raise ConfigError(f"unknown `kind` {kind!r}", f"choose one of {', '.join(KINDS)}")
    if (vocab is None) != (kind == "arpa"):
        raise ConfigError(*VOCABULARY_NEEDED if vocab is None else VOCABULARY_THERE)
    if (mapping is None) == (kind == "npz"):
        raise ConfigError(
            "arrays need a `mapping`"
            if mapping is None
            else "`mapping` goes with `kind='npz'` alone",
            "see docs/exchange.md",
        )
    if expect is not None and on is None:
        raise ConfigError("`expect` needs a text to measure", "give `on=FILE`")


VOCABULARY_NEEDED = (
    "the file holds weights, but not what its ids stand for",
    "give `vocab=FILE`: one symbol a line, or JSON; or `vocab='printable'`",
)
VOCABULARY_THERE = ("an ARPA file names its words itself", "leave `vocab` out")


def measured(about: Imported, content: Content, path: Path) -> Imported:
    """``about`` with its figures on a text.  Raises ``CorpusError`` for one that is too short."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}", "name a text") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8", "name a text in UTF-8") from None
    encode = content.tokenizer.encode
    if content.by_line:
        end = np.array([BOUNDARY_ID])
        lines = [encode(line) for line in text.removesuffix("\n").split("\n")]
        streams = [np.concatenate([end, line, end]) for line in lines]
    else:
        streams = [encode(text)]
    if sum(len(ids) - 1 for ids in streams) < 1:
        raise CorpusError(f"{path} has fewer than two tokens", "name a longer text")
    nll = np.concatenate([content.nll(ids) for ids in streams])
    scored = np.concatenate([ids[1:] for ids in streams])
    lacking = nll[scored == content.tokenizer.unknown_id]
    if lacking.max(initial=0) > LARGEST_NLL:
        raise CorpusError(
            f"{path} has {len(lacking):,} tokens that the vocabulary lacks, and the model has no "
            "<unk> that predicts them",
            "name a text that has the symbols of the vocabulary alone",
        )
    unknown = len(lacking)
    return replace(about, on=str(path), tokens=len(nll), unknown=unknown, nll=float(nll.mean()))


def write_run(out: Path, path: Path, content: Content) -> None:
    """Write the run folder with its one checkpoint, of step 0, or nothing."""
    tokenizer = content.tokenizer
    digest = hashlib.sha256()
    for name, tensor in sorted(content.tensors.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    origin = {
        "digest": f"imported-{digest.hexdigest()}",
        "tokenizer": tokenizer.digest(),
        "vocab_size": tokenizer.vocab_size,
        "counts": {},
        "made": {**made_here(), "imported": path.name},
    }
    counters = {"step": 0, "tokens": 0, "seconds": 0.0, "finished": True}
    state = {"step": 0, "counters": counters, "parameters": content.parameters, "best": None}
    first = {"model": content.tensors, "state": state}
    create_run(out, content.config, tokenizer, origin, first)
