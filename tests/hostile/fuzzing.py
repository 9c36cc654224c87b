"""Every loader under mutated files: each is read, or refused by one of charlm's errors.

``run(seed, trials)`` is the long form; a trial can be repeated by its number and the seed.
"""

import gzip
import json
import random
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import safetensors.torch
import torch

import charlm
from charlm.config import Config, DataConfig, parse_assignment, read_toml
from charlm.data.catalogue import index
from charlm.data.formats.listing import Listing
from charlm.data.formats.nbest import open_nbest
from charlm.data.formats.pairs import PairList
from charlm.data.formats.references import check_lists, read_references
from charlm.data.formats.regions import RegionTable, column_names
from charlm.data.preparation.prepared import Prepared, prepare
from charlm.data.preparation.store import open_store
from charlm.data.sources.corpora import open_corpus
from charlm.data.tokenizers import kinds
from charlm.errors import CharlmError
from charlm.inference.loading import load_run
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.tensors import from_tensors
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.integrity import WHOLE, digest, files_of, manifest_of, read_best
from charlm.storage.run import open_run
from charlm.storage.summary import summarise_run
from charlm.training.counters import Counters
from charlm.training.optimization.optimizers import make_optimizer, restore_optimizer
from tests.hostile.mutations import (
    Mutation,
    mutate_arrays,
    mutate_bytes,
    mutate_json,
    mutate_lines,
    mutate_toml,
)

TEXT = "the cat sat on the mat,\nand the dog  ate the cat's hat é.\n" * 8
SECONDS = 1.0
"""Processor time of a trial at most."""

LONGEST_MESSAGE = 2001
"""Characters of an error's message at most."""

Load = Callable[[bytes], object]


@dataclass(frozen=True)
class Loader:
    """How mutations of ``seeds`` are loaded, and what an error's message has to name."""

    name: str
    seeds: Sequence[bytes]
    mutate: Mutation
    load: Load
    named: str


def trial(loader: Loader, seed: int, number: int) -> str:
    """One trial; ``read`` or ``refused``.  Raises ``AssertionError`` with what repeats it."""
    source = random.Random(f"{seed} {number}")
    content = loader.mutate(source, source.choice(loader.seeds))
    began, refusal = time.process_time(), None
    which = f"{loader.name}: trial {number} of seed {seed}"
    try:
        loader.load(content)
    except CharlmError as error:
        refusal = error
    except Exception as error:
        shown = f"{type(error).__name__}: {error}\n{which}: {content[:2000]!r}"
        raise AssertionError(shown) from error
    assert time.process_time() - began < SECONDS, f"{which} took too long"
    if refusal is None:
        return "read"
    assert loader.named in str(refusal), f"{which}: {refusal}"
    assert len(str(refusal)) < LONGEST_MESSAGE, f"{which}: {str(refusal)[:500]}"
    assert refusal.hint, f"{which}: {refusal}"
    return "refused"


def run(seed: int, trials: int) -> "Counter[str]":
    """``trials`` trials, evenly over all loaders; how many files were read and refused by each."""
    counts: Counter[str] = Counter()
    with loaders() as found:
        for number in range(trials):
            loader = found[number % len(found)]
            counts[f"{loader.name} {trial(loader, seed, number)}"] += 1
    return counts


@contextmanager
def loaders() -> Iterator[list[Loader]]:
    """All loaders, on files in a temporary folder."""
    with tempfile.TemporaryDirectory() as name, patch.dict("os.environ", CHARLM_CACHE=f"{name}/c"):
        folder = Path(name)
        (folder / "text.txt").write_text(TEXT, encoding="utf-8")
        yield [
            *run_loaders(folder),
            *tokenizer_loaders(folder),
            *text_loaders(folder),
            *format_loaders(folder),
            *other_loaders(folder),
        ]


def into(path: Path, load: Callable[[], object]) -> Load:
    """A loader of what is written to ``path``."""

    def written(content: bytes) -> object:
        path.write_bytes(content)
        return load()

    return written


def signed(path: Path, load: Callable[[], object]) -> Load:
    """A loader of a file of a checkpoint whose manifest agrees with what is in it."""

    def written(content: bytes) -> object:
        path.write_bytes(content)
        sign(path)
        WHOLE.clear()
        return load()

    return written


def sign(path: Path) -> None:
    """Let the manifest agree with a file of its checkpoint."""
    files = files_of(path.parent) | {path.name: (path.stat().st_size, digest(path.read_bytes()))}
    manifest = manifest_of(int(path.parent.name.removeprefix("step-")), files)
    path.with_name("manifest.json").write_bytes(manifest)


