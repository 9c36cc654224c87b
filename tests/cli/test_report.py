"""``charlm report`` writes one file, and says what it needs."""

from pathlib import Path

from tests.cli.conftest import call


def test_a_report_is_written_once(run: Path) -> None:
    done = call("report", run, "--out", "page.html")
    assert (done.code, done.out) == (0, "")
    assert done.err[-1].split() == ["written", "page.html"]
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
