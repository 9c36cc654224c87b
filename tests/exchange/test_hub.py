"""Runs go to the Hub and come back byte for byte; nothing else comes from there."""

import errno
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm import durable
from charlm.data.sources.huggingface import hub_answers
from charlm.errors import CheckpointError, ConfigError, ModelError
from charlm.exchange.hub import local_run, pull, push
from tests.cli.conftest import SMALL, book_text, call, tree
from tests.cli.signalled import charlm as charlm_command
from tests.exchange.hub import Handler, imitation

Repositories = dict[str, dict[str, bytes]]
MODEL = "checkpoints/step-00000020/model.safetensors"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "book.txt").write_text(book_text())
    assert call("train", folder / "book.txt", "--out", folder / "run", *SMALL).code == 0
    return folder / "run"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repositories]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_for_tests")
    with imitation() as (url, files, _):
        monkeypatch.setenv("HF_ENDPOINT", url)
        hub_answers.cache_clear()
        yield files
    hub_answers.cache_clear()


def test_a_run_comes_back_byte_for_byte(run: Path, hub: Repositories, tmp_path: Path) -> None:
    done = call("push", run, "me/book", "--license", "cc0-1.0", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["step"] == 20
    card = hub["me/book"]["README.md"].decode()
    assert card.startswith('---\nlicense: "cc0-1.0"\n')
    assert "nats per token" in card
    out = tmp_path / "book"
    done = call("pull", "me/book", "--out", out, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == [20]
    kept = {name: digest for name, digest in tree(run).items() if name in tree(out)}
    assert {**kept, "README.md": tree(out)["README.md"]} == tree(out)
    assert MODEL in kept
    written = [charlm.load(each).generate("co", seed=1, length=50) for each in (run, out)]
    assert written[0] == written[1]


def test_a_name_serves_as_a_run_also_when_the_hub_is_gone(
    run: Path, hub: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(run, "me/book")
    first = call("generate", "hf:me/book", "--seed", "2", "--length", "40")
    assert first.code == 0, first.err
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub_answers.cache_clear()
    assert charlm.load("hf:me/book").step == 20
    done = call("generate", "hf:me/other")
    assert done.code == 1
    assert "the Hub cannot be reached" in done.err[0]


def test_two_downloads_at_once_leave_one_run(
    run: Path, hub: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(run, "me/book", licence="cc0-1.0")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    both = threading.Barrier(2, timeout=60)

    def verified(folder: Path, name: str) -> tuple[int, ...]:
        both.wait()
        return (20,)

    monkeypatch.setattr("charlm.exchange.hub.verified_steps", verified)
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(local_run, ["hf:me/book"] * 2))
    assert folders[0] == folders[1]
    assert list(folders[0].parent.iterdir()) == [folders[0]]
    with ThreadPoolExecutor() as pool:
        pulls = [pool.submit(pull, "me/book", tmp_path / "out") for _ in range(2)]
    errors = [each.exception() for each in pulls if each.exception()]
    assert [type(error) for error in errors] == [CheckpointError]
    assert "exists already" in str(errors[0])


def test_what_is_no_run_or_damaged_is_refused(run: Path, hub: Repositories, tmp_path: Path) -> None:
    push(run, "me/book")
    out = tmp_path / "out"
    hub["me/pickled"] = {"pytorch_model.bin": b"x", "README.md": b"y"}
    with pytest.raises(ModelError, match=r"me/pickled on the Hub is no run of charlm"):
        pull("me/pickled", out)
    with pytest.raises(ModelError, match="the Hub has no me/nothing"):
        pull("me/nothing", out)
    whole = dict(hub["me/book"])
    changed = bytearray(whole[MODEL])
    changed[-1] ^= 1
    for damage in (bytes(changed), whole[MODEL][:-7]):
        hub["me/book"] = {**whole, MODEL: damage}
        with pytest.raises(CheckpointError, match="damaged"):
            pull("me/book", out)
    hub["me/book"] = {name: each for name, each in whole.items() if name != MODEL}
    with pytest.raises(CheckpointError, match="damaged"):
        pull("me/book", out)
    assert not out.exists()
    hub["me/book"] = {**whole, "evil.py": b"1/0", "tokenizer/more.pkl": b"x"}
    pull("me/book", out)
    assert not (out / "evil.py").exists()
    assert [each.name for each in (out / "tokenizer").iterdir()] == ["tokenizer.json"]
    with pytest.raises(CheckpointError, match="exists already"):
        pull("me/book", out)


@pytest.mark.parametrize("name", ["book", "a/b/c", "../x", "a/..", "me/a b", ""])
def test_other_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no name of a repository"):
        pull(name, tmp_path / "out")


def test_pushing_without_a_token_says_how(
    run: Path, hub: Repositories, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ModelError) as caught:
        push(run, "me/book")
    assert "HF_TOKEN" in caught.value.hint or "rights" in caught.value.hint


def test_a_damaged_run_is_not_pushed(run: Path, hub: Repositories, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for path in copy.glob("checkpoints/*/state.json"):
        path.write_text("{}")
    with pytest.raises(CheckpointError):
        push(copy, "me/book")
    assert hub == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_download_at_once_and_leaves_nothing(
    number: signal.Signals, run: Path, hub: Repositories, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    push(run, "me/book")
    answer, ended, late = Handler.answer, threading.Event(), list[bool]()

    def stalled(self: Handler, value: Any, status: int = 200, **headers: str) -> None:
        """Send the weights without their end, and a signal to who waits for it."""
        if self.command == "GET" and self.path.endswith("model.safetensors"):
            self.send_response(status)
            for name, each in {**headers, "Content-Length": str(len(value))}.items():
                self.send_header(name.replace("_", "-"), each)
            self.end_headers()
            self.wfile.write(value[: len(value) // 2])
            self.wfile.flush()
            os.kill(int(Path("../pid").read_text()), number)
            late.append(not ended.wait(60))
            self.close_connection = True
        else:
            answer(self, value, status, **headers)

    monkeypatch.setattr(Handler, "answer", stalled)
    code, said = charlm_command(
        "pull me/book --out book", lambda: Path("../pid").write_text(str(os.getpid()))
    )
    ended.set()
    assert not any(late)
    assert (code, said) == (128 + number, "interrupted\n")
    assert list(Path().iterdir()) == []


def test_what_a_killed_download_left_is_removed_by_the_next(
    run: Path, hub: Repositories, tmp_path: Path
) -> None:
    push(run, "me/book")
    (tmp_path / f"book{durable.TEMPORARY_MARK}99999999-0-0" / "tokenizer").mkdir(parents=True)
    pull("me/book", tmp_path / "book")
    assert [path.name for path in tmp_path.iterdir()] == ["book"]


def test_a_disk_that_takes_no_download_is_said_to_be_full_and_not_the_hub(
    run: Path, hub: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(run, "me/book")
    before = sorted(tmp_path.iterdir())

    def fail(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "sync_file", fail)
    with pytest.raises(CheckpointError, match="me/book is not stored: No space") as caught:
        pull("me/book", tmp_path / "book")
    assert "free some space" in caught.value.hint
    assert sorted(tmp_path.iterdir()) == before
