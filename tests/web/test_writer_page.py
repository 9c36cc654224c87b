"""The page that writes: its numbers are charlm's, and every control does what it says."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charlm
from charlm.errors import ConfigError, CorpusError
from charlm.inference.predictors.reader import Reader
from charlm.web.page import resource
from charlm.web.writer_page import export_page, pack_weights, writer_page
from tests.cli.conftest import SMALL, call
from tests.web.browser import Browser
from tests.web.conftest import TEXT

pytestmark = pytest.mark.timeout(120)

ODD = "a\u0301\u00a0b\u2028c \u2581 \u00e9\U0001f600\tthe  age\n\n of WISDOM\r\n\u0085x\x1c " + TEXT
TRIALS = {
    "char": ("--tokenizer", "char", "--num-layers", "2"),
    "byte": ("--tokenizer", "byte", "--cell", "gru"),
    "word": ("--tokenizer", "word", "--cell", "cifg"),
    "bpe": ("--tokenizer", "bpe", "--vocab-size", "320", "--cell", "rnn"),
    "unigram": ("--tokenizer", "unigram", "--vocab-size", "310", "--cell", "capped_lstm"),
    # A normalisation of few units, hardly trained, divides by next to nothing.
    "norm": ("--cell", "layer_norm_lstm", "--num-layers", "2", "--set", "model.connections='skip'",
             "--hidden-size", "48"),
    "adaptive": ("--tokenizer", "word", "--set", "model.adaptive_softmax=true",
                 "--set", "model.embedding_size=8", "--set", "model.connections='residual'",
                 "--num-layers", "2"),
    "mixture": ("--set", "model.softmaxes=3", "--set", "model.embedding_size=8"),
}  # fmt: skip
"""Every tokenizer, cell, connection and head."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that trains the run of one of ``TRIALS``."""
    folder = tmp_path_factory.mktemp("writers")
    (folder / "book.txt").write_text(TEXT * 40, encoding="utf-8")

    def train(name: str) -> Path:
        if not (folder / name).exists():
            done = call("train", folder / "book.txt", "--out", folder / name, *settings(name))
            assert done.code == 0, done.err
        return folder / name

    return train


RUN = """
const html = require("fs").readFileSync(process.argv[2], "utf8");
const spec = JSON.parse(html.match(/id="spec">(.*?)<.script>/s)[1]);
const packed = html.match(/id="weights" hidden><!--(.*?)-->/s)[1];
const model = makeModel(spec, new Uint8Array(Buffer.from(packed, "base64")));
const tokenizer = makeTokenizer(spec.tokenizer), decode = makeDecoder(tokenizer);
const ids = tokenizer.encode(JSON.parse(require("fs").readFileSync(0, "utf8")));
let [logProbs, state] = model.step(0, model.start());
const nll = ids.map((id) => {
  const found = -logProbs[id];
  [logProbs, state] = model.step(id, state);
  return found;
});
console.log(JSON.stringify({ ids, nll, text: ids.map(decode).join("") }));
"""


def settings(name: str) -> list[str]:
    """The options of a small training; those of the trial win."""
    small = dict(zip(SMALL[::2], SMALL[1::2], strict=True))
    given = TRIALS[name]
    return [each for pair in small.items() if pair[0] not in given for each in pair] + [*given]


