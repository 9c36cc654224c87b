"""Signals: training saves and says how to go on, everything else ends at once and quietly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charlm.cli import signals
from charlm.cli.signals import CAUGHT, Interrupted, StopFlag, handling, stopping
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from tests.cli.conftest import ONE_THREAD, call, start, tree

pytestmark = pytest.mark.timeout(120)
PATIENCE = 60
LONG = ("--hidden-size", "16", "--batch-size", "4", "--bptt", "16", "--minutes", "0.08")


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until a process has made something; a log has its first line after some steps."""

    def there() -> bool:
        return path.exists() and (path.is_dir() or path.stat().st_size > 0)

    end = time.monotonic() + PATIENCE
    while not there() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert there(), process.communicate(timeout=PATIENCE)


def test_training_that_is_interrupted_saves_and_the_same_command_finishes_it(book: Path) -> None:
    command = ("train", book, "--out", "run", *LONG)
    process = start(*command)
    wait_for(Path("run/log.jsonl"), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    lines = err.splitlines()
    assert lines[-3].startswith("stopped     at step ")
    assert lines[-2:] == ["saved in    run", "resume      charlm train --out run"]
    stopped_at = json.loads(call("info", "run", "--json").out)["step"]
    assert stopped_at > 0
    records = [json.loads(line) for line in call(*command, "--json").out.splitlines()]
    started = next(record for record in records if record["type"] == "started")
    assert (started["resumed"], started["step"]) == (True, stopped_at)
    assert records[-1]["finished"]
    assert records[-1]["step"] > stopped_at
    assert records[-1]["seconds"] == pytest.approx(0.08 * 60, rel=0.5)


def test_an_ignored_hang_up_stays_ignored_and_termination_saves(book: Path) -> None:
    process = start(
        "train", book, "--out", "run", *LONG,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # as nohup does
    )  # fmt: skip
    wait_for(Path("run/log.jsonl"), process)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, err
    assert "(SIGTERM)" in err
    assert json.loads(call("info", "run", "--json").out)["step"] > 0


def test_tokenizing_that_is_interrupted_leaves_nothing(own_folder: Path) -> None:
    os.mkfifo("endless")
    spool = Path(os.environ["CHARLM_CACHE"]) / "spool"
    before = tree(Path())
    process = start("train", "endless", "--out", "run")
    with Path("endless").open("wb") as pipe:  # opens once the other side reads
        pipe.write(b"some text\n" * 100)
        pipe.flush()
        wait_for(spool, process)
        time.sleep(0.3)  # until it waits for more text
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.splitlines()) == (130, ["interrupted"])
    assert tree(Path()) == before
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "owner", "name"),
    [
        (("generate", "run", "--prompt", "ba", "--seed", "1"), Decoder, "advance"),
        (("generate", "run", "--prompt", "ba", "--seed", "1"), CompiledDecoder, "sample"),
        (("perplexity", "run", "longer.txt"), Recurrent, "nll"),
        (("score", "run", "long.txt"), Recurrent, "forward"),
    ],
)
def test_everything_else_ends_at_once(
    command: tuple[str, ...], owner: type, name: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("long.txt").write_text("ba co. lo\n" * 2000)
    Path("longer.txt").write_text("ba co. lo\n" * 5000)
    work, calls = getattr(owner, name), []
    if owner is Decoder:
        monkeypatch.setattr(native, "kernels", lambda *_: None)
    elif owner is CompiledDecoder and native.kernels() is None:
        pytest.skip(f"the native decoder is not there: {native.status()}")

    def interrupted_work(self: object, *given: object) -> object:
        calls.append(given)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return work(self, *given)

    monkeypatch.setattr(owner, name, interrupted_work)
    done = call(*command)
    assert (done.code, done.err, len(calls)) == (130, ["interrupted"], 3)
    assert done.out.startswith("ba") == (command[0] == "generate")


def raised(flag: StopFlag, number: int) -> bool:
    """Whether a signal ends the program, with its exit code."""
    try:
        flag.receive(number, None)
    except Interrupted as error:
        return error.code == 128 + number
    return False


def test_signals_are_only_noted_from_the_first_record_of_a_kind_to_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "SAME_SIGNAL", -1.0)
    flag = StopFlag()
    assert raised(flag, signal.SIGINT)
    records = flag.from_first(int, (record for record in ["reading", 1, "more"]))
    assert next(records) == "reading"
    assert raised(flag, signal.SIGTERM)
    assert (flag(), flag.code) == (None, 0)
    assert next(records) == 1
    assert not raised(flag, signal.SIGTERM)
    assert (flag(), flag.code) == ("SIGTERM", 143)
    assert list(records) == ["more"]
    assert raised(flag, signal.SIGINT)


def test_a_second_signal_ends_it_at_once_but_not_an_echo_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    flag = StopFlag()
    flag.gentle = True
    assert not raised(flag, signal.SIGINT)
    now[0] += 0.1
    assert not raised(flag, signal.SIGTERM)
    assert flag() == "SIGINT"
    now[0] += 2
    assert raised(flag, signal.SIGINT)


def test_an_echo_does_not_break_off_what_a_signal_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    flag = StopFlag()
    assert raised(flag, signal.SIGINT)
    now[0] += 0.1
    assert not raised(flag, signal.SIGTERM)
    now[0] += 2
    assert raised(flag, signal.SIGTERM)


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in CAUGHT]
    with handling(StopFlag().receive), stopping():
        assert [signal.getsignal(number) for number in CAUGHT] != before
    assert [signal.getsignal(number) for number in CAUGHT] == before


def test_training_saves_when_its_json_is_read_no_more(book: Path) -> None:
    process = start("train", book, "--out", "run", *LONG, "--json")
    assert process.stdout is not None
    while '"stepped"' not in process.stdout.readline():
        pass
    process.stdout.close()
    process.stdout = None  # it is not to be read any more
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.splitlines() == [
        "error: standard output: Broken pipe; training ended",
        "  try: charlm train --out run",
    ]
    assert json.loads(call("info", "run", "--json").out)["step"] > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_training_goes_on_when_its_messages_cannot_be_written(book: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "charlm", "train", str(book), "--out", "run", *LONG[:6],
             "--steps", "30"],
            stdout=full, stderr=full, timeout=PATIENCE, check=False, env=os.environ | ONE_THREAD,
        )  # fmt: skip
    assert process.returncode == 0
    assert json.loads(call("info", "run", "--json").out)["step"] == 30
