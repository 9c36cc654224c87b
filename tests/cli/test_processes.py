"""The program among other processes: pipes that close, terminals, locks, environments."""

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from charlm.console.samples import show_samples
from charlm.console.streams import talk
from charlm.console.terminal import TerminalStream
from charlm.inference.generation.pieces import Finish, Sample, Written
from tests.cli.conftest import ONE_THREAD, SMALL, call, start

pytestmark = pytest.mark.timeout(120)
PATIENCE = 60
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash in which ``charlm`` is the program."""
    line = f"set -o pipefail; charlm() {{ '{sys.executable}' -m charlm \"$@\"; }}; {command}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=False,
        env=os.environ | ONE_THREAD | environment,
    )  # fmt: skip


def test_text_is_utf_8_in_pipes_and_a_reader_that_goes_away_is_no_error(run: Path) -> None:
    Path("long.txt").write_text("mé co. lo\n" * 3000, encoding="utf-8")
    done = shell(
        "charlm score run long.txt | head -n 2", LC_ALL="C", PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert done.stderr == ""
    header, row = done.stdout.splitlines()
    assert header.startswith("index\t")
    assert row.split("\t")[2] == "mé "
    assert done.returncode == 141


def test_a_command_ends_quietly_with_141_where_nobody_reads_its_output(run: Path) -> None:
    # Of more than a pipe holds, and of what is written at the end only.
    for command in ("generate run -n 20000 --seed 1", "info run", "generate -h"):
        done = shell(f"charlm {command} | true")
        assert (done.returncode, done.stderr) == (141, ""), command


def test_a_damaged_best_checkpoint_is_a_note_of_one_line(run: Path) -> None:
    assert call("train", "--out", run, "--steps", "30").code == 0
    best = json.loads((run / "best.json").read_text())["step"]
    (run / "checkpoints" / f"step-{best:08}" / "model.safetensors").write_bytes(b"damaged")
    done = shell("charlm generate run -n 5 --seed 1")
    assert (done.returncode, len(done.stdout.strip("\n"))) == (0, 5)
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(
        rf"note {{8}}.*damaged.*; step \d+ is used instead of the best, {best}", line
    )


def test_a_run_that_another_process_trains_is_in_use(book: Path) -> None:
    command = ("train", book, "--out", "run", "--hidden-size", "16", "--minutes", "5")
    other = start(*command)
    try:
        end = time.monotonic() + PATIENCE
        while not Path("run/log.jsonl").exists() and time.monotonic() < end:
            time.sleep(0.02)
        done = call(*command)
        assert done.code == 1
        assert done.err[-2:] == [
            "error: run is in use: another process trains it",
            "  try: wait for it to end, or choose another --out FOLDER",
        ]
    finally:
        other.kill()
        other.communicate(timeout=PATIENCE)
    # The lock went with the process.
    assert call(*command[:-2], "--steps", "1").code == 0


class Terminal:
    """A terminal of 80 columns that one command runs in."""

    def __init__(self, *arguments: object, environment: dict[str, str] | None = None) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        hidden = ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "charlm", *map(str, arguments)],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=kept | ONE_THREAD | {"TERM": "xterm-256color"} | (environment or {}),
        )  # fmt: skip
        os.close(theirs)

    def read(self, code: int = 0) -> str:
        """All it shows until it ends with an exit ``code``."""
        shown, end = b"", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self.ours], [], [], 1)[0]:
                try:
                    shown += os.read(self.ours, 1 << 16)
                except OSError:  # how Linux says that the other side is closed
                    break
        assert self.process.wait(PATIENCE) == code
        os.close(self.ours)
        return shown.decode()


def test_training_on_a_terminal_shows_one_line_that_fits(book: Path) -> None:
    shown = Terminal("train", book, "--out", "run", *SMALL[:-1], "150").read()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0  # the cursor is back
    lines = [CONTROL.sub("", line) for line in re.split(r"[\r\n]+", shown)]
    assert max(map(len, lines)) <= 80
    live = [line for line in lines if line.startswith("training ")]
    assert any(" bpc " in line and line.rstrip().endswith(" left") for line in live)
    assert not any("…" in line for line in live)
    assert any(line.startswith(" " * 12) for line in lines)  # a sample
    assert lines[-2].strip() == "charlm perplexity run FILE"


class Screen(io.StringIO):
    """Something that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_generating_on_a_terminal_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", TerminalStream(screen))

    def pieces() -> Generator[list[Written], None, Finish]:
        yield from ([Written(text, -1.0)] for text in ("c", "d\r\n"))
        return "length"

    show_samples([Sample("ba\x1b[2J", 1, pieces())], as_json=False)
    assert screen.getvalue() == "ba␛[2Jcd\n\n"


def test_texts_of_a_beam_have_no_seed_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", TerminalStream(screen))

    def pieces(text: str) -> Generator[list[Written], None, Finish]:
        yield [Written(text, -1.0)]
        return "length"

    show_samples([Sample("ba", None, pieces(text)) for text in ("c", "d")], as_json=False)
    first, text, second, other = screen.getvalue().split("\n")[:4]
    assert first.startswith("── beam ─")
    assert (text, second, other) == ("bac", first, "bad")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_switches_styling_off(no_color: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    talk().print("loss", style="bold red")
    assert ("\x1b[" in screen.getvalue()) == (no_color == "")


@pytest.mark.parametrize(
    ("name", "value", "styled"),
    [("TERM", "xterm-256color", True), ("TERM", "dumb", False), ("NO_COLOR", "1", False)],
)
def test_an_error_has_colour_only_on_a_terminal_that_shows_it(
    name: str, value: str, styled: bool
) -> None:
    shown = Terminal("corpora", "show", "nosuch", environment={name: value}).read(code=1)
    assert "there is no corpus called nosuch" in shown
    assert ("\x1b[" in shown) == styled


def test_an_error_has_no_colour_in_a_pipe() -> None:
    done = shell("charlm corpora show nosuch")
    assert done.stderr.splitlines()[0] == "error: there is no corpus called nosuch"