def trained(folder: Path, name: str, **settings: Any) -> Path:
    """The folder of a small run that was trained for two steps."""
    for _ in charlm.train(folder / "text.txt", out=folder / name, **settings):
        pass
    return folder / name


def run_loaders(folder: Path) -> list[Loader]:
    """Everything in a run folder; each loader damages a run of its own."""
    small = {"steps": 2, "hidden_size": 4, "batch_size": 2, "bptt": 8, "device": "cpu"}
    path = trained(folder, "settings", **small)
    found = [
        Loader("run.toml", [(path / "run.toml").read_bytes()], mutate_toml,
               into(path / "run.toml", lambda: open_run(path)), str(path)),
    ]  # fmt: skip
    for name, mutate in (
        ("manifest.json", mutate_json),
        ("state.json", mutate_json),
        ("model.safetensors", mutate_arrays),
        ("train.safetensors", mutate_arrays),
        ("best.json", mutate_json),
    ):
        own = trained(folder, name, **small)
        run = open_run(own)
        checkpoint = list_checkpoints(run.checkpoints)[-1]
        target = own / name if name == "best.json" else checkpoint / name
        wrap = signed if name not in ("manifest.json", "best.json") else into
        load = {
            "manifest.json": lambda run=run: run.read_step(2),
            "best.json": lambda run=run: (read_best(run.folder / "best.json"), run.best()),
            "state.json": lambda run=run: use_state(run),
            "model.safetensors": lambda own=own: load_run(own, step=2).model,
            "train.safetensors": lambda run=run: resume_optimizer(run),
        }[name]
        named = {"best.json": "", "train.safetensors": name}.get(name, str(own))
        found.append(Loader(name, [target.read_bytes()], mutate, wrap(target, load), named))
    own = trained(folder, "ngram", **{"model": "ngram", "order": 3})
    found.append(ngram_loader(own))
    return found


def use_state(run: Any) -> None:
    """What is done with a state: summed up, and taken over."""
    summarise_run(run)
    run.best()
    state = run.read_step(2).state
    try:
        Counters.from_table(state["counters"])
    except (KeyError, TypeError, ValueError):  # declared, and turned into an error by the session
        return


def resume_optimizer(run: Any) -> None:
    """Take over the tensors of training and take a step with them."""
    found = run.read_step(2)
    model = LanguageModel.from_tensors(run.config.model, run.tokenizer().vocab_size, found.model)
    optimizer = make_optimizer(run.config.training, model, torch.device("cpu"))
    restore_optimizer(optimizer, model, found.train)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()


def ngram_loader(path: Path) -> Loader:
    """The tensors of a model of n-grams."""
    run = open_run(path)
    tensors, size = run.checkpoint().model, run.tokenizer().vocab_size

    def load(content: bytes) -> object:
        try:
            found = safetensors.torch.load(content)
        except (safetensors.SafetensorError, ValueError, KeyError, OverflowError, TypeError):
            return None
        return from_tensors(found, size)

    return Loader("n-grams", [safetensors.torch.save(tensors)], mutate_arrays, load, "")


def tokenizer_loaders(folder: Path) -> list[Loader]:
    """The tokenizers that have something to damage."""
    found = []
    for kind, size in (("char", None), ("word", 16), ("bpe", 300), ("unigram", 300)):
        own = folder / kind
        own.mkdir()
        config = charlm.config.TokenizerConfig(kind=kind, vocab_size=size)
        trainer = kinds.tokenizer_trainer(config)
        trainer.add(TEXT)
        trainer.finish()[0].save(own)
        definition = own / "tokenizer.json"
        load = into(definition, lambda own=own: use_tokenizer(own))
        found.append(
            Loader(f"tokenizer.json of {kind}", [definition.read_bytes()], mutate_json, load, kind)
        )
        if kind in ("bpe", "unigram"):
            found.append(model_loader(own, json.loads(definition.read_text())))
    return found


def model_loader(folder: Path, definition: dict[str, Any]) -> Loader:
    """A SentencePiece model, named by its hash as it should be."""
    own = folder / "model"
    own.mkdir()
    path = own / "tokenizer.model"

    def load(content: bytes) -> object:
        table = {**definition, "model_sha256": digest(content), "model_bytes": len(content)}
        (own / "tokenizer.json").write_text(json.dumps(table))
        path.write_bytes(content)
        return use_tokenizer(own)

    seed = (folder / "tokenizer.model").read_bytes()
    name = f"tokenizer.model of {definition['kind']}"
    return Loader(name, [seed], mutate_bytes, load, str(own))


