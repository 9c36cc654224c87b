"""The program among other processes: pipes that close, terminals, locks, environments."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, call, start

pytestmark = pytest.mark.timeout(120)
PATIENCE = 60
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash in which ``charlm`` is the program."""
    line = f"set -o pipefail; charlm() {{ '{sys.executable}' -m charlm \"$@\"; }}; {command}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def test_a_reader_that_goes_away_is_no_error(run: Path, own_folder: Path) -> None:
    Path("long.txt").write_text("ba co. lo\n" * 3000)
    done = shell("charlm score run long.txt --by char | head -n 2")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


def test_text_is_utf_8_in_pipes_whatever_the_locale(run: Path) -> None:
    done = shell(
        "printf mé | charlm generate run --prompt - --length 0 | od -An -tx1",
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert done.stdout.split() == ["6d", "c3", "a9"]


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
            "  try: wait for it to end, or choose another --out",
        ]
    finally:
        other.kill()
        other.communicate(timeout=PATIENCE)
    # The lock went with the process.
    assert call(*command[:-2], "--steps", "1").code == 0


class Terminal:
    """A terminal of 80 columns that one command runs in."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        hidden = ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "charlm", *map(str, arguments)],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=kept | {"TERM": "xterm-256color"} | environment,
        )  # fmt: skip
        os.close(theirs)

    def read(self) -> str:
        """All it shows until it ends."""
        shown, end = b"", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self.ours], [], [], 1)[0]:
                try:
                    shown += os.read(self.ours, 1 << 16)
                except OSError:  # how Linux says that the other side is closed
                    break
        assert self.process.wait(PATIENCE) == 0
        os.close(self.ours)
        return shown.decode()


@pytest.mark.parametrize("no_color", ["", "1"])
def test_training_on_a_terminal_shows_one_line_that_fits(book: Path, no_color: str) -> None:
    shown = Terminal("train", book, "--out", "run", *SMALL[:-1], "150", NO_COLOR=no_color).read()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0  # the cursor is back
    lines = [CONTROL.sub("", line) for line in re.split(r"[\r\n]+", shown)]
    assert max(map(len, lines)) <= 80
    live = [line for line in lines if line.startswith("training ")]
    assert any(" bpc " in line and line.rstrip().endswith(" left") for line in live)
    assert not any("…" in line for line in live)
    assert any(line.startswith(" " * 12) for line in lines)  # a sample
    assert ("\x1b[2m" in shown) == (no_color == "")
    assert lines[-2].strip() == "charlm perplexity run FILE"


def test_generating_on_a_terminal_ends_its_line(run: Path) -> None:
    shown = Terminal("generate", run, "--prompt", "ba\x1b[2J", "--length", "0",
                     "--replace-unknown", "").read()  # fmt: skip
    assert shown == "ba\r\n"


def test_an_error_is_coloured_on_a_terminal_only(own_folder: Path) -> None:
    done = shell("charlm info nowhere")
    assert done.stderr.splitlines()[0] == "error: nowhere does not exist"
    assert "\x1b" not in done.stderr
