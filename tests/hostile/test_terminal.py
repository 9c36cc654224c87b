"""What a text, a name or a model holds never steers a terminal, and reaches a pipe as it is."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import sys
import termios
import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import charlm
from charlm.cli.main import main
from charlm.console.terminal import MOST_MARKS, TerminalStream, harmless, without_protection

torch.set_num_threads(1)
pytestmark = pytest.mark.timeout(240)

TITLE, REPORT = "\x1b]0;PWNED\x07", "\x1b[6n"
HIDDEN = "\u202e\u2066\ufeff\U000e0041\u2028"
STACK = "e" + "\u0301" * 40
HOSTILE = f"{TITLE}{REPORT}\x9b6n\x7f{HIDDEN}[red]x[/red][/y]{STACK}"
NAME = f"r{HOSTILE}".replace("/", "")
"""The name of a file, which may hold all but a slash."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a hostile name that was trained on hostile text, and files to use it on."""
    folder = tmp_path_factory.mktemp("hostile")
    text = folder / f"{NAME}.txt"
    text.write_text(f"{HOSTILE} the cat\n" * 40, encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        for out in (NAME, f"{NAME}2"):
            small = {"hidden_size": 4 + len(out) % 2, "batch_size": 2, "bptt": 8, "steps": 2}
            for _ in charlm.train(text, out=folder / out, device="cpu", **small):
                pass
    (folder / "short.txt").write_text(f"{HOSTILE} cat\n", encoding="utf-8", newline="")
    (folder / "pairs.tsv").write_text(f"{HOSTILE} cat\t{HOSTILE} tac\n", encoding="utf-8")
    (folder / "pairs.jsonl").write_text(
        json.dumps({"sentence_good": "the", "sentence_bad": "eht", "UID": HOSTILE}) + "\n"
    )
    (folder / "lists.txt").write_text(f"u{HOSTILE} -1.5 the {HOSTILE}\n", encoding="utf-8")
    (folder / "bad.txt").write_bytes(b"\xff" * 9)
    (folder / f"{NAME}.toml").write_text(f'[model]\n"{"a" * 9}" = 1\n')
    (folder / "table.csv").write_text(f"{HOSTILE},b\n1,2\n", encoding="utf-8")
    (folder / "broken.charlm").write_bytes(b"\x89charlm\nxxxxxxxxxxxx")
    return folder


def run_on(folder: Path, arguments: list[str], *, terminal: bool) -> bytes:
    """What a command writes to a terminal, or into a pipe, run in a child of this process."""
    theirs_out: int
    ours, theirs_out = pty.openpty() if terminal else os.pipe()
    child = os.fork()
    if child == 0:
        try:
            start_command(folder, arguments, theirs_out)
        finally:
            os._exit(0)
    os.close(theirs_out)
    shown = b""
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:  # how a terminal ends
            break
        if not block:
            break
        shown += block
    os.close(ours)
    os.waitpid(child, 0)
    return shown


def start_command(folder: Path, arguments: list[str], out: int) -> None:
    """Run a command with both outputs in the descriptor ``out``."""
    os.chdir(folder)
    if os.isatty(out):
        fcntl.ioctl(out, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.environ["TERM"] = "xterm-256color"
    for number in (1, 2):
        os.dup2(out, number)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), line_buffering=os.isatty(1))
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "wb", closefd=False), line_buffering=True)
    sys.argv = ["charlm", *arguments]
    try:
        main()
    except SystemExit:
        sys.stdout.flush()
        sys.stderr.flush()


RUN, TEXT = f"./{NAME}", f"./{NAME}.txt"
SHOWN = {
    "info": ["info", RUN],
    "info of two": ["info", RUN, f"{RUN}2"],
    "info as JSON": ["info", RUN, "--json"],
    "a text": ["generate", RUN, "-p", HOSTILE, "-n", "60", "--seed", "1", "-t", "2"],
    "two texts": ["generate", RUN, "-n", "30", "--samples", "2"],
    "a text as JSON": ["generate", RUN, "-p", HOSTILE, "-n", "20", "--seed", "1", "--json"],
    "surprisals": ["score", RUN, TEXT, "--by", "word", "--top", "3"],
    "surprisals of characters": ["score", RUN, "short.txt", "--by", "char", "--format", "tsv"],
    "surprisals as JSON": ["score", RUN, TEXT, "--by", "line", "--json"],
    "pairs": ["pairs", RUN, "pairs.jsonl"],
    "each pair": ["pairs", RUN, "pairs.tsv", "--each"],
    "a comparison": ["compare", RUN, f"{RUN}2", TEXT],
    "perplexity": ["perplexity", RUN, TEXT],
    "lists": ["rescore", RUN, "lists.txt"],
    "a training": ["train", TEXT, "--out", f"{RUN}3", "--steps", "2", "--hidden-size", "4",
                   "--batch-size", "2", "--bptt", "8"],
    "a run that is none": ["info", f"no{NAME}"],
    "a corpus that is none": ["corpora", "show", HOSTILE],
    "a command that is none": [HOSTILE],
    "an option that is none": ["info", f"--{HOSTILE}"],
    "a choice that is none": ["train", TEXT, "--tokenizer", HOSTILE],
    "a setting that is none": ["train", TEXT, "--set", f"model.{HOSTILE}=1"],
    "a value that is none": ["train", TEXT, "--set", f"model.hidden_size={HOSTILE}"],
    "a file of settings": ["train", TEXT, "--config", f"{NAME}.toml"],
    "a table": ["train", "table.csv", "--out", "x"],
    "no text": ["perplexity", RUN, "bad.txt"],
    "a trace": ["info", f"no{NAME}", "--debug"],
    "no compressed file": ["decompress", "broken.charlm", "--out", "-"],
    "an output": ["compress", RUN, TEXT, "--out", f"no{NAME}/x"],
}  # fmt: skip

