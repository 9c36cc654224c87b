"""Errors of the program: two lines with a cause and a way out in words of the command line."""

import click
import pytest

import charlm.console.tables
from charlm.cli.failures import in_two_lines, presentable, remedy
from charlm.cli.main import cli
from charlm.cli.translation import translate
from tests.cli.conftest import call


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
    def surprise(record: object, pairs: object, *, as_json: bool) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(charlm.console.tables, "print_record", surprise)
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
    ("generate", "give `generation.top_n_sigma=1`", "give --set top_n_sigma=1"),
    ("generate", "name another `run`", "name another RUN"),
    ("pairs", "`temperature` does nothing", "temperature does nothing"),
    ("pairs", "give `temperature=1`", "give temperature=1"),
    ("perplexity", "add `curve=True`", "add --curve"),
    ("perplexity", "give `reset='line'` or a `source`", "give --reset line or a source"),
    ("perplexity", "name `sources`", "name SOURCE"),
    ("pairs", "give `weight=0.5`", "give --mix-weight 0.5"),
    ("perplexity", "train with `tokenizer.kind='byte'`", "train with --tokenizer byte"),
    ("train", "`training.minutes` must be more than 0", "--minutes must be more than 0"),
    ("train", "leave `model.hidden_size` out", "leave --hidden-size out"),
    ("train", "leave `training.momentum` out", "leave training.momentum out"),
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
    assert translate(written, context_of(name)) == shown


def context_of(name: str, *arguments: str) -> click.Context:
    """The context of a command that was given ``arguments``."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    parent = click.Context(cli, **cli.context_settings)
    if not arguments:
        return click.Context(command, parent)
    return command.make_context(name, [*arguments], parent)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("--set training.minutes=2", "training.minutes, not --set training.minutes=2"),
        ("--set minutes=2", "training.minutes, not --set training.minutes=2"),
        ("--config my.toml", "training.minutes, not --set training.minutes=2"),
        ("--config my.toml --minutes 2", "--minutes, not --minutes 2"),
        ("--set training.bptt=2", "--minutes, not --minutes 2"),
    ],
)
def test_a_setting_keeps_its_name_where_it_was_not_given_by_its_option(
    given: str, shown: str
) -> None:
    written = "`training.minutes`, not `training.minutes=2`"
    assert translate(written, context_of("train", *given.split())) == shown


def test_without_a_command_names_of_settings_lose_their_quotes() -> None:
    assert translate("give `steps=100`, not `minutes`", None) == "give steps=100, not minutes"


def test_an_error_is_one_line_that_neither_steers_the_terminal_nor_fills_it() -> None:
    assert presentable("a\x1b[2J\nb\u202ec\x9b") == "a\u241b[2J b\ufffdc\ufffd"
    text = "begin " + "word " * 10_000 + "end"
    assert len(presentable(text)) < 500
    assert presentable(text).startswith("begin word")
    assert presentable(text).endswith("word end")
    assert presentable("x" * 400) == "x" * 400
