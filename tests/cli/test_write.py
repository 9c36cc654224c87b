"""``charlm write``: whole sessions in real terminals, and what it refuses."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import ONE_THREAD, call

pytestmark = pytest.mark.timeout(240)
PATIENCE = 60


class Terminal:
    """A terminal of tmux in which a shell runs."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        self.tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        size = ["-x", str(columns), "-y", str(rows)]
        environment = os.environ | ONE_THREAD | {"PS1": "$ ", "LC_ALL": "C.UTF-8"}
        subprocess.run(
            [*self.tmux, "-u", "new-session", "-d", *size, "bash --norc --noprofile"],
            check=True, env=environment, timeout=PATIENCE,
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.tmux, *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    def type(self, text: str) -> None:
        self.run("send-keys", "-l", text)

    def screen(self, *options: str) -> list[str]:
        return self.run("capture-pane", "-p", *options).split("\n")[:-1]

    def wait(self, condition: Callable[[list[str]], object]) -> list[str]:
        """The first screen of which ``condition`` holds."""
        end = time.monotonic() + PATIENCE
        while not condition(screen := self.screen()):
            assert time.monotonic() < end, "\n".join(screen)
            time.sleep(0.05)
        return screen

    def wait_for(self, text: str) -> list[str]:
        return self.wait(lambda screen: text in "\n".join(screen))

    def settled(self, text: str) -> list[str]:
        """The first screen with ``text`` on which the model does not write any more."""
        return self.wait(
            lambda screen: text in (shown := "\n".join(screen)) and "writing" not in shown
        )

    def still(self) -> list[str]:
        """A screen that has not changed for half a second: lists are computed after the keys."""
        while True:
            before = self.screen()
            time.sleep(0.5)
            if self.screen() == before:
                return before

    def resize(self, columns: int, rows: int) -> None:
        self.run("resize-window", "-x", str(columns), "-y", str(rows))

    def write(self, *arguments: object) -> None:
        """Begin ``charlm write``."""
        command = shlex.join([sys.executable, "-m", "charlm", "write", *map(str, arguments)])
        self.type(f"clear; {command}; echo code $?")
        self.keys("Enter")
        self.wait_for("F1 help")


@contextmanager
def terminal(folder: Path, columns: int, rows: int) -> Iterator[Terminal]:
    opened = Terminal(folder, columns, rows)
    try:
        yield opened
    finally:
        subprocess.run([*opened.tmux, "kill-server"], check=False, timeout=PATIENCE)


def test_a_whole_session_at_80_by_24(run: Path, own_folder: Path) -> None:
    with terminal(own_folder, 80, 24) as shown:
        shown.write("run", "--seed", "1", "--prompt", "ba ")
        screen = shown.wait_for("likeliest words")
        assert screen[0].startswith("ba ")
        assert "run.txt* · temperature 0.8 · seed 1 · 3 characters" in screen[21]
        shown.type("co?")  # a question mark is written, and no call for help
        shown.wait_for("the model has never seen '?'")
        shown.keys("BSpace")
        shown.type(".")
        shown.wait_for("6 characters")
        shown.keys("Tab")
        word = shown.settled("seed 2")[0][:54].rstrip()
        assert word.startswith("ba co.")
        assert len(word) > 6
        shown.keys("C-r")
        anew = shown.settled("seed 3")[0][:54].rstrip()
        assert anew != word
        shown.keys("C-z")
        shown.wait(lambda each: each[0][:54].rstrip() == word)
        shown.keys("C-y")
        shown.wait(lambda each: each[0][:54].rstrip() == anew)
        shown.keys("C-z", "C-z")
        shown.wait_for("6 characters")
        shown.keys("C-n")
        shown.wait_for("likeliest characters")
        likeliest = shown.still()
        found = re.search(r"│ +[\d.]+% +(\S)", likeliest[2])
        assert found is not None
        shown.keys("Down", "Right")
        chosen = shown.wait_for("7 characters")
        assert chosen[0].startswith(f"ba co.{found[1]}".replace("␣", " ").rstrip())
        shown.keys("C-t")
        shown.wait_for("settings: temperature=0.8")
        shown.keys("Up", "Up")
        shown.type(" top_q=5")
        shown.keys("Enter")
        shown.wait_for("unknown")
        shown.keys(*["BSpace"] * 3)
        shown.type("k=5")
        shown.keys("Enter")
        shown.wait_for("temperature 1 ·")
        shown.keys("F1")
        shown.wait_for("any other key: back to the text")
        shown.keys("Escape")
        shown.wait_for("temperature 1 ·")
        shown.resize(40, 12)
        small = shown.wait(lambda each: len(each) == 12 and "F1 help" in each[10])
        assert "%" in small[6]
        shown.resize(15, 5)
        shown.wait(lambda each: len(each) == 5 and "F1 help" not in "\n".join(each))
        shown.resize(80, 24)
        shown.wait_for("likeliest characters")
        shown.keys("C-s")
        shown.wait_for("saved run.txt")
        saved = Path("run.txt").read_text(encoding="utf-8")
        assert saved.startswith("ba co.")
        assert len(saved) == 7
        shown.type("ne")
        shown.keys("C-c")
        shown.wait_for("code 130")
    assert Path("run.txt").read_text(encoding="utf-8") == saved + "ne"


def test_a_session_at_40_by_12_and_a_terminal_that_goes_away(run: Path, own_folder: Path) -> None:
    Path("text.txt").write_text("ba\n", encoding="utf-8")
    with terminal(own_folder, 40, 12) as shown:
        shown.write("run", "--seed", "1", "-o", "text.txt", "--continue")
        screen = shown.wait(lambda each: "%" in each[6])
        assert [screen[0].rstrip(), screen[9][:8]] == ["ba", "text.txt"]
        assert all(len(line) <= 40 for line in screen)
        shown.keys("C-p")  # a model this small may write for long; the next key breaks it off
        shown.wait(lambda each: each[1].strip())
        shown.keys("Escape")
        shown.wait(lambda each: "writing" not in each[9])
        shown.keys("C-z")
        shown.wait(lambda each: not each[1].strip())
        shown.type("co")
        shown.wait(lambda each: each[1].startswith("co"))
        assert Path("text.txt").read_text(encoding="utf-8") == "ba\n"
    end = time.monotonic() + PATIENCE
    while Path("text.txt").read_text(encoding="utf-8") != "ba\nco":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_session_of_n_grams_ends_with_its_text_at_sigterm(
    trained: Callable[[str], Path], book: Path, own_folder: Path
) -> None:
    assert call("train", book, "--out", "counts", "--model", "ngram").code == 0
    with terminal(own_folder, 60, 12) as shown:
        shown.write("counts", "--seed", "1")
        shown.keys("Tab", "Tab")
        shown.settled("seed 3")
        text = shown.screen()[0][:33].rstrip()
        shell = int(shown.run("display-message", "-p", "#{pane_pid}"))
        children = Path(f"/proc/{shell}/task/{shell}/children")
        if not children.exists():
            pytest.skip("this system does not list the children of a process")
        os.kill(int(children.read_text().split()[0]), signal.SIGTERM)
        shown.wait_for("code 143")
    assert text
    assert Path("counts.txt").read_text(encoding="utf-8").startswith(text)


def test_a_pipe_and_wrong_files_are_refused_in_two_lines(run: Path) -> None:
    done = call("write", "run")
    assert done.code == 2
    assert done.err == [
        "error: a writing session needs a terminal, and stdin is none",
        "  try: run it in a terminal, or let the model write alone: charlm generate RUN",
    ]


def test_the_index_that_keeps_from_copying_is_drawn_before_the_screen_opens(
    monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    pytest.importorskip("prompt_toolkit", reason="the extra write is not installed")
    from charlm.console import novelty
    from charlm.console.writing import conversation, readiness
    from charlm.data.suffixes.index import SuffixIndex

    done, draw = [], novelty.show_indexing
    monkeypatch.setattr(readiness, "check_terminal", lambda: None)
    monkeypatch.setattr(novelty, "show_indexing", lambda each: done.append(draw(each)))
    monkeypatch.setattr(conversation, "write_together", lambda *_: done.append("screen"))
    for option, drawn in (("", []), ("--max-copy 9", [SuffixIndex])):
        done.clear()
        assert call("write", run, *option.split()).code == 0
        assert [*map(type, done)] == [*drawn, str]


def test_a_small_terminal_is_refused(monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
    from charlm.console.writing.readiness import check_terminal
    from charlm.errors import CharlmError, ConfigError

    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for columns, rows in ((19, 24), (80, 5)):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(rows))
        with pytest.raises(ConfigError, match=f"has {columns} columns and {rows} rows"):
            check_terminal()
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "80")
    check_terminal()
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(ConfigError, match="TERM"):
        check_terminal()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CharlmError, match="prompt_toolkit") as missing:
        check_terminal()
    assert missing.value.hint == "pip install -c constraints.txt -e '.[write]'"