STYLE = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A|[0-9]*A)")
"""What rich and click send to style text and to draw a bar."""


def attacks(shown: str) -> set[str]:
    """What in ``shown`` would steer a terminal, or is not to be seen on it."""
    plain = STYLE.sub("", shown).replace("\r", "")
    found = {char for char in plain if ord(char) < 32 and char not in "\n\t"}
    found |= {char for char in plain if "\x7f" <= char < "\xa0" or char in HIDDEN}
    marks = re.findall("[\u0300-\u036f]+", plain)
    return found | {mark for mark in marks if len(mark) > MOST_MARKS}


UNNAMED = {"no text", "no compressed file", "two texts", "pairs", "surprisals of characters"}
"""Commands that show neither the name of the run nor the title."""


@pytest.mark.parametrize("name", SHOWN)
def test_no_command_lets_a_terminal_be_steered(name: str, folder: Path) -> None:
    shown = run_on(folder, SHOWN[name], terminal=True).decode("utf-8")
    assert len(shown) > 20
    assert not attacks(shown), shown
    if name not in UNNAMED:
        # Nothing is left out in silence, and markup of rich is shown as it stands.
        assert "PWNED" in shown or "aaaaaaaaa" in shown, shown
    assert "should not have happened" not in shown


RAW = ["a text", "surprisals of characters", "lists", "a trace"]


@pytest.mark.parametrize("name", RAW)
def test_a_pipe_gets_the_bytes_as_they_are(name: str, folder: Path) -> None:
    shown = run_on(folder, SHOWN[name], terminal=False).decode("utf-8")
    assert {"\x1b", "\x07", "\x9b", "\x7f", *HIDDEN} <= attacks(shown)
    if name != "surprisals of characters":
        assert HOSTILE in shown.replace("\\u2028", "\u2028") or name == "a trace"


@pytest.mark.parametrize("name", ["a text as JSON", "surprisals as JSON", "info as JSON"])
def test_json_on_a_terminal_is_the_json_of_a_pipe(name: str, folder: Path) -> None:
    on_terminal, in_pipe = (
        [json.loads(line) for line in run_on(folder, SHOWN[name], terminal=kind).splitlines()
         if line.startswith(b"{")]
        for kind in (True, False)
    )  # fmt: skip
    assert on_terminal == in_pipe != []


CHARACTERS = st.text(
    st.characters() | st.sampled_from("\x1b\x07\x9b\u202e\u2066\ufeff\U000e0041\u0301\u20dd\r\n\t")
)


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(CHARACTERS, max_size=6))
def test_a_stream_that_is_written_in_parts_shows_what_it_shows_at_once(parts: list[str]) -> None:
    screen, whole = io.StringIO(), io.StringIO()
    stream = TerminalStream(screen)
    stream.writelines(parts)
    TerminalStream(whole).write("".join(parts))
    shown = screen.getvalue()
    assert shown == whole.getvalue() == harmless("".join(parts).replace("\r", ""), kept="\n\t")
    assert harmless(shown, kept="\n\t") == shown  # nothing is left to replace
    assert not {char for char in shown if unicodedata.category(char) in ("Cc", "Cs")} - {"\n", "\t"}
    assert not attacks(shown)


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\u0301\u200d")))
@settings(max_examples=200, deadline=None, database=None)
def test_text_of_any_script_stays_as_it_is(text: str) -> None:
    if "\u0301" * (MOST_MARKS + 1) not in text:
        assert harmless(text) == text


@pytest.mark.parametrize(
    "text", ["مرحبًا‏ عالم", "नमस्ते", "👩‍👩‍👧 ❤️", "Tiếng Việt", "שָׁלוֹם", "བསྒྲུབས", "é̈ ñ", "ﷺ"]
)
def test_scripts_that_stack_marks_stay_readable(text: str) -> None:
    assert harmless(text) == text


def test_bytes_for_a_terminal_are_shown_as_text() -> None:
    screen = io.StringIO()
    stream = TerminalStream(screen)
    assert stream.buffer.write(b"a\x1b[6n\xff\xc3\xa9") == 8
    stream.buffer.flush()
    assert screen.getvalue() == "a␛[6n\ufffdé"
    assert without_protection(stream) is screen