def use_tokenizer(folder: Path) -> None:
    """Load a tokenizer, encode a text, and decode it."""
    tokenizer = kinds.load(folder)
    tokenizer.decode(tokenizer.encode("the cat\u2581 sat é \n zz\U0001f600"))
    tokenizer.digest()


def text_loaders(folder: Path) -> list[Loader]:
    """Tables and plain text, packed and not, in several encodings."""
    rows = [{"text": "the cat"}, {"text": 'a "dog",\nand é', "id": 3}, {"text": None, "more": [1]}]
    lines = "\n".join(map(json.dumps, rows)).encode()
    table = b'id,text\n1,"the ""cat"", he said"\n2,"two\nlines"\n3,dog\n'
    tabs = b'id\ttext\n1\tthe "cat"\n2\t"two\nlines ""x"""\n3\tdog\n'
    found = [
        text_loader(folder, "a.jsonl", lines, mutate_lines),
        text_loader(folder, "a.json", json.dumps(rows).encode(), mutate_json),
        text_loader(folder, "a.csv", table, mutate_bytes),
        text_loader(folder, "a.tsv", tabs, mutate_bytes),
        text_loader(folder, "a.txt", TEXT[:120].encode(), mutate_bytes),
        text_loader(folder, "b.txt", TEXT[:60].encode("utf-16"), mutate_bytes, encoding="utf-16"),
        text_loader(folder, "c.txt", "猫が好き。\n".encode("gb18030"), mutate_bytes,
                    encoding="gb18030"),
        text_loader(folder, "a.jsonl.gz", gzip.compress(lines, mtime=0), mutate_bytes),
        text_loader(folder, "d.txt.gz", gzip.compress(TEXT.encode(), mtime=0), mutate_bytes),
    ]  # fmt: skip
    packed = folder / "b.csv.gz"
    use = into_gzip(packed, lambda: read_corpus(packed))
    return [*found, Loader("b.csv.gz", [table], mutate_bytes, use, "b.csv.gz")]


def text_loader(folder: Path, name: str, seed: bytes, mutate: Mutation, **settings: Any) -> Loader:
    """A file of text under a name that says what it is."""
    path = folder / name
    return Loader(name, [seed], mutate, into(path, lambda: read_corpus(path, **settings)), name)


def into_gzip(path: Path, load: Callable[[], object]) -> Load:
    """A loader of what is packed by gzip into ``path``."""
    return lambda content: into(path, load)(gzip.compress(content, 1, mtime=0))


def read_corpus(path: Path, **settings: Any) -> None:
    """Read all of a text, and its hash."""
    corpus = open_corpus([str(path)], DataConfig(**settings))
    for _ in corpus.pieces():
        pass
    corpus.digest()


NBEST = {
    "kaldi": b"utt1 -3.5 the cat\nutt1 -4 the hat\nutt2 -1e1 a dog\n",
    "moses": b"0 ||| the cat ||| LM= -1 ||| -2.5\n0 ||| the hat ||| LM= -2 ||| -3\n"
    b"1 ||| a ||| x ||| -1\n",
    "jsonl": b'{"id": "u1", "score": -3.2, "text": "the cat"}\n'
    b'{"id": "u1", "score": -4, "text": "a"}\n{"list": 2, "text": "dog", "score": 1}\n',
    "plain": b"the cat\nthe hat\n\na dog\n",
}
REFERENCES = {
    "kaldi": b"utt1 the cat\nutt2 a dog\n",
    "moses": b"the cat\na\n",
    "jsonl": b"u1 the cat\n2 dog\n",
    "plain": b"the cat\na dog\n",
}


