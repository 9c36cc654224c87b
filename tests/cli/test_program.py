"""The program as a whole: help, errors, options that every command has, shell completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import charlm.console.machine
from charlm.cli.failures import in_two_lines, remedy
from charlm.cli.main import COMMANDS, cli
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


def test_every_command_has_a_line_in_the_help() -> None:
    lines = call("--help").out.splitlines()
    shown = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line.strip()]
    assert shown[: len(COMMANDS)] == list(COMMANDS)
    assert not any(line.endswith("...") for line in lines[1:])


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
    def surprise(*, as_json: bool) -> None:
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
