"""The program as a whole: help, errors, options that every command has, shell completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import charlm.console.machine
from charlm.cli import renamed
from charlm.cli.failures import in_two_lines, presentable, remedy
from charlm.cli.frame import Command, option
from charlm.cli.main import COMMANDS, SECTIONS, cli
from charlm.cli.translation import translate
from tests.cli.conftest import call

HEAVY = {"torch", "datasets", "sentencepiece", "numpy", "rich"}
NAMES = [(name,) for name in COMMANDS] + [("corpora", each) for each in ("list", "fetch", "make")]


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize("names", [(), COMMANDS], ids=["charlm", "commands"])
def test_help_loads_nothing_heavy(names: tuple[str, ...]) -> None:
    shown = python(
        "import sys\nfrom charlm.cli.main import cli\n"
        f"for name in {names!r} or [None]:\n"
        "    cli(filter(None, [name, '--help']), standalone_mode=False)\n"
        "print(*sys.modules)"
    )
    assert not HEAVY & set(shown.splitlines()[-1].split())


def test_a_warning_is_one_line() -> None:
    code = (
        "import sys, warnings\nfrom charlm.cli import main\n"
        "main.cli.callback = lambda: warnings.warn('something is slow')\n"
        "main.Commands.no_args_is_help, main.cli.invoke_without_command = False, True\n"
        "main.cli.no_args_is_help = False\nsys.argv = ['charlm']\nsys.stderr = sys.stdout\n"
        "main.main()"
    )
    assert python(code) == "warning: something is slow\n"


def test_python_m_charlm_is_charlm() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "charlm", "--version"], capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.stdout == call("--version").out


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_help_is_complete_and_fits_eighty_columns(name: tuple[str, ...]) -> None:
    lines = call(*name, "-h").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith("...") for line in lines[1:])
    assert any("--debug" in line for line in lines)


def test_every_command_stands_in_its_section_of_the_help() -> None:
    lines = call("--help").out.splitlines()
    shown: dict[str, list[str]] = {}
    title = ""
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            title = line.rstrip(":")
        elif line.startswith("  ") and title in SECTIONS and line.split()[0] in COMMANDS:
            shown.setdefault(title, []).append(line.split()[0])
    assert shown == {title: list(names) for title, names in SECTIONS.items()}
    assert not any(line.endswith("...") for line in lines[1:])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sample", "charlm generate"),
        ("sampel", "charlm generate"),
        ("trian", "charlm train"),
        ("ppl", "charlm perplexity"),
        ("versoin", "charlm --version"),
        ("serve", "charlm --help"),
        ("completoin", "charlm completion"),
    ],
)
def test_an_unknown_command_is_answered_with_what_was_meant(typed: str, meant: str) -> None:
    done = call(typed)
    assert (done.code, done.err) == (2, [f"error: unknown command {typed}", f"  try: {meant}"])


def test_what_other_programs_call_a_command_leads_to_one_that_exists() -> None:
    for meant in renamed.COMMANDS.values():
        assert meant.split()[0] in (*COMMANDS, "--help", "--version")
    assert all(command in COMMANDS for command, _ in renamed.OPTIONS)


def test_an_option_with_a_new_name_is_refused_with_that_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(renamed.OPTIONS, ("doctor", "--old"), "--json")
    done = call("doctor", "--old")
    assert (done.code, done.err) == (
        2,
        ["error: --old is now --json", "  try: charlm doctor --json"],
    )


def test_options_stand_under_their_headings_and_the_common_ones_last() -> None:
    @click.command("heat", cls=Command)
    @option("--high", help="A.", heading="Degrees")
    @click.option("--step", help="B.")
    @click.option("--plain", help="C.")
    def command(**_: object) -> None:
        """Heat."""

    context = click.Context(command, help_option_names=["-h", "--help"])
    lines = [line.split()[0] for line in command.get_help(context).splitlines() if line.strip()]
    assert lines[2:] == ["Options:", "--plain", "Degrees:", "--high", "General:", "--step", "-h,"]


def test_every_option_says_what_it_does() -> None:
    ctx = click.Context(cli)
    commands = [cli.get_command(ctx, name) for name in COMMANDS]
    commands += [each for group in commands for each in getattr(group, "commands", {}).values()]
    for command in commands:
        assert command is not None
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [each.name for each in options if not each.help] == []


def test_debug_shows_the_trace_wherever_it_stands() -> None:
    plain = call("corpora", "show", "nosuch").err
    assert len(plain) == 2
    for command in (
        ("--debug", "corpora", "show", "nosuch"),
        ("corpora", "--debug", "show", "nosuch"),
        ("corpora", "show", "--debug", "nosuch"),
        ("corpora", "show", "nosuch", "--debug"),
    ):
        err = call(*command).err
        assert err[0].startswith("Traceback")
        assert err[-2:] == plain
    assert call("corpora", "show", "nosuch").err == plain


def test_what_was_not_foreseen_ends_in_two_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(about: object, *, as_json: bool) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(charlm.console.machine, "show_machine", surprise)
    done = call("doctor")
    assert done.code == 1
    assert done.err == [
        "error: this should not have happened: ZeroDivisionError: a b",
        "  try: run it again with --debug and report what it prints",
    ]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "the memory is used up"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "the memory"),
        (OSError(28, "No space left on device", "/disk/file"), "/disk/file: No space left"),
    ],
)
def test_trouble_of_the_machine_is_named(error: Exception, cause: str) -> None:
    assert in_two_lines(error, click.Context(cli))[0].startswith(cause)


def test_a_remedy_reads_well_after_try() -> None:
    assert remedy("did you mean model.cell?") == "model.cell"
    assert remedy("try --steps 3") == "--steps 3"
    assert remedy("known: a, b") == "a, b"
    assert remedy("check the path") == "check the path"


TRANSLATED = [
    ("generate", "`top_k` must be 0 or more, got -1", "--top-k must be 0 or more, got -1"),
    ("generate", "leave `precision` out", "leave --precision out"),
    ("generate", "`generation.temperature` is wrong", "--temperature is wrong"),
    ("generate", "give `replace_unknown='a b'`", "give --replace-unknown 'a b'"),
    ("generate", "name another `run`", "name another RUN"),
    ("pairs", "`temperature` does nothing", "temperature does nothing"),
    ("pairs", "give `temperature=1`", "give temperature=1"),
    ("perplexity", "add `curve=True`", "add --curve"),
    ("perplexity", "give `reset='line'` or a `source`", "give --reset line or a source"),
    ("perplexity", "name `sources`", "name SOURCE"),
    ("pairs", "give `weight=0.5`", "give --mix-weight 0.5"),
    ("train", "`training.minutes` must be more than 0", "training.minutes must be more than 0"),
    ("train", "give `training.steps=100`", "give --steps 100"),
    ("train", "give `steps=100`", "give --steps 100"),
    ("train", "give `data.split=[90, 10]`", "give --split 90,10"),
    ("train", "give `training.momentum=0.9`", "give --set training.momentum=0.9"),
    ("train", "give `data.valid=FILE`", "give --valid FILE"),
    ("train", "a file `Odd` or ``", "a file `Odd` or ``"),
]


@pytest.mark.parametrize(("name", "written", "shown"), TRANSLATED)
def test_names_of_settings_are_shown_as_the_options_of_the_running_command(
    name: str, written: str, shown: str
) -> None:
    assert translate(written, cli.get_command(click.Context(cli), name)) == shown


def test_without_a_command_names_of_settings_lose_their_quotes() -> None:
    assert translate("give `steps=100`, not `minutes`", None) == "give steps=100, not minutes"


def test_an_error_is_one_line_that_neither_steers_the_terminal_nor_fills_it() -> None:
    assert presentable("a\x1b[2J\nb\u202ec\x9b") == "a\u241b[2J b\ufffdc\ufffd"
    text = "begin " + "word " * 10_000 + "end"
    assert len(presentable(text)) < 500
    assert presentable(text).startswith("begin word")
    assert presentable(text).endswith("word end")
    assert presentable("x" * 400) == "x" * 400


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash in which $P stands for the program."""
    return subprocess.run(
        ["bash", "-c", line], env=os.environ | {"P": f"{sys.executable} -m charlm"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_command_that_needs_a_closed_stream_says_so(run: Path) -> None:
    for line, name in (
        ("$P generate run -n 5 --seed 1 >&-", "output"),
        ("$P info run --json >&-", "output"),
        ("$P perplexity run - <&-", "input"),
        ("$P generate run --seed 1 --prompt - <&-", "input"),
    ):
        done = shell(line)
        assert (done.returncode, done.stderr.splitlines()[0]) == (
            1,
            f"error: standard {name} is closed",
        )
        assert len(done.stderr.splitlines()) == 2


def test_training_goes_on_without_a_screen(book: Path) -> None:
    done = shell("$P train book.txt --out run --steps 2 --hidden-size 8 2>&- >&-")
    assert done.returncode == 0
    assert Path("run/best.json").is_file()


def test_what_is_no_run_is_said_with_the_run_that_was_meant(run: Path) -> None:
    Path("runs").mkdir()
    run.rename("runs/novel")
    Path("model.pt").touch()
    Path("runs/novel/checkpoints/model.pt").touch()
    for given, meant in (
        ("novel", "runs/novel"),
        ("runs/nvel", "runs/novel"),
        ("nvel", "runs/novel"),
        ("runs/novel/checkpoints/model.pt", "runs/novel"),
    ):
        done = call("generate", given)
        assert (done.code, done.err[1]) == (1, f"  try: {meant}")
    assert "is not a run but weights of a PyTorch program" in call("info", "model.pt").err[0]
    assert "train a run" in call("info", "model.pt").err[1]
    assert call("info", "other").err[0] == "error: other does not exist"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str) -> None:
    assert "_CHARLM_COMPLETE" in call("completion", shell).out


def test_a_shell_is_told_commands_and_options() -> None:
    def completed(words: str, index: int) -> str:
        environment = os.environ | {
            "_CHARLM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "charlm"], env=environment, capture_output=True, text=True,
            timeout=60, check=True,
        )  # fmt: skip
        return done.stdout

    assert completed("charlm tr", 1) == "plain,train\n"
    assert "plain,--learning-rate\n" in completed("charlm train --le", 2)


def test_doctor_says_what_is_in_use() -> None:
    about = json.loads(call("doctor", "--json").out)
    assert {"torch", "device", "precision", "recurrence", "cache"} <= set(about)
    assert about["precision"] == "float32" or about["device"] != "cpu"
    assert not [name for name in about if "second" in name]  # nothing is timed
    lines = call("doctor").out.splitlines()
    assert len({len(line.split(" ")[0]) < 14 for line in lines}) == 1


def test_corpora_are_listed_and_shown() -> None:
    listed = call("corpora").out
    assert listed == call("corpora", "list").out
    names = [line.split()[0] for line in listed.splitlines()]
    assert {"python-docs", "wikitext-2", "enwik8"} <= set(names)
    records = [json.loads(line) for line in call("corpora", "list", "--json").out.splitlines()]
    assert [record["name"] for record in records] == names
    assert call("corpora", "show", "wikitext-2").out.splitlines()[0] == "name        wikitext-2"


def test_a_made_text_comes_with_its_entropy(own_folder: Path) -> None:
    done = call("corpora", "make", "markov", "-o", "m.txt", "--chars", 500, "--set", "order=1",
                "--json")  # fmt: skip
    facts = json.loads(done.out)
    assert len(Path("m.txt").read_text()) == 500
    assert facts["entropy_rate_bits_per_char"] > 0
    assert facts["parameters"]["order"] == 1
