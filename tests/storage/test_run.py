"""A run folder comes back as it was made, and anything else is refused in words."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from charlm import durable
from charlm.config import Config, DataConfig, ModelConfig
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.errors import CheckpointError
from charlm.model.language_model import LanguageModel
from charlm.storage import checkpoints
from charlm.storage import run as runs
from charlm.storage.integrity import UnreadableError
from charlm.storage.run import Run, create_run, lock, open_run

CONFIG = Config(data=DataConfig(sources=("a.txt",)), model=ModelConfig(hidden_size=4))
TOKENIZER = CharTokenizer(list("ab"))
COUNTERS = {"counters": {"step": 1}}


@pytest.fixture
def made(tmp_path: Path) -> Run:
    return create_run(tmp_path / "runs" / "one", CONFIG, TOKENIZER, {"digest": "d"})


def save(run: Run, step: int, best: int | None = None) -> None:
    model = LanguageModel.create(CONFIG.model, TOKENIZER.vocab_size, seed=step)
    run.save(step, model.tensors(), {}, COUNTERS, None if best is None else {"step": best})


def test_settings_and_tokenizer_come_back(made: Run) -> None:
    again = open_run(made.folder)
    assert again.config == CONFIG.with_defaults()
    assert again.origin == {"digest": "d"}
    assert again.tokenizer().digest() == TOKENIZER.digest()


def test_the_best_model_is_loaded_else_the_newest(made: Run) -> None:
    save(made, 1)
    save(made, 2)
    assert made.checkpoint().step == 2
    save(made, 3, best=2)
    assert made.checkpoint().step == 2
    assert made.checkpoint(3).step == 3


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(made: Run) -> None:
    save(made, 1)
    save(made, 2)
    path = made.checkpoints / "step-00000002" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found, notes = made.newest()
    assert found is not None
    assert found.step == 1
    assert len(notes) == 1
    assert "step-00000002" in notes[0]
    assert path.exists()


def test_a_best_that_is_gone_or_nonsense_is_only_a_hint(made: Run) -> None:
    save(made, 1)
    for content in ('{"step": 99}', '{"step": "x"}', "", "[]", '{"step": -1}'):
        (made.folder / "best.json").write_text(content)
        assert made.checkpoint().step == 1


def test_a_run_without_checkpoint_says_so(made: Run) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        made.checkpoint()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lacks its digest"),
        ("not toml", "cannot be read"),
        ("[charlm]\nformat = 99\n", "newer charlm"),
        ("[model]\nhidden_sizes = 3\n[origin]\ndigest = 'd'", "hidden_sizes"),
        ("[model]\nhidden_size = -3\n[origin]\ndigest = 'd'", "at least 1"),
        ("origin = 3", "cannot be read"),
        ("charlm = 3", "cannot be read"),
        ("[charlm]\nformat = 'x'", "cannot be read"),
        ("a = " + "[" * 5000, "cannot be read"),
    ],
)
def test_settings_that_cannot_be_read_are_refused(made: Run, content: str, message: str) -> None:
    (made.folder / "run.toml").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        open_run(made.folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run"):
        open_run(tmp_path)
    with pytest.raises(CheckpointError, match="File name too long") as raised:
        open_run("It was the best of times. " * 20)
    assert raised.value.hint == "choose a shorter name"


def test_creating_over_something_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(CheckpointError, match="cannot make"):
        create_run(tmp_path, CONFIG, TOKENIZER, {"digest": "d"})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_becomes_the_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert create_run(tmp_path / "empty", CONFIG, TOKENIZER, {"digest": "d"}).config == CONFIG


def test_the_log_is_cut_to_what_the_checkpoint_knew(made: Run) -> None:
    made.log.append({"step": 1})
    length = made.log.sync()
    made.log.append({"step": 2})
    made.log.cut(length)
    made.log.append({"step": 3})
    lines = (made.folder / runs.LOG).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 3]


def test_a_line_of_the_log_is_written_once_and_after_those_that_had_to_wait(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    log = made.log
    log.append({"step": 1})
    with monkeypatch.context() as patch:
        patch.setattr(durable, "append", full)
        with pytest.raises(OSError, match="No space"):
            log.append({"step": 2})
    log.append({"step": 3})
    lines = log.path.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


@pytest.mark.parametrize("name", ["log.jsonl", "checkpoints", "tokenizer", "best.json", "run.toml"])
def test_links_out_of_a_run_are_refused(made: Run, tmp_path: Path, name: str) -> None:
    path, elsewhere = made.folder / name, tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.write_text("precious")
    path.symlink_to(elsewhere)
    with pytest.raises(CheckpointError, match="is a link"):
        open_run(made.folder)


def test_a_tokenizer_of_another_run_is_refused(tmp_path: Path) -> None:
    origin = {"digest": "d", "tokenizer": TOKENIZER.digest()}
    run = create_run(tmp_path / "run", CONFIG, TOKENIZER, origin)
    CharTokenizer(list("ba")).save(run.folder / "tokenizer")
    with pytest.raises(CheckpointError, match="is not the one of this run"):
        run.tokenizer()


def test_a_run_is_blank_until_something_is_learned(made: Run) -> None:
    assert made.blank
    made.log.append({"type": "started"})
    with lock(made.folder):
        assert made.blank
    save(made, 1)
    assert not made.blank
    other = create_run(made.folder.with_name("two"), CONFIG, TOKENIZER, {"digest": "d"})
    (other.folder / "mine.txt").touch()
    assert not other.blank
    runs.remove_blank(other.folder)
    runs.remove_blank(made.folder)
    assert (other.folder / "mine.txt").exists()
    assert made.checkpoints.exists()


def test_a_run_that_learns_something_while_it_is_locked_is_not_removed(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def held_by_another_before(folder: Path) -> Iterator[None]:
        save(made, 1)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(runs, "lock", held_by_another_before)
        runs.remove_blank(made.folder)
    assert made.checkpoint().step == 1


def test_a_checkpoint_that_goes_while_it_is_read_is_no_damage(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(made, 1)
    save(made, 2)
    read = checkpoints.read_checkpoint

    def read_too_late(path: Path) -> checkpoints.Checkpoint:
        if path.name == "step-00000002":
            shutil.rmtree(path)
        return read(path)

    monkeypatch.setattr(checkpoints, "read_checkpoint", read_too_late)
    found, notes = made.newest()
    assert found is not None
    assert (found.step, notes) == (1, ())


def test_a_best_json_that_cannot_be_written_says_that_the_checkpoint_is_saved(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(durable, "write_text", full)
    with pytest.raises(CheckpointError, match=r"cannot be written: .*best\.json") as caught:
        save(made, 1, best=1)
    assert "resumes from the checkpoint just saved" in caught.value.hint
    assert made.checkpoint().step == 1


def test_best_json_names_the_best_step_of_now(made: Run) -> None:
    for step, best in ((1, 1), (2, 2), (3, 2)):
        save(made, step, best=best)
        assert json.loads((made.folder / runs.BEST).read_text()) == {"step": best}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": "x"}', '{"step": -1}', "[1"])
def test_a_best_json_that_names_no_step_counts_as_none(made: Run, content: str) -> None:
    (made.folder / runs.BEST).write_text('{"step": 4}')
    assert made.best() == {"step": 4}
    (made.folder / runs.BEST).write_text(content)
    assert made.best() is None


def test_a_best_checkpoint_that_cannot_be_read_now_is_not_replaced_by_another(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(made, 1, best=1)
    save(made, 2, best=1)

    def refuse(step: int) -> None:
        raise UnreadableError(f"step {step} cannot be read now", "try again")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "read_step", lambda self, step: refuse(step))
        with pytest.raises(UnreadableError, match="step 1"):
            made.checkpoint()
    assert made.checkpoint().step == 1


def test_steps_that_are_there_are_named(made: Run) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint of step 3") as caught:
        made.checkpoint(3)
    assert caught.value.hint == "train it first"
    save(made, 1)
    save(made, 2)
    with pytest.raises(CheckpointError) as caught:
        made.checkpoint(3)
    assert caught.value.hint == "choose one of: 1, 2"


def test_other_settings_are_written_into_the_run(made: Run) -> None:
    changed = made.update(Config(model=ModelConfig(hidden_size=8)))
    assert open_run(made.folder).config.model.hidden_size == changed.config.model.hidden_size == 8
    assert open_run(made.folder).origin == made.origin


def test_another_tokenizer_is_refused(made: Run) -> None:
    other = Run(made.folder, made.config, made.origin | {"tokenizer": "0" * 64})
    with pytest.raises(CheckpointError, match="not the one of this run"):
        other.tokenizer()
    right = Run(made.folder, made.config, made.origin | {"tokenizer": TOKENIZER.digest()})
    assert right.tokenizer().digest() == TOKENIZER.digest()


def test_the_best_step_is_that_of_the_newest_checkpoint_whose_state_can_be_read(made: Run) -> None:
    save(made, 1, best=1)
    save(made, 2, best=2)
    assert made.best() == {"step": 2}
    (made.checkpoints / "step-00000002" / "state.json").write_text("{")
    assert made.best() == {"step": 1}


def test_a_checkpoint_of_an_older_version_leaves_the_best_step_to_best_json(made: Run) -> None:
    save(made, 1, best=1)
    checkpoints.write_checkpoint(made.checkpoints, 2, {}, {}, COUNTERS)
    assert made.best() == {"step": 1}


def test_of_two_checkpoints_of_one_step_the_newer_is_read_unless_it_is_damaged(made: Run) -> None:
    save(made, 1)
    (again := made.checkpoints / "step-00000001-again").mkdir()
    checkpoints.fill(again, 1, {}, {}, {"newer": True})
    assert made.checkpoint(1).state["newer"]
    (again / "state.json").write_text("{")
    assert "newer" not in made.checkpoint(1).state
