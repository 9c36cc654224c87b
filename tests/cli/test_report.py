"""``charlm report`` writes one file, and says what it needs."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import call


def test_a_report_is_written_once(run: Path) -> None:
    done = call("report", run, "--out", "page.html")
    assert (done.code, done.out) == (0, "")
    assert done.err[-1].split() == ["saved", "in", "page.html"]
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    again = call("report", run, "--out", "page.html")
    assert again.code == 1
    assert again.err[-1].endswith("replace it: --force")
    assert call("report", run, run, "--out", "page.html", "--force").code == 0
    assert "<h2>What differs</h2>" in Path("page.html").read_text(encoding="utf-8")


def test_another_ending_is_refused(run: Path) -> None:
    done = call("report", run, "--out", "page.htm")
    assert done.code == 2
    assert done.err == [
        "error: the name of a report ends in .html, .png, .svg, .pdf, .tensorboard, got 'page.htm'",
        "  try: choose page.html",
    ]


def test_an_explanation_is_a_page_of_the_chosen_units(run: Path) -> None:
    done = call("explain", run, "ba co", "--html", "gates.html", "--units", "3,5-6")
    assert (done.code, done.out) == (0, "")
    record = re.search(
        r'id="record">(.*?)</script>', Path("gates.html").read_text(encoding="utf-8")
    )
    assert record is not None
    assert json.loads(record[1])["units"] == [3, 5, 6]
    assert json.loads(record[1])["tokens"] == list("ba co")
    again = call("explain", run, "ba co", "--html", "gates.html")
    assert again.err[-1].endswith("replace it: --force")
    assert call("explain", run, "ba co", "--html", "gates.html", "--force").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--reach 5", "--reach goes with --memory only"),
        ("--html a.html --json", "--json does nothing with --html"),
        ("--memory --against ,", "unknown cell --against"),
        ("--units 3", "--units goes with --html or --npz only"),
        ("--html a.html --units 3-x", "'3-x' is no number and no range like 0-63"),
        ("--html a.html --units 99", "--units must be from 0 to 15, got 99"),
        ("--html a.html --npz a.npz", "ask one at a time"),
        ("--html a.html --gate cell", "--gate does nothing with --html"),
        ("--html a.txt", "the name of a report ends in .html, got 'a.txt'"),
    ],
)
def test_a_page_that_cannot_be_is_refused(run: Path, options: str, said: str) -> None:
    done = call("explain", run, "ba co", *options.split())
    assert done.code == 2
    assert said in done.err[0]
    assert not Path("a.html").exists()


@pytest.mark.parametrize("command", ["explain RUN ba --npz -", "export RUN --to html --out -"])
def test_no_file_is_called_like_standard_output(run: Path, command: str) -> None:
    done = call(*(str(run) if word == "RUN" else word for word in command.split()))
    assert done.code == 1
    assert "standard output is no file" in done.err[0]
    assert not Path("-").exists()


def test_a_missing_file_is_said_before_its_name_is_explained(run: Path) -> None:
    assert any(
        "there is no file nothing.txt" in line for line in call("explain", run, "nothing.txt").err
    )
    assert call("explain", run, "ba lo.").err == []


def test_a_report_takes_a_run_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "the Hub cannot be reached" in call("report", "hf:a/b", "--out", "page.html").err[0]
