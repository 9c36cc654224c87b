"""A path that is no run is told from one that is nearly spelled like it."""

from pathlib import Path

import pytest

from charlm.storage.missing import no_run


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/dickens", "other/tolstoy"):
        Path(name, "checkpoints").mkdir(parents=True)
        Path(name, "run.toml").touch()
    Path("weights.pt").touch()
    Path("notes.txt").touch()
    Path("empty").mkdir()
    Path("folder.pt").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "cause", "hint"),
    [
        ("dickens", "dickens does not exist", "did you mean runs/dickens?"),
        ("runs/dickns", "does not exist", "did you mean runs/dickens?"),
        ("dickns", "does not exist", "did you mean runs/dickens?"),
        ("other/tolstoi", "does not exist", "did you mean other/tolstoy?"),
        ("runs/dickens/checkpoints", "is not a run: it has no run.toml", "runs/dickens?"),
        ("zzz", "zzz does not exist", "name the folder of a run"),
        ("empty", "empty is not a run: it has no run.toml", "name the folder"),
        ("folder.pt", "folder.pt is not a run: it has no run.toml", "name the folder"),
        ("weights.pt", "not a run but weights of a PyTorch program", "train a run"),
        ("notes.txt", "notes.txt is not a run: it has no run.toml", "name the folder"),
    ],
)
def test_the_run_that_may_be_meant_is_named(path: str, cause: str, hint: str) -> None:
    error = no_run(Path(path))
    assert cause in str(error)
    assert hint in error.hint