def format_loaders(folder: Path) -> list[Loader]:
    """Lists of hypotheses with their references, pairs and regions."""
    found = []
    for kind, seed in NBEST.items():
        lists, references = folder / f"{kind}.nbest", folder / f"{kind}.refs"
        lists.write_bytes(seed)
        given = None if kind == "plain" else kind
        use = into(lists, lambda lists=lists, given=given: check_lists(
            open_nbest(lists, given), None))  # fmt: skip
        found.append(Loader(lists.name, [seed], mutate_lines, use, lists.name))
        good = folder / f"good-{kind}.nbest"
        good.write_bytes(seed)
        use = into(references, lambda good=good, kind=kind, references=references: check_lists(
            open_nbest(good, kind), read_references(references, kind)))  # fmt: skip
        found.append(Loader(references.name, [REFERENCES[kind]], mutate_bytes, use,
                            references.name))  # fmt: skip
    pairs = {
        "p.tsv": b"good\tbad\tcontext\nthe cat sits\tthe cat sit\tonce\na\tb\t\n",
        "p.csv": b'good,bad\n"the, cat","a ""b"""\nx,y\n',
        "p.jsonl": b'{"sentence_good": "a b", "sentence_bad": "b", "UID": "x", "field": "f"}\n' * 2,
    }
    for name, seed in pairs.items():
        path = folder / name
        use = into(path, lambda path=path: list(PairList([Listing(str(path))])))
        found.append(Loader(name, [seed], mutate_lines, use, name))
    regions = {
        "r.tsv": b"item\tregion\ttext\tcontext\n1\ta\tThe cat\tonce\n1\tb\tsat\t\n2\ta\tA\t\n",
        "r.csv": b'item,region,text\n1,a,"The, cat"\n1,b,sat\n',
    }
    for name, seed in regions.items():
        path = folder / name
        use = into(path, lambda path=path: list(RegionTable(Listing(str(path)), column_names([]))))
        found.append(Loader(name, [seed], mutate_lines, use, name))
    return found


CARD = b"""title = "Toy"
description = "A toy."
language = "English"
licence = "none"
kind = "download"
page = "https://example.org"
files = [{part = "all", url = "https://example.org/a.zip", bytes = 10, member = "a.txt"}]
split = {bytes = [5, 5]}
settings = {tokenizer = {kind = "byte"}, model = {hidden_size = 8}}
published = [{model = "x", metric = "bpc", value = 1.0, paper = "y"}]
"""
SETTINGS = b"""[data]
sources = ["a.txt", "b.txt"]
split = [90, 5, 5]
[model]
hidden_size = 8
num_layers = 2
dropout = 0.3
tie_weights = false
[training]
steps = 100
learning_rate = 1e-3
optimizer = "sgd"
[generation]
temperature = 0.5
"""


def other_loaders(folder: Path) -> list[Loader]:
    """Settings, cards, prepared texts, and compressed files where constriction is installed."""
    settings, cards = folder / "settings.toml", folder / "cards"
    cards.mkdir()

    def card() -> object:
        with patch.object(index, "cards_folder", lambda: cards):
            return index.read_card("toy")

    *_, prepared = prepare(
        DataConfig(sources=(str(folder / "text.txt"),)), charlm.config.TokenizerConfig(),
        folder / "c",
    )  # fmt: skip
    assert isinstance(prepared, Prepared)
    summary = prepared.folder / "store.json"
    return [
        Loader("settings.toml", [SETTINGS], mutate_toml,
               into(settings, lambda: Config.from_tables(read_toml(settings))), ""),
        Loader("--set", [b"model.hidden_size=64", b"data.sources=['a', 'b']", b"training.clip=.5"],
               mutate_bytes, lambda content: Config.from_tables(
                   parse_assignment(content.decode("utf-8", "surrogateescape"))), ""),
        Loader("toy.toml", [CARD], mutate_toml, into(cards / "toy.toml", card), "toy"),
        Loader("store.json", [summary.read_bytes()], mutate_json,
               into(summary, lambda: open_store(prepared.folder, "valid")), str(prepared.folder)),
        *compressed_loaders(folder),
    ]  # fmt: skip


def compressed_loaders(folder: Path) -> list[Loader]:
    """Compressed files, mutated with a checksum that does not agree and with one that does."""
    try:
        import constriction  # noqa: F401
    except ModuleNotFoundError:
        return []
    from charlm.inference.compression.archive import MAGIC
    from charlm.inference.compression.codec import Compressed, compress, decompress

    loaded = load_run(folder / "settings")
    made = []
    for content in (b"the cat sat", "é\0\xff the dog \u660e".encode("utf-8") + b"\xff\xfe", b""):
        *_, last = compress(loaded, content)
        assert isinstance(last, Compressed)
        made.append(last.content)

    def unpack(content: bytes) -> object:
        return list(decompress(loaded, content, "a.charlm"))

    def forged(content: bytes) -> object:
        inner = MAGIC + content[len(MAGIC) : -4]
        # More tokens are more work, which no header can be refused for.
        inner = inner[:14] + struct.pack("<I", min(300, *struct.unpack("<I", inner[14:18]))) + (
            inner[18:]) if len(inner) > 18 else inner  # fmt: skip
        return unpack(inner + struct.pack("<I", zlib.crc32(inner)))

    return [
        Loader("a.charlm", made, mutate_bytes, unpack, "a.charlm"),
        Loader("forged .charlm", made, mutate_bytes, forged, ""),
    ]
