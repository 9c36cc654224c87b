"""Datasets of the Hugging Face Hub as sources; whatever goes wrong there is one of our errors."""

import io
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import pytest

from charlm.config import DataConfig
from charlm.data.sources import huggingface, tables
from charlm.data.sources.corpora import Corpus, open_corpus
from charlm.errors import CorpusError


def corpus(source: Path | str, *, raw: bool = False, **options: Any) -> Corpus:
    return open_corpus([str(source)], DataConfig(**options), raw=raw)


def texts(text: Corpus) -> list[str | bytes]:
    assert all(piece.starts for piece in text.pieces())
    return [piece.text for piece in text.pieces()]


class Hub:
    """Stands for the Hugging Face Hub: remembers what it was asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *names: Any, **options: Any) -> Any:
        self.asked.append((names, options))
        if self.error:
            raise self.error
        rows = datasets.Dataset.from_dict({"text": ["from the hub"], "n": [1]})
        return rows.to_iterable_dataset() if options["streaming"] else rows


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("source", "names", "split"),
    [
        ("hf:owner/name", ("owner/name", None), "train"),
        ("hf:owner/name@config-v1", ("owner/name", "config-v1"), "train"),
        ("hf:a.b/c_d@x:validation", ("a.b/c_d", "x"), "validation"),
        ("hf:name:train[:10%]", ("name", None), "train[:10%]"),
    ],
)
def test_a_hub_name_says_dataset_configuration_and_split(
    source: str,
    names: tuple[str, str | None],
    split: str,
    streaming: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub()
    monkeypatch.setattr(datasets, "load_dataset", hub)
    monkeypatch.setattr(huggingface, "hub_answers", lambda: True)
    text = corpus(source, streaming=streaming)
    assert texts(text) == ["from the hub"]
    # Code from the Hub is never run: nothing else is passed on.
    assert set(map(str, hub.asked)) == {str((names, {"split": split, "streaming": streaming}))}


@pytest.mark.parametrize("source", ["hf:", "hf:a/b/c", "hf:../x", "hf:/etc", "hf:a/b@", "hf:a b"])
def test_names_that_the_hub_cannot_have_are_refused(source: str) -> None:
    with pytest.raises(CorpusError, match="no name of a Hub dataset"):
        corpus(source)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (ConnectionError("Couldn't reach\nit"), "go online"),
        (FileNotFoundError("Dataset 'x/y' doesn't exist"), "check the name"),
        (ValueError("Unknown split"), "check the name"),
        (RuntimeError("Dataset scripts are no longer supported"), "check the name"),
    ],
)
def test_trouble_with_the_hub_becomes_one_line_and_a_remedy(
    error: Exception, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub(error))
    monkeypatch.setattr(huggingface, "hub_answers", lambda: True)
    with pytest.raises(CorpusError, match=r"^hf:x/y:train cannot be had from") as caught:
        corpus("hf:x/y")
    assert caught.value.hint.startswith(hint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (None, True),
        (urllib.error.HTTPError("https://huggingface.co", 503, "busy", Message(), None), True),
        (urllib.error.URLError("no route"), False),
        (TimeoutError(), False),
        (ValueError("unknown url type"), False),
    ],
)
def test_whether_the_hub_answers_is_asked_once_and_briefly(
    error: Exception | None, answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []

    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        asked.append((request.get_method(), timeout))
        if error:
            raise error
        return io.BytesIO()

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    huggingface.hub_answers.cache_clear()
    try:
        assert [huggingface.hub_answers(), huggingface.hub_answers()] == [answer, answer]
    finally:
        huggingface.hub_answers.cache_clear()
    assert asked == [("HEAD", huggingface.PATIENCE)]


@pytest.mark.parametrize("answers", [True, False])
def test_only_what_is_stored_is_read_where_the_hub_does_not_answer(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub())
    monkeypatch.setattr(huggingface, "hub_answers", lambda: answers)
    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    assert texts(corpus("hf:owner/name")) == ["from the hub"]
    assert datasets.config.HF_HUB_OFFLINE is huggingface_hub.constants.HF_HUB_OFFLINE is not answers


def test_without_a_network_the_hub_is_not_asked_for_half_a_minute(own_cache: Path) -> None:
    code = (
        "from charlm.config import DataConfig\n"
        "from charlm.data.sources.corpora import open_corpus\n"
        "open_corpus(['hf:owner/name'], DataConfig())"
    )
    nowhere = {"HF_ENDPOINT": "http://localhost:9", "HF_HOME": str(own_cache)}
    environment = {**os.environ, **nowhere, "no_proxy": "localhost"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert "hf:owner/name:train cannot be had from the Hub" in done.stderr
    assert "Retrying" not in done.stderr
    assert time.monotonic() - began < 15


def test_corpora_are_imported_without_the_datasets_library() -> None:
    code = (
        "import sys, charlm.data.sources.corpora\nprint({'datasets', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"
    folder = Path(tables.__file__).parents[2]
    users = [path.name for path in folder.rglob("*.py") if "import datasets" in path.read_text()]
    assert users == ["huggingface.py"]
