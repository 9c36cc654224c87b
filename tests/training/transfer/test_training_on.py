"""Training on: what is taken over from a base, what is learned, kept, frozen and refused."""

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from charlm.config import Config
from charlm.data.batches import IGNORED, MixedSegments, Segments
from charlm.errors import CharlmError, CheckpointError, ConfigError, CorpusError, TokenizerError
from charlm.storage.ancestor import ancestor_of
from charlm.storage.checkpoints import read_checkpoint
from charlm.storage.run import open_run
from charlm.training.launch import train
from charlm.training.reports import Note, Stepped
from charlm.training.transfer.weights import resembling
from tests.training.conftest import WORDS, last
from tests.training.test_resume import assert_same_end

NEW = "The CAT sat; the dog slept in the naïve sun\r\n"
SMALL = {"batch_size": 6, "bptt": 7, "evaluations": 2, "state_reset": 0.2, "steps": 12}
SHAPE = {"hidden_size": 8, "num_layers": 2, "dropout": 0.2}

On = Callable[..., list[object]]


class StopBegun:
    """A stop flag that goes up at a step, the first one being 0, of the run in a folder."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.folder, self.asks = folder, step

    def __call__(self) -> str | None:
        if (self.folder / "run.toml").exists():
            self.asks -= 1
        return "test" if self.asks < 0 else None


@pytest.fixture
def base(tmp_path: Path, text: Path) -> Path:
    list(train(text, tmp_path / "base", **SMALL, **SHAPE))
    return tmp_path / "base"


@pytest.fixture
def on(tmp_path: Path, base: Path) -> On:
    """Train the base on with another text."""
    new = tmp_path / "new.txt"
    new.write_bytes(NEW.encode() * 60)

    def run(name: str = "on", stop: Callable[[], str | None] = lambda: None, **settings: object):
        given = {"base": base, "dropout": 0.2, **SMALL, **settings}
        return list(train(new, tmp_path / name, stop=stop, **given))

    return run


def notes(reports: list[object]) -> str:
    return "\n".join(report.text for report in reports if isinstance(report, Note))


def test_a_run_begins_with_the_weights_and_the_ids_of_its_base(
    on: On, base: Path, tmp_path: Path
) -> None:
    said = notes(on(stop=StopBegun(tmp_path / "on")))
    before, run = open_run(base), open_run(tmp_path / "on")
    old, new = before.tokenizer(), run.tokenizer()
    assert new.table[: old.vocab_size] == old.table
    # No symbol that neither text holds, and each of both.
    assert {*"".join(new.symbols)} == {*WORDS, *NEW}
    assert r"6 new characters: 'T', '\r', ';', 'A', 'C', 'ï'" in said
    weights = read_checkpoint(run.checkpoints / "step-00000000").model
    for name, weight in before.checkpoint().model.items():
        assert torch.equal(weights[name][: len(weight)], weight), name
    assert len(weights["embedding.weight"]) == new.vocab_size
    lower = weights["embedding.weight"][int(new.encode("t")[0])]
    assert torch.equal(weights["embedding.weight"][int(new.encode("T")[0])], lower)


def test_the_last_report_says_what_was_learned_and_forgotten(
    on: On, base: Path, tmp_path: Path
) -> None:
    scores = last(on(steps=40)).base
    assert scores is not None
    assert scores.base == str(base)
    assert scores.new_after < scores.new_before
    assert scores.old_after > scores.old_before
    # What the base had, but for the little that the new symbols take.
    had = last(list(train(out=base))).valid_bpc
    assert had < scores.old_before < 1.1 * had
    assert scores.new_after == pytest.approx(last(list(train(out=tmp_path / "on"))).valid_bpc)
    found = ancestor_of(open_run(tmp_path / "on"))
    assert found is not None
    assert (found.run, found.step) == (str(base), 12)


def close_after(reports: Iterator[object], steps: int) -> None:
    """Close a training when it has taken some steps, which saves it."""
    for report in reports:
        steps -= isinstance(report, Stepped)
        if not steps:
            cast("Generator[object]", reports).close()


def last_step(folder: Path) -> int:
    """The step of the newest checkpoint."""
    found, _ = open_run(folder).newest()
    assert found is not None
    return found.step


HOW = {
    "plain": {},
    "kept text, frozen layers": {
        "keep_share": 0.4,
        "freeze": 2,
        "thaw": 0.7,
        "depth_factor": 0.5,
        "average": "ema",
    },
}


@pytest.mark.parametrize("how", HOW)
def test_resumed_without_its_base_training_on_ends_in_the_same_bits(
    on: On, base: Path, tmp_path: Path, how: str
) -> None:
    on("whole", **HOW[how])
    on("parts", stop=StopBegun(tmp_path / "parts"), **HOW[how])
    assert last_step(tmp_path / "parts") == 0
    shutil.rmtree(base)
    close_after(train(out=tmp_path / "parts"), 3)
    close_after(train(out=tmp_path / "parts"), 4)
    assert last_step(tmp_path / "parts") == 7
    done = last(on("parts", **HOW[how]))
    assert done.base is not None
    assert done.base.old_after is not None
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_frozen_layers_stay_as_they_are_until_they_thaw(on: On, base: Path, tmp_path: Path) -> None:
    on(freeze=1)
    before = open_run(base).checkpoint().model
    after = open_run(tmp_path / "on").checkpoint(12).model
    still = {name for name in before if torch.equal(before[name], after[name][: len(before[name])])}
    assert still == {name for name in before if name.startswith("layers.0.")}
    on("thawed", freeze=1, thaw=0.5)
    thawed = open_run(tmp_path / "thawed").checkpoint(12).model
    assert not any(torch.equal(before[name], thawed[name]) for name in still)


def test_lanes_of_two_texts_are_the_segments_of_each() -> None:
    new, old = (Segments(np.arange(size) % 9, 2, 5, seed=1) for size in (44, 101))
    mixed = MixedSegments(new, old)
    assert (len(mixed), mixed.batch_size) == (len(new), 4)
    for step in range(30):
        both, one, two = mixed[step], new[step], old[step]
        width = one.inputs.shape[1]
        assert torch.equal(both.inputs[:2, :width], one.inputs)
        assert torch.equal(both.targets[:2, :width], one.targets)
        assert (both.targets[:2, width:] == IGNORED).all()
        assert torch.equal(both.inputs[2:, : two.inputs.shape[1]], two.inputs)
        assert both.count == one.count + two.count == int((both.targets != IGNORED).sum())
        # What is filled up is never followed by another segment of its epoch.
        if width < both.inputs.shape[1]:
            assert new[step + 1].fresh.all()


def test_kept_text_is_forgotten_less(on: On) -> None:
    forgot, kept = (
        last(on(f"share-{share}", steps=60, keep_share=share)).base for share in (0.0, 0.5)
    )
    assert kept.old_after < 0.95 * forgot.old_after


def test_a_chain_of_runs_reads_the_text_of_each_again(
    on: On, own_cache: Path, tmp_path: Path
) -> None:
    on()
    other = tmp_path / "other.txt"
    other.write_text("zebras & dogs\n" * 150)
    given = {"base": tmp_path / "on", "keep_share": 0.3, **SMALL}
    list(train(other, tmp_path / "third", stop=StopBegun(tmp_path / "third", 3), **given))
    found = ancestor_of(open_run(tmp_path / "third"))
    assert found is not None
    assert found.others == (str(tmp_path / "base"),)
    shutil.rmtree(own_cache)  # what was prepared is prepared again
    done = last(list(train(other, tmp_path / "third", **given)))
    assert done.base is not None
    assert done.base.old_after is not None


REFUSED = {
    "sizes": ({"hidden_size": 16}, ConfigError, "hidden_size=8"),
    "tokens": ({"tokenizer": "bpe"}, ConfigError, "tokenizer.kind='char'"),
    "order": ({"order": 3}, ConfigError, "`model.kind='recurrent'`, which .*base has"),
    "layers": ({"freeze": 3}, ConfigError, "freeze=3"),
    "thaw": (
        {"thaw": 0.5},
        ConfigError,
        "`training.thaw=0.5` does nothing with `training.freeze=0`",
    ),
    "no run": ({"base": "nowhere"}, CheckpointError, "nowhere does not exist"),
    "no base": (
        {"base": None, "keep_share": 0.5},
        ConfigError,
        "does nothing without `training.base`",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(on: On, tmp_path: Path, case: str) -> None:
    settings, error, says = REFUSED[case]
    with pytest.raises(error, match=says):
        on(**settings)
    assert not (tmp_path / "on").exists()


def test_a_base_needs_a_text_to_train_on(base: Path, tmp_path: Path) -> None:
    for out in (None, tmp_path / "on"):
        with pytest.raises(ConfigError, match="nothing to train on"):
            train(out=out, base=base, steps=2)


def test_a_run_does_not_begin_from_itself(on: On, base: Path) -> None:
    with pytest.raises(ConfigError, match="cannot begin from itself"):
        on(base.name)


def test_a_text_without_a_character_of_the_base_is_refused(on: On, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("мир и труд\n" * 80)
    with pytest.raises(TokenizerError, match="in common"):
        on()


def test_a_text_that_is_gone_is_needed_only_to_keep_it(
    on: On, text: Path, own_cache: Path, tmp_path: Path
) -> None:
    text.unlink()
    shutil.rmtree(own_cache)
    with pytest.raises(CorpusError, match="which is not here"):
        on(keep_share=0.2)
    assert not (tmp_path / "on").exists()
    reports = on()
    assert "how much of it is forgotten cannot be said" in notes(reports)
    assert last(reports).base.old_before is None


def test_pieces_are_those_of_the_base(text: Path, tmp_path: Path) -> None:
    list(train(text, tmp_path / "base", tokenizer="bpe", vocab_size=300, **SMALL, **SHAPE))
    new = tmp_path / "new.txt"
    new.write_bytes(NEW.encode() * 60)
    list(train(new, tmp_path / "on", base=tmp_path / "base", **SMALL))
    before, after = (open_run(tmp_path / name).tokenizer() for name in ("base", "on"))
    assert before.digest() == after.digest()


def test_new_symbols_begin_like_those_that_they_resemble() -> None:
    known = {symbol: id for id, symbol in enumerate(["e", "the", ".", ",", "B"], 2)}
    assert resembling("é", known) == resembling("E", known) == [2]
    assert resembling("The", known) == [3]
    assert resembling(";", known) == [4, 5]
    assert resembling("other", known) == list(known.values())


def test_a_damaged_origin_is_an_error_in_words(on: On, tmp_path: Path) -> None:
    on(stop=StopBegun(tmp_path / "on"))
    path = tmp_path / "on" / "run.toml"
    path.write_text(path.read_text().replace("grows = true", 'grows = "x"'))
    with pytest.raises(CharlmError, match=r"origin\.base"):
        list(train(out=tmp_path / "on"))


def test_two_texts_are_not_read_in_segments_of_random_length() -> None:
    with pytest.raises(ConfigError, match="contradict each other"):
        Config.from_tables({"training": {"base": "b", "keep_share": 0.5, "random_bptt": True}})
