"""Reports on runs: pages in a real browser, pictures, and events that TensorBoard reads."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import charlm
from charlm.errors import CharlmError, ConfigError, CorpusError
from charlm.storage.curves import read_curves
from charlm.storage.run import open_run
from charlm.web.curves import ticks
from charlm.web.reports import report
from tests.web.browser import Browser

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("cached")]

Page = Callable[..., Browser]


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Page:
    """Opens the report on runs; it asks for nothing and has no error."""

    def open_report(*of: Path) -> Browser:
        browser.view(1200)
        browser.open(report(list(of), tmp_path / "report.html"))
        assert browser.errors + browser.requests == []
        return browser

    return open_report


def test_the_page_on_a_run_has_all_its_parts(runs: Path, page: Page) -> None:
    shown = page(runs / "lstm")
    heads = shown.run("[...document.querySelectorAll('h2')].map(e => e.textContent)")
    assert heads == [
        "Training",
        "Scores on the test part",
        "What it writes",
        "Inside, while it reads",
        "Units that follow a feature of the text",
        "Settings that differ from the defaults",
    ]
    titles = shown.run("[...document.querySelectorAll('.grid h3')].map(e => e.textContent)")
    assert [title.strip() for title in titles] == [
        "loss and validation nats per token",
        "learning rate",
        "gradient norm",
        "speed tokens per second",
        "temperature 0.5",
        "temperature 0.8",
        "temperature 1.1",
    ]
    shown.click("#text span:nth-child(3)")
    assert shown.text("#where").startswith("step 3:")


def test_the_page_on_a_run_says_what_the_model_scores(runs: Path, page: Page) -> None:
    rows = page(runs / "lstm").text("h2:nth-of-type(2) ~ .scroll").split("\n")
    bpc = {row.split("\t")[0]: row.split("\t")[1] for row in rows[1:]}
    wanted = charlm.load(runs / "lstm").perplexity(part="test", baselines=True)
    assert bpc["this model"] == f"{wanted.whole.bpc:.3f}"
    assert bpc["unigram"] == f"{wanted.baselines[1].bpc:.3f}"
    assert list(bpc.values()) == sorted(bpc.values(), key=float)


def test_settings_that_differ_are_named_with_their_defaults(runs: Path, page: Page) -> None:
    rows = page(runs / "lstm").text("main > h2:last-of-type + .scroll").split("\n")
    settings = {row.split("\t")[0]: row.split("\t")[1:] for row in rows[1:]}
    assert settings["model.num_layers"] == ["2", "1"]
    assert settings["training.steps"] == ["30", "-"]
    assert set(settings) == {
        "data.sources", "model.hidden_size", "model.num_layers", "training.steps",
        "training.batch_size", "training.bptt", "training.evaluations",
    }  # fmt: skip


def test_a_curve_ends_where_the_log_ends(runs: Path, page: Page) -> None:
    loss, *_ = read_curves(runs / "lstm" / "log.jsonl")
    label = page(runs / "lstm").run("document.querySelector('.panel svg[role]').ariaLabel")
    assert f"to {loss.values[-1]:.4g} at step 30" in label


def test_a_page_on_several_runs_names_only_what_differs(runs: Path, page: Page) -> None:
    shown = page(runs / "lstm", runs / "gru")
    rows = [row.split("\t") for row in shown.text("table").split("\n")]
    table = {name: cells for name, *cells in rows[1:]}
    assert table["model.cell"] == ["lstm", "gru"]
    assert {"training.steps", "steps", "tokens"} & set(table) == set()
    assert "validation, bits per character" in table
    assert shown.run("document.querySelectorAll('.panel .legend').length") == 5
    assert shown.run("document.querySelector('.panel').querySelectorAll('.line.s1').length") == 2


def test_the_name_of_a_run_is_only_text(runs: Path, tmp_path: Path, page: Page) -> None:
    evil = tmp_path / "<img src=x onerror=document.title=1>"
    shutil.copytree(runs / "gru", evil)
    shown = page(evil)
    assert shown.text("h1") == str(evil)
    assert shown.run("document.querySelectorAll('img').length") == 0


def test_a_run_whose_text_is_gone_has_a_page_with_less_in_it(
    runs: Path, tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs / "gru", tmp_path / "run")
    settings = tmp_path / "run" / "run.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(re.sub(r"sources = \[[^]]*\]", 'sources = ["gone.txt"]', text))
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))
    shown = page(tmp_path / "run").text("main")
    assert "Note: the text of the run" in shown
    assert "What it writes" in shown
    assert "Scores" not in shown


def test_a_run_without_a_checkpoint_has_its_curves(runs: Path, tmp_path: Path, page: Page) -> None:
    shutil.copytree(runs / "gru", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "best.json").unlink()
    shown = page(tmp_path / "run").text("main")
    assert "no checkpoint yet" in shown
    assert "gradient norm" in shown


def test_a_model_of_ngrams_has_a_page_without_an_inside(
    runs: Path, tmp_path: Path, page: Page
) -> None:
    list(charlm.train(str(runs / "book.txt"), tmp_path / "run", **{"model.kind": "ngram"}, order=2))
    shown = page(tmp_path / "run").text("main")
    assert "n-grams of up to 2 tokens" in shown
    assert ": 2 orders, " in shown
    assert "loss and" not in shown
    assert "What it writes" in shown
    assert "Inside" not in shown


@pytest.mark.parametrize(
    ("ending", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_curves_are_a_picture(runs: Path, tmp_path: Path, ending: str, magic: bytes) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra plot)")
    out = report([runs / "lstm", runs / "gru"], tmp_path / f"curves{ending}")
    assert out.read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("ending", "module", "extra"),
    [
        (".png", "matplotlib.figure", "plot"),
        (".tensorboard", "torch.utils.tensorboard", "tensorboard"),
    ],
)
def test_a_missing_extra_is_named(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    module: str,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CharlmError, match="not installed") as caught:
        report(runs / "gru", tmp_path / f"curves{ending}")
    assert f"'.[{extra}]'" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_events_hold_every_point_at_its_step_and_time(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    out = report([runs / "lstm", runs / "gru"], tmp_path / "curves.tensorboard")
    assert sorted(path.name for path in out.iterdir()) == ["gru", "lstm"]
    (file,) = (out / "lstm").iterdir()
    found = {
        (value.tag, event.step): (value.simple_value, event.wall_time)
        for event in LegacyEventFileLoader(str(file)).Load()
        for value in event.summary.value
    }
    curves = read_curves(open_run(runs / "lstm").log.path)
    wanted = {
        (curve.key, step): (pytest.approx(value, rel=1e-6), time)
        for curve in curves
        for step, value, time in zip(curve.steps, curve.values, curve.times, strict=True)
    }
    assert len(curves) == 5
    assert found == wanted


def test_what_cannot_be_written_is_refused_before_the_work(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.html, \.png") as caught:
        report(runs / "gru", tmp_path / "page.htm")
    assert caught.value.hint == f"choose {tmp_path / 'page.html'}"
    (tmp_path / "there.html").touch()
    (tmp_path / "there.tensorboard").mkdir()
    for name in ("there.html", "there.tensorboard"):
        with pytest.raises(CorpusError, match="exists already"):
            report(runs / "gru", tmp_path / name)
    with pytest.raises(CorpusError, match="no folder"):
        report(runs / "gru", tmp_path / "none" / "page.html")
    with pytest.raises(ConfigError, match="no run"):
        report([], tmp_path / "page.html")


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 400, [0, 100, 200, 300, 400]),
        (1.9, 3.3, [2, 2.5, 3]),
        (7, 7, [7]),
        (0.0, 0.006, [0, 0.002, 0.004, 0.006]),
        (66, 872, [200, 400, 600, 800]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(wanted)


def test_a_run_without_a_log_has_no_picture(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "lstm", tmp_path / "run")
    (tmp_path / "run/log.jsonl").unlink()
    with pytest.raises(CharlmError, match="has no curves"):
        report(tmp_path / "run", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
