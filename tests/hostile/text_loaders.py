"""Loaders of texts, tokenizers, and lists of hypotheses, pairs and regions."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import charlm
from charlm.config import DataConfig
from charlm.data.formats.listing import Listing
from charlm.data.formats.nbest import open_nbest
from charlm.data.formats.pairs import PairList
from charlm.data.formats.references import check_lists, read_references
from charlm.data.formats.regions import RegionTable, column_names
from charlm.data.sources.corpora import open_corpus
from charlm.data.tokenizers import kinds
from charlm.storage.integrity import digest
from tests.hostile.loader import TEXT, Load, Loader, into
from tests.hostile.mutations import Mutation, mutate_bytes, mutate_json, mutate_lines

__all__ = ["format_loaders", "text_loaders", "tokenizer_loaders"]


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
