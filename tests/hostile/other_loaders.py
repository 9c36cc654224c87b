"""Loaders of settings, cards, prepared texts and compressed files."""

import struct
import zlib
from pathlib import Path
from unittest.mock import patch

import charlm
from charlm.config import Config, DataConfig, named_values, read_toml, tables_of
from charlm.data.catalogue import index
from charlm.data.preparation.prepared import Prepared, prepare
from charlm.data.preparation.store import open_store
from charlm.inference.loading import load_run
from tests.hostile.loader import Loader, into
from tests.hostile.mutations import mutate_bytes, mutate_json, mutate_toml

__all__ = ["other_loaders"]

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
                   tables_of(named_values([content.decode("utf-8", "surrogateescape")]))), ""),
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