def in_node(page: str, text: str, folder: Path) -> dict[str, Any]:
    """What the page's own scripts find about a text: ids, nll in nats, the text decoded."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "run.js").write_text(resource("model.js") + resource("tokenizers.js") + RUN)
    command = ["node", str(folder / "run.js"), str(folder / "page.html")]
    done = subprocess.run(
        command, input=json.dumps(text), capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", list(TRIALS))
def test_the_page_predicts_what_the_run_predicts(name: str, trained: Any, tmp_path: Path) -> None:
    model = charlm.load(trained(name))
    text = (ODD * 40)[:2000]
    found = in_node(writer_page(model.loaded), text, tmp_path)
    ids = model.tokenizer.encode(text)
    assert found["ids"] == ids.tolist()
    assert found["text"].replace("\ufffd", "<unk>") == model.tokenizer.decode(ids)
    expected = Reader(model.loaded.model).nll(ids)
    assert np.abs(np.array(found["nll"]) - expected).max() < 1e-3


def test_int8_is_half_the_size_and_near(trained: Any, tmp_path: Path) -> None:
    model = charlm.load(trained("char"))
    sizes = {name: len(pack_weights(model.network, name)[1]) for name in ("int16", "int8")}
    assert sizes["int8"] < 0.7 * sizes["int16"]
    found = in_node(writer_page(model.loaded, "int8"), TEXT, tmp_path)
    expected = Reader(model.loaded.model).nll(model.tokenizer.encode(TEXT)).mean()
    assert np.mean(found["nll"]) == pytest.approx(expected, abs=0.01)


def test_a_page_is_hardly_larger_than_its_weights(trained: Any) -> None:
    model = charlm.load(trained("char"))
    halves = 2 * model.network.count_parameters()
    assert len(writer_page(model.loaded)) < 1.4 * halves + 60_000


@pytest.fixture
def page(trained: Any, browser: Browser, tmp_path: Path) -> Any:
    """The page of the run "char", opened; it asks for nothing and has no error until the end."""
    export_page(trained("char"), tmp_path / "page.html")
    browser.view(1200)
    browser.open(tmp_path / "page.html")
    yield browser
    assert browser.errors == []
    assert browser.requests == []


def written(page: Browser, **settings: object) -> str:
    """What the page writes with these values of its controls."""
    for name, value in settings.items():
        page.fill(f"#{name.replace('_', '-')}", value)
    page.click("#start")
    page.wait(
        "document.querySelector('#stop').disabled && document.querySelector('#told').innerText"
    )
    return str(page.run("document.querySelector('#output').textContent"))


def test_the_page_writes_as_its_controls_say(page: Browser) -> None:
    first = written(page, prompt="It was", length=120, seed=3)
    assert first.startswith("It was")
    assert len(first) == 126
    assert written(page, seed=3) == first
    assert written(page, seed=4) != first
    greedy = written(page, temperature=0, seed=1)
    assert greedy == written(page, temperature=0, seed=9)
    assert greedy == written(page, temperature=0.8, top_k=1)
    assert greedy == written(page, top_k=0, top_p=0.05)
    page.click("#go-on")
    page.wait("document.querySelector('#output').textContent.length >= 246")
    assert page.text("#told").startswith("240 tokens")


def test_choices_continue_the_text(page: Browser, trained: Any) -> None:
    before = written(page, prompt="It wa", length=1, temperature=0)
    label = str(page.run("document.querySelector('#choices button').firstChild.textContent"))
    page.click("#choices button")
    after = str(page.run("document.querySelector('#output').textContent"))
    assert after == before + label.replace("␣", " ").replace("↵", "\n")
    assert page.run("document.querySelectorAll('#choices button').length") == 8


def test_colours_show_surprise(page: Browser) -> None:
    written(page, prompt="It", length=50)
    look = "getComputedStyle(document.querySelector('#output span:last-child')).backgroundColor"
    plain = page.run(look)
    page.click("#colored")
    assert "rgba(0, 0, 0, 0)" in plain
    assert re.fullmatch(
        r"v\d+", page.run("document.querySelector('#output span:last-child').className")
    )
    assert "bits" in page.run("document.querySelector('#output span:last-child').title")


def test_unknown_characters_of_a_prompt_are_told(page: Browser) -> None:
    page.fill("#prompt", "It \u4e00 was")
    page.click("#start")
    assert "unknown to the model" in page.text("#told")


def test_the_page_measures_as_charlm_does(page: Browser, trained: Any) -> None:
    page.fill("#measured", TEXT)
    page.click("#measure button")
    score = charlm.load(trained("char")).score(TEXT)
    bpc, perplexity = map(float, re.findall(r"\d+\.\d+", page.text("#score"))[:2])
    assert bpc == pytest.approx(score.bpc, abs=1e-3)
    assert perplexity == pytest.approx(score.perplexity, rel=1e-3)
    assert page.run("document.querySelector('#surprisals').textContent") == TEXT
    page.fill("#measured", "")
    page.click("#measure button")
    assert page.text("#score") == "Give a text."


def test_what_a_page_cannot_hold_is_refused(trained: Any, tmp_path: Path) -> None:
    run = trained("char")
    with pytest.raises(ConfigError, match="unknown `precision='half'`"):
        export_page(run, tmp_path / "a.html", precision="half")
    export_page(run, tmp_path / "a.html")
    assert "It is all in this page." in (tmp_path / "a.html").read_text()
    with pytest.raises(CorpusError, match="exists already"):
        export_page(run, tmp_path / "a.html")
    done = call("export", run, "--to", "onnx", "--precision", "int8")
    assert (done.code, any("does nothing with --to onnx" in line for line in done.err)) == (2, True)
    assert not list(tmp_path.glob("*onnx*"))
