"""Builders that are closed, killed or many at once leave one whole store, or nothing like it."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import prepared as preparation
from charlm.data.preparation.prepared import Prepared, Preparing, prepare
from charlm.data.preparation.store import open_store
from charlm.data.tokenizers.kinds import load
from charlm.durable import TEMPORARY_MARK

TEXT = "".join(f"line {n} of a small text, with words\r\n" for n in range(300))
CHAR = TokenizerConfig(kind="char")


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source.txt"
    path.write_bytes(TEXT.encode())
    return str(path)


def finished(data: DataConfig, tokenizer: TokenizerConfig, cache: Path) -> Prepared:
    *_, last = prepare(data, tokenizer, cache)
    assert isinstance(last, Prepared)
    return last


@pytest.mark.parametrize("phase", ["reading", "measuring", "learning the tokenizer", "encoding"])
def test_closing_the_generator_leaves_nothing_and_frees_the_lock(
    phase: str, source: str, own_cache: Path
) -> None:
    data = DataConfig(sources=(source,))
    records = prepare(data, CHAR, own_cache)
    assert any(isinstance(record, Preparing) and record.phase == phase for record in records)
    records.close()
    assert not list((own_cache / "tokens").glob("*/"))
    assert finished(data, CHAR, own_cache).folder.is_dir()


def test_a_builder_waits_for_the_one_that_holds_the_lock(
    source: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "PATIENCE", 0.01)
    first = prepare(DataConfig(sources=(source,)), CHAR, own_cache)
    phases = (record.phase for record in first if isinstance(record, Preparing))
    assert "encoding" in phases
    second = prepare(DataConfig(sources=(source,)), CHAR, own_cache)
    assert next(second) == Preparing("reading", 0, None)
    assert next(second).phase == "measuring"
    assert "waiting for another process" in next(second).phase
    *_, built = first
    monkeypatch.setattr(preparation, "build", None)
    *_, found = second
    assert isinstance(found, Prepared)
    assert isinstance(built, Prepared)
    assert found.folder == built.folder


def test_leftovers_of_killed_builders_are_removed_and_those_of_others_kept(
    source: str, own_cache: Path
) -> None:
    tokens = own_cache / "tokens"
    key = finished(DataConfig(sources=(source,)), CHAR, own_cache).folder.name
    dead, busy = (tokens / f"{name}{TEMPORARY_MARK}1-ab" for name in ("d" * 32, "b" * 32))
    own = tokens / f"{key}{TEMPORARY_MARK}2-cd"
    for folder in (dead, busy, own):
        folder.mkdir()
        (folder / "train.bin").write_bytes(b"half")
    (tokens / key / "store.json").unlink()
    with FileLock(tokens / f"{'b' * 32}.lock"):
        finished(DataConfig(sources=(source,)), CHAR, own_cache)
    assert [folder.name for folder in sorted(tokens.glob("*/"))] == sorted([key, busy.name])


BUILDER = """
import sys
from pathlib import Path
from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import building
from charlm.data.preparation.prepared import prepare
if __name__ == "__main__":
    building.PARALLEL_FROM = 0
    building.available_cores = lambda: 2
    source, cache, kind = sys.argv[1:]
    for record in prepare(DataConfig(sources=(source,)), TokenizerConfig(kind=kind), Path(cache)):
        print(getattr(record, "phase", record), flush=True)
    print(record.digest, int(record.train.tokens.sum()))
"""


def start_builder(folder: Path, source: str, cache: Path, kind: str) -> subprocess.Popen[str]:
    """Another process that prepares ``source``, with two workers, and prints each phase."""
    script = folder / "builder.py"
    if not script.exists():  # builders that are starting read it
        script.write_text(BUILDER)
    command = [sys.executable, str(script), source, str(cache), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_processes_that_build_at_once_end_with_one_store(
    kind: str, source: str, tmp_path: Path, own_cache: Path
) -> None:
    Path(source).write_bytes(TEXT.encode() * 200)
    builders = [start_builder(tmp_path, source, own_cache, kind) for _ in range(3)]
    outputs = [builder.communicate(timeout=60) for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    assert all(errors == "" for _, errors in outputs)
    assert len({output.splitlines()[-1] for output, _ in outputs}) == 1
    assert sum("encoding" in output for output, _ in outputs) == 1
    assert len(list((own_cache / "tokens").glob("*/"))) == 1


@pytest.mark.timeout(90)
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_builder_killed_at_work_leaves_no_store_and_the_next_one_builds_it(
    kind: str, source: str, tmp_path: Path, own_cache: Path
) -> None:
    Path(source).write_bytes(TEXT.encode() * 200)
    with start_builder(tmp_path, source, own_cache, kind) as builder:
        assert builder.stdout is not None
        assert any(line == "encoding\n" for line in builder.stdout)
        builder.send_signal(signal.SIGKILL)
    (left,) = (own_cache / "tokens").glob("*/")
    assert TEMPORARY_MARK in left.name
    prepared = finished(DataConfig(sources=(source,)), TokenizerConfig(kind=kind), own_cache)
    assert list((own_cache / "tokens").glob("*/")) == [prepared.folder]
    assert (
        prepared.tokenizer.decode(prepared.train.tokens)
        == (TEXT * 200)[: prepared.train.counts.chars]
    )


@pytest.mark.long
def test_builders_killed_at_any_moment_never_leave_a_wrong_store(
    source: str, tmp_path: Path, own_cache: Path
) -> None:
    Path(source).write_bytes(TEXT.encode() * 200)
    chance = random.Random(1)
    finished_before = 0
    for round in range(60):
        cache = own_cache / str(round % 6)
        with start_builder(tmp_path, source, cache, ("char", "bpe")[round % 2]) as builder:
            time.sleep(chance.uniform(0.1, 1.2))
            builder.kill()
        whole = [folder for folder in (cache / "tokens").glob("*/") if len(folder.name) == 32]
        for folder in whole:
            tokens = open_store(folder, "train").tokens
            assert load(folder / "tokenizer").decode(tokens) == (TEXT * 200)[: 9 * len(TEXT) * 20]
            shutil.rmtree(folder)
        finished_before += len(whole)
    assert 0 < finished_before < 60


@pytest.mark.timeout(90)
def test_a_script_without_a_main_guard_is_served_all_the_same(
    source: str, tmp_path: Path, own_cache: Path
) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(BUILDER.replace('__name__ == "__main__"', "True"))
    command = [sys.executable, str(script), source, str(own_cache), "word"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0
    assert "runs again in each worker process" in found.stderr
    assert len(list((own_cache / "tokens").glob("*/"))) == 1
