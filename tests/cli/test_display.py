"""What training says, record by record, where there is no terminal."""

import dataclasses
import io
import time

import pytest
from rich.console import Console

from charlm.console.demo import show_demo, show_sample
from charlm.console.figures import in_columns
from charlm.console.streams import compact, duration, print_named
from charlm.console.training import Display
from charlm.data.preparation.prepared import Preparing
from charlm.inference.demonstration import Demonstration, Sampled
from charlm.inference.scoring.baselines import Baseline
from charlm.metrics import Score
from charlm.training.reports import Done, Stepped

DONE = Done(
    run="my run", finished=True, reason="budget", step=1200, best_step=1100, valid_nll=1.25,
    valid_bpc=1.803, seconds=61.0, tokens_per_second=48_000.0, parameters=10, skipped_steps=0,
)  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_long_work_prints_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Display() as display:
        display.bits_per_char = 1.4427
        for seconds in range(0, 25, 2):
            now[0] = float(seconds)
            display.show(Preparing("encoding", 5_000_000, 10_000_000))
        for step in range(1, 11):
            now[0] += 2
            display.show(
                Stepped(
                    step=step, epoch=0, fraction=step / 100, loss=2.0, learning_rate=0.1,
                    gradient_norm=1.0, tokens=step, seconds=2.0 * step, tokens_per_second=48_000.0,
                )
            )  # fmt: skip
    assert shown(capsys) == [
        "encoding     50%  5.00M",
        "encoding     50%  5.00M",
        "step 6        6%  loss 2.000  2.89 bpc  48.0k tok/s  3:08 left",
    ]


def test_text_keeps_to_its_column() -> None:
    """On a terminal of 32 columns; where there is none, a line is a line."""
    narrow = Console(file=io.StringIO(), width=32)
    none = Console(file=io.StringIO(), width=32, soft_wrap=True)
    for console in (narrow, none):
        print_named(console, "resume", "charlm train --out a/folder-with-a-long-name [x]")
    first, *rest = narrow.file.getvalue().splitlines()
    assert first == "resume      charlm train --out"
    assert rest == [" " * 12 + "a/folder-with-a-long-name", " " * 12 + "[x]"]
    (whole,) = none.file.getvalue().splitlines()
    assert whole == "resume      charlm train --out a/folder-with-a-long-name [x]"


def test_what_has_not_begun_is_not_worth_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display() as display:
        display.show(Preparing("reading", 0, None))
    assert shown(capsys) == []


def test_the_sample_of_the_demo_is_whole_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    written = "a long line " * 20 + "to its end\nand another"
    show_sample(Sampled(written, "", 0.7))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [" " * 4 + line for line in written.splitlines()]


def test_the_demo_says_why_counting_may_be_ahead(capsys: pytest.CaptureFixture[str]) -> None:
    score = Score(nll=140.0, tokens=100, chars=100, bytes=100)
    sample = Sampled("text", "", 0.7)
    for bpc in (2.0, 2.1):
        show_demo(Demonstration("runs/demo", score, (Baseline("PPM", bpc, bpc),), sample))
        ahead = "PPM is ahead so far: a network needs more training" in capsys.readouterr().err
        assert ahead == (bpc < score.bpc)


def test_columns_keep_every_line_and_word_whole_on_a_terminal() -> None:
    text = "a corpus of some words\nhttps://example.org/" + "long/" * 8
    assert in_columns("name", text).splitlines() == [
        "name        a corpus of some words", " " * 12 + text.splitlines()[1],
    ]  # fmt: skip
    narrow = in_columns("name", text, columns=25).splitlines()
    assert narrow == [
        "name        a corpus of",
        " " * 12 + "some words",
        " " * 12 + text.split()[-1],
    ]
    assert in_columns("a longer name than that", "is", width=22) == "a longer name than that is"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {},
            "done        already trained for its full budget: 1,200 steps in 1:01; raise --minutes",
        ),
        (
            {"reason": "epochs"},
            "done        already trained for its full budget: 1,200 steps in 1:01; raise --set tr",
        ),
        ({"reason": "patience"}, "done        early, because validation got no better: 1,200"),
        ({"skipped_steps": 3}, "note        3 steps without finite numbers were left out"),
        ({"finished": False, "reason": "SIGINT"}, "stopped     at step 1,200 after 1:01 (SIGINT)"),
        ({"finished": False, "reason": "SIGINT"}, "resume      charlm train --out 'my run'"),
        ({}, "validation  1.2500 nats/token, perplexity 3.490, 1.803 bpc (step 1,100)"),
        ({}, "next        charlm generate 'my run'"),
    ],
)
def test_the_end_says_how_it_went_and_what_to_do_next(
    change: dict[str, object], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display() as display:
        display.show(dataclasses.replace(DONE, **change))
    assert any(each.startswith(line) for each in shown(capsys))


def test_without_validation_text_none_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.show(dataclasses.replace(DONE, valid_nll=None, valid_bpc=None, best_step=None))
    assert not any(line.startswith("validation") for line in shown(capsys))


def test_numbers_are_short() -> None:
    numbers = (7, 950, 4_800, 48_012, 999_400, 1_234_567)
    assert list(map(compact, numbers)) == ["7", "950", "4.80k", "48.0k", "999k", "1.23M"]
    assert list(map(duration, (0, 42.4, 725, 3723))) == ["0:00", "0:42", "12:05", "1:02:03"]
