"""500 random and real files, and whole books, through every tokenizer and back."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.inference.compression.escapes import split
from charlm.inference.loading import Loaded, require_recurrent
from tests.inference.compression.conftest import KINDS, loaded_with
from tests.inference.compression.test_codec import restored, squeezed

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


def real_texts(folder: Path) -> Iterator[bytes]:
    """Parts of real files of every kind, from anywhere in them."""
    source = random.Random(500)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    while True:
        content = source.choice(paths).read_bytes()
        begin = source.randrange(len(content))
        yield content[begin : begin + source.choice([1, 10, 100, 1000, 3000])]


def random_files() -> Iterator[bytes]:
    """Random bytes, random text, and the two mixed."""
    source = random.Random(500)
    letters = "etaoin shrdlu\n\r\t éß日本語\U0001f600\u0301\u2581\0<>"
    while True:
        size = source.choice([0, 1, 2, 30, 300, 1000])
        text = "".join(source.choices(letters, k=size)).encode()
        noise = source.randbytes(size)
        yield source.choice([text, noise, text + noise, noise + text, text[: size // 2] * 3])


def knowing(kind: str, sample: bytes) -> Loaded:
    """A model that knows how frequent the tokens of ``sample`` are: less is stored as it is."""
    loaded = loaded_with(kind)
    ids = split(loaded.tokenizer, sample).ids
    counts = np.bincount(ids, minlength=loaded.model.vocab_size)
    require_recurrent(loaded).begin_as_unigram(torch.from_numpy(counts))
    return loaded


@pytest.fixture(scope="module")
def models(shared_data: Path) -> dict[str, Loaded]:
    """One of each kind."""
    texts = real_texts(shared_data)
    sample = b"".join(next(texts) for _ in range(100))
    return {kind: knowing(kind, sample) for kind in KINDS}


def test_500_random_and_real_files_come_back(models: dict[str, Loaded], shared_data: Path) -> None:
    sources, coded = (real_texts(shared_data), random_files()), 0
    for number in range(500):
        loaded, content = models[KINDS[number % 5]], next(sources[number % 2])
        done = squeezed(loaded, content, adapt=number % 4 == 3, lanes=1 + number % 7)
        assert restored(loaded, done.content) == content
        coded += done.tokens > 1
    assert coded > 150


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["alice29.txt", "dickens-excerpt.not-utf8", "unicode/wagahai-ja.txt",
     "unicode/tashkeela-ar.txt", "unicode/tang-poems-zh.txt"],
)  # fmt: skip
def test_real_texts_come_back(
    kind: str, name: str, models: dict[str, Loaded], shared_data: Path
) -> None:
    content = (shared_data / name).read_bytes()[:200_000]
    assert restored(models[kind], squeezed(models[kind], content).content) == content


def test_enwik6_comes_back(models: dict[str, Loaded], shared_data: Path) -> None:
    content = (shared_data / "enwik6").read_bytes()
    done = squeezed(models["byte"], content)
    assert done.tokens == len(content)
    assert restored(models["byte"], done.content) == content
