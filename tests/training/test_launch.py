"""``train`` from Python: names of settings, sources, what is left when the iterator is closed."""

from pathlib import Path
from typing import Any

import pytest

from charlm.data.preparation.prepared import Prepared
from charlm.errors import CheckpointError, ConfigError, CorpusError
from charlm.inference.demonstration import sample_run
from charlm.storage.run import open_run
from charlm.training.launch import plan, train
from charlm.training.reports import Saved, Started, Stepped
from tests.training.conftest import WORDS, last

SHORT = {"steps": 6, "hidden_size": 8, "batch_size": 4, "bptt": 7, "split": [80, 20]}


def test_paths_texts_and_lists_of_them_are_sources(text: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(WORDS * 9)
    for sources in (text, str(text), [text], (str(text), other)):
        *_, planned = plan(sources, str(tmp_path / "run"), **SHORT)
        several = isinstance(sources, tuple)
        assert planned.config.data.sources == ((str(text), str(other)) if several else (str(text),))


def test_a_file_may_have_a_line_break_in_its_name(tmp_path: Path) -> None:
    named = tmp_path / "two\nlines.txt"
    named.write_text(WORDS * 9)
    *_, planned = plan(str(named), str(tmp_path / "run"), **SHORT)
    assert planned.config.data.sources == (str(named),)


def test_a_closed_iterator_leaves_a_run_that_is_resumed(text: Path, tmp_path: Path) -> None:
    reports = train(text, tmp_path / "run", **SHORT | {"steps": 30, "evaluations": 1})
    for report in reports:
        if isinstance(report, Stepped) and report.step == 4:
            break
    assert not isinstance(report, Saved)
    reports.close()  # type: ignore[attr-defined]
    found, _ = open_run(tmp_path / "run").newest()
    assert found is not None
    assert found.step == 4
    rest = list(train(out=tmp_path / "run"))
    started = next(report for report in rest if isinstance(report, Started))
    assert (started.resumed, started.step, started.run) == (True, 4, str(tmp_path / "run"))
    assert last(rest).step == 30


def test_a_run_that_is_closed_before_its_first_step_stays_replaceable(
    text: Path, tmp_path: Path
) -> None:
    for report in train(text, tmp_path / "run", **SHORT):
        if isinstance(report, Started):
            break
    del report
    assert open_run(tmp_path / "run").blank


@pytest.mark.parametrize(
    ("arguments", "settings", "cause", "way_out"),
    [
        ((), {}, "nothing to train on", "name a text"),
        (("",), {}, "a source must not be empty", "name a file"),
        ((3,), {}, "cannot be a source: 3", "str or Path"),
        (([b"x"],), {}, "cannot be a source: b'x'", "str or Path"),
        (("t.txt",), {"lr": 1}, "unknown setting `lr`", "training.learning_rate"),
        (("t.txt",), {"momentum": 0.9}, "`training.momentum=0.9` does nothing", "leave it out"),
        (
            ("t.txt",),
            {"minutes": 1, "steps": 2},
            "`training.minutes` and `training.steps`",
            "leave out",
        ),
        (("t.txt",), {"hidden_size": "big"}, "`model.hidden_size` must be a whole number", ""),
        (("t.txt",), {"recipe": "ptb-wrd"}, "unknown recipe ptb-wrd", "ptb-word"),
    ],
)
def test_wrong_arguments_are_refused_at_once_in_the_words_of_python(
    arguments: tuple[Any, ...],
    settings: dict[str, Any],
    cause: str,
    way_out: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        train(*arguments, **settings)
    assert cause in str(caught.value)
    assert way_out in caught.value.hint
    assert "--" not in str(caught.value) + caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_device_or_a_run_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no device 'tpu'"):
        train("t.txt", tmp_path / "run", device="tpu")
    with pytest.raises(CheckpointError, match="does not exist"):
        train(out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_text_is_an_error_when_the_reports_are_asked_for(tmp_path: Path) -> None:
    reports = train(tmp_path / "missing.txt", tmp_path / "run", steps=1)
    with pytest.raises(CorpusError, match=r"missing\.txt"):
        list(reports)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_would_be_trained_and_makes_no_run(text: Path, tmp_path: Path) -> None:
    *_, planned = plan(text, tmp_path / "run", **SHORT)
    assert planned.run == str(tmp_path / "run")
    assert isinstance(planned.prepared, Prepared)
    list(train(text, tmp_path / "run", **SHORT))
    run = open_run(tmp_path / "run")
    assert planned.config == run.config
    found, _ = run.newest()
    assert found is not None
    assert planned.parameters == sum(tensor.numel() for tensor in found.model.values())


def test_samples_begin_where_a_line_begins_at_the_temperature_of_the_run(
    text: Path, tmp_path: Path
) -> None:
    list(train(text, tmp_path / "run", temperature=0.3, **SHORT))
    sample = sample_run(tmp_path / "run", 6)
    assert sample.prompt.endswith("\n")
    assert sample.prompt in WORDS * 40
    assert sample.temperature == 0.3
    assert 0 < len(sample.text) <= 180
    assert sample == sample_run(tmp_path / "run", 6)
