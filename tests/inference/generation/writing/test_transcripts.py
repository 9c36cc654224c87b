"""The file of a writing session is never lost and never replaces another one unasked."""

from pathlib import Path

import pytest

from charlm.errors import ConfigError, CorpusError
from charlm.inference.generation.writing.transcripts import open_transcript


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_text_is_saved_as_it_is_and_only_where_it_has_changed() -> None:
    transcript = open_transcript(None, "run")
    assert not Path("run.txt").exists()
    assert not transcript.save("")
    assert transcript.save("é\r\n\x1b\n")
    assert Path("run.txt").read_bytes() == "é\r\n\x1b\n".encode()
    assert not transcript.save("é\r\n\x1b\n")
    assert transcript.save("shorter")
    assert Path("run.txt").read_text() == "shorter"


def test_files_that_exist_are_left_alone_or_named() -> None:
    Path("run.txt").write_text("old")
    Path("run-2.txt").write_text("older")
    assert open_transcript(None, "run").path == Path("run-3.txt")
    with pytest.raises(CorpusError, match=r"run\.txt exists already") as refused:
        open_transcript(Path("run.txt"), "run")
    assert refused.value.hint == "go on with it: `continue=True`, or replace it: `force=True`"
    assert open_transcript(Path("run.txt"), "run", append=True).saved == "old"
    assert open_transcript(None, "run", append=True).path == Path("run.txt")
    replaced = open_transcript(Path("run.txt"), "run", force=True)
    assert (replaced.saved, Path("run.txt").read_text()) == ("", "old")
    replaced.save("new")
    assert Path("run.txt").read_text() == "new"


def test_a_file_that_another_program_makes_meanwhile_is_left_alone() -> None:
    transcript = open_transcript(Path("a.txt"), "run")
    Path("a.txt").write_text("theirs")
    transcript.save("mine")
    assert (Path("a.txt").read_text(), Path("a-2.txt").read_text()) == ("theirs", "mine")


def test_what_cannot_be_a_transcript_is_refused_before_the_session() -> None:
    Path("folder").mkdir()
    Path("bytes").write_bytes(b"\xff")
    for out, how, message in (
        ("folder", {}, "is a folder"),
        ("none/a.txt", {}, "there is no folder none"),
        ("bytes", {"append": True}, "is not UTF-8"),
        ("folder", {"append": True}, "cannot be read"),
    ):
        with pytest.raises(CorpusError, match=message):
            open_transcript(Path(out), "run", **how)
    with pytest.raises(ConfigError, match="contradict"):
        open_transcript(None, "run", force=True, append=True)
