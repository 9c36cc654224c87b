"""The program as a whole: help, errors, options that every command has, shell completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from charlm.cli import renamed
from charlm.cli.frame import Command, option
from charlm.cli.main import COMMANDS, SECTIONS, cli
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
        ("sing", "charlm --help"),
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
    assert lines[2:] == [
        "Options:",
        "--plain",
        "Degrees:",
        "--high",
        "General:",
        "--step",
        "--debug",
        "-h,",
    ]


def test_every_option_says_what_it_does() -> None:
    ctx = click.Context(cli)
    commands = [cli.get_command(ctx, name) for name in COMMANDS]
    commands += [each for group in commands for each in getattr(group, "commands", {}).values()]
    for command in commands:
        assert command is not None
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [each.name for each in options if not each.help] == []


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


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
def test_a_path_that_may_not_be_read_is_left_to_what_reads_it_and_knows_the_way_out(
    names: tuple[str, ...],
) -> None:
    command: click.Command = cli
    for name in names:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name) or command
    paths = [each for each in command.params if isinstance(each.type, click.Path)]
    assert not [each.name for each in paths if each.type.readable]
