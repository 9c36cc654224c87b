"""What a run holds is read from its folder, whatever has become of the files."""

from dataclasses import replace
from pathlib import Path

import pytest

from charlm.config import Config, DataConfig, ModelConfig, TrainConfig
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.model.language_model import LanguageModel
from charlm.storage.run import Run, create_run
from charlm.storage.summary import differing_settings, number, summarise_run, table

CONFIG = Config(data=DataConfig(sources=("a.txt",)), model=ModelConfig(hidden_size=4))
TOKENIZER = CharTokenizer(list("ab"))
ORIGIN = {"digest": "d", "counts": {"train": {"chars": 7}}, "made": {"torch": "2.13"}}


def made(folder: Path, config: Config = CONFIG, origin: dict[str, object] = ORIGIN) -> Run:
    return create_run(folder, config, TOKENIZER, origin)


def save(run: Run, step: int, counters: object) -> None:
    model = LanguageModel.create(CONFIG.model, TOKENIZER.vocab_size, seed=step)
    best = {"step": 1, "valid_nll": 1.5, "valid_bpc": 2.5}
    run.save(step, model.tensors(), {}, {"counters": counters}, best)


def test_a_summary_of_all_there_is(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    save(run, 1, {"step": 1, "tokens": 20, "seconds": 0.5})
    save(run, 2, {"step": 2, "tokens": 40, "seconds": 1.5, "finished": True})
    found = summarise_run(run)
    network = LanguageModel(CONFIG.model, TOKENIZER.vocab_size)
    assert found.parameters == network.count_parameters()
    assert (found.step, found.tokens, found.seconds, found.finished) == (2, 40, 1.5, True)
    assert (found.text, found.made) == (ORIGIN["counts"], ORIGIN["made"])
    assert (found.valid_nll, found.valid_bpc) == (1.5, 2.5)
    assert [entry["step"] for entry in found.checkpoints if entry["good"]] == [1, 2]
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert found.bytes == sum(len(path.read_bytes()) for path in files)


def test_links_do_not_count_as_disk_space(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    before = summarise_run(run).bytes
    (tmp_path / "large").write_bytes(bytes(1000))
    (run.folder / "link").symlink_to(tmp_path / "large")
    assert summarise_run(run).bytes == before


@pytest.mark.parametrize("counters", [[1], None, {"step": "x", "tokens": True, "seconds": None}])
def test_counters_that_are_none_count_as_zero(tmp_path: Path, counters: object) -> None:
    run = made(tmp_path / "run", origin={"digest": "d", "counts": 3, "made": "x"})
    save(run, 1, counters)
    found = summarise_run(run)
    assert (found.step, found.tokens, found.seconds) == (0, 0, 0.0)
    assert (found.text, found.made) == ({}, {})


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    save(run, 1, {"step": 1})
    save(run, 2, {"step": 2})
    (run.checkpoints / "step-00000002" / "model.safetensors").write_bytes(b"x")
    found = summarise_run(run)
    assert [(entry["step"], entry["good"]) for entry in found.checkpoints] == [
        (1, True),
        (2, False),
    ]
    assert "is damaged" in found.checkpoints[1]["why"]
    assert found.step == 1


def test_settings_that_differ(tmp_path: Path) -> None:
    other = replace(CONFIG, training=TrainConfig(seed=5), model=ModelConfig(kind="ngram", order=3))
    configs = {"a": CONFIG, "b": CONFIG, "c": other}
    summaries = [summarise_run(made(tmp_path / name, each)) for name, each in configs.items()]
    assert differing_settings(summaries[:2]) == {}
    found = differing_settings(summaries)
    assert found["training.seed"] == [1, 1, 5]
    assert found["model.kind"] == ["recurrent", "recurrent", "ngram"]
    assert found["model.hidden_size"][:2] == [4, 4]
    assert found.keys().isdisjoint({"data.sources", "model.cell", "training.bptt"})


@pytest.mark.parametrize("value", [[], 1, "x", None, [["train", 1]]])
def test_what_is_no_table_and_no_number_is_left_out(value: object) -> None:
    assert table({"counts": value}, "counts") == {}
    assert number({"step": value if value != 1 else True}, "step") is None
    for odd in (float("inf"), float("nan"), 10**400, -(10**400)):
        assert number({"step": odd}, "step") is None
    assert number({"step": 2**62}, "step") == 2**62
