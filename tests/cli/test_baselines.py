"""Baselines beside the perplexity of a run."""

from pathlib import Path

from tests.cli.conftest import call, tree
from tests.cli.test_perplexity import Trained, found, texts

__all__ = ["texts"]  # a fixture


def test_baselines_stand_under_the_model_in_its_units(trained: Trained) -> None:
    record = found("a.txt", "b.txt", "--baselines")
    names = [row["name"] for row in record["baselines"]]
    assert "xz -9" in names
    assert all(row["bpb"] > 0 for row in record["baselines"])
    lines = call("perplexity", "run", "a.txt", "--baselines").out.splitlines()
    assert lines[-1].split() == [
        "this",
        "model",
        *(f"{found('a.txt')[k]:.4f}" for k in ("bpc", "bpb")),
    ]


def test_baselines_need_the_text_of_the_run(trained: Trained) -> None:
    settings = Path("run/run.toml")
    gone = (trained("char").parent / "book.txt").as_posix()
    settings.write_text(settings.read_text().replace(gone, "/nowhere/book.txt"))
    before = tree(Path())
    done = call("perplexity", "run", "a.txt", "--baselines")
    assert (done.code, done.out) == (1, "")
    assert "baselines learn from the text the run was trained on" in done.err[0]
    assert "leave --baselines out" in done.err[1]
    assert tree(Path()) == before
