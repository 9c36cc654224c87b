"""``charlm generate`` in other ways than one text from one prompt, and what contradicts itself."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.model import native
from tests.cli.conftest import call
from tests.cli.test_writing import table_of, write

Trained = Callable[[str], Path]


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_rounded_weights_write_too_and_need_the_native_decoder(
    run: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--length", 40, "--seed", 3, "--precision", precision)
    if native.kernels() is not None:
        assert len(write(run, *command)) > 0
    monkeypatch.setattr(native, "kernels", lambda *_: None)
    done = call("generate", run, *command)
    assert (done.code, done.out, len(done.err)) == (2, "", 2)
    assert "precision" in done.err[0]
    assert f"{precision}" in done.err[0]
    assert "needs the compiled decoder" in done.err[0]


def test_the_json_of_a_text_holds_the_log_probability_of_each_token(run: Path) -> None:
    command = ("--length", 12, "--prompt", "ba", "--seed", 1, "--json")
    record = json.loads(write(run, *command))
    assert "".join(token["text"] for token in record["tokens"]) == record["text"]
    total = sum(token["log_prob"] for token in record["tokens"])
    assert record["log_prob"] == pytest.approx(total)
    Path("text.txt").write_text("ba" + record["text"])
    scored = call("score", run, "text.txt", "--by", "char", "--unit", "nats").out
    surprisals = [float(row[3]) for row in table_of(scored)[1:]]
    assert [-token["log_prob"] for token in record["tokens"]] == pytest.approx(
        surprisals[2:], abs=1e-4
    )


def test_prompts_from_a_file_are_continued_as_each_would_be_alone(run: Path) -> None:
    Path("prompts.txt").write_text("ba\nlo di\\n\nco\n")
    together = call("generate", run, "--prompts", "prompts.txt", "-n", 20, "--seed", 4).out
    alone = [write(run, "-p", prompt, "-n", 20, "--seed", 4) for prompt in ("ba", "lo di\n", "co")]
    assert together == "\n\n".join(alone)
    done = call("generate", run, "--prompts", "prompts.txt", "-p", "ba")
    assert (done.code, done.err[0]) == (2, "error: --prompt and --prompts contradict each other")


def test_prompts_are_read_from_files_and_not_from_devices(run: Path) -> None:
    done = call("generate", run, "--prompts", "/dev/zero")
    assert (done.code, done.err[0]) == (1, "error: /dev/zero is neither a file nor a pipe")
    Path("empty.txt").touch()
    assert "holds no prompt" in call("generate", run, "--prompts", "empty.txt").err[0]
    Path("latin.txt").write_bytes(b"ba\ncaf\xe9\n")
    done = call("generate", run, "--prompts", "latin.txt")
    assert "latin.txt is not utf-8 text" in done.err[0]
    assert "in line 2" in done.err[0]


def test_a_saved_state_goes_on_as_the_whole_text_would(run: Path) -> None:
    first = write(run, "-p", "ba co", "-n", 15, "--seed", 1, "--state", "s")
    second = write(run, "-p", " lo", "-n", 15, "--seed", 2, "--state", "s")
    assert (
        second == " lo" + write(run, "-p", f"{first} lo", "-n", 15, "--seed", 2)[len(first) + 3 :]
    )


@pytest.mark.timeout(30)
def test_a_file_that_is_no_state_is_refused_in_two_lines(run: Path) -> None:
    write(run, "-n", 5, "--seed", 1, "--state", "whole")
    content = Path("whole").read_bytes()
    files = {"text": b"no state", "empty": b"", "cut": content[:-9], "long": b"\xff" * 99}
    files["last"] = content.replace(b'"last":"', b'"last":"9')
    for name, changed in files.items():
        Path(name).write_bytes(changed)
    os.mkfifo("pipe")
    for name in (*files, "pipe"):
        done = call("generate", run, "-n", 5, "--state", name)
        assert (done.code, done.out) == (1, "")
        assert done.err == [
            f"error: {name} is damaged, or no state of a text",
            "  try: give the file of an earlier --state",
        ]


def test_several_temperatures_give_what_each_gives_alone(run: Path) -> None:
    command = ("-p", "ba", "-n", 15, "--seed", 2)
    lines = call("generate", run, *command, "--temperatures", "0.5,1.2", "--json").out.splitlines()
    records = {record["temperature"]: record["text"] for record in map(json.loads, lines)}
    for temperature, text in records.items():
        assert write(run, *command, "-t", temperature) == "ba" + text
    assert set(records) == {0.5, 1.2}


def test_the_most_probable_text_has_no_seed(run: Path) -> None:
    found = call("generate", run, "-n", 5, "--beam", 2, "--samples", 2, "--json").out
    assert [json.loads(line)["seed"] for line in found.splitlines()] == [None, None]


def test_units_whole_sentences_patterns_and_gaps(run: Path) -> None:
    lines = write(run, "-n", 2, "--unit", "lines", "--seed", 1)
    assert len([line for line in lines.splitlines() if line]) <= 2
    words = write(run, "-n", 3, "--unit", "words", "--seed", 1)
    assert len(words.split()) <= 3
    whole = write(run, "-n", 20, "--whole", "word", "--seed", 1)
    assert len(whole) >= 19
    assert re.fullmatch(
        "(ba|lo) [a-u]{3}", write(run, "--pattern", "(ba|lo) [a-u]{3}", "--seed", 1)
    )
    filled = call("generate", run, "--fill", "ba ___ lo", "--gap-length", 3, "--beam", 5)
    assert re.fullmatch("ba .{1,3} lo\n", filled.out, re.DOTALL)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (("--set", "mirostat_tau=3", "--top-p", "0.9"), "mirostat_tau and --top-p contradict"),
        (("--set", "xtc_treshold=0.3"), "unknown setting xtc_treshold"),
        (("--set", "training.steps=3"), "training.steps belongs to training"),
        (("--pattern", "Q+"), "no text that this model can write matches --pattern Q+"),
        (("-p", "lo", "--pattern", "ba"), "the prompt breaks --pattern at its character 1, 'l'"),
        (("--beam", "3", "--best-of", "2"), "--beam and --best-of contradict"),
        (("--state", "s", "--samples", "2"), "--state keeps the state of one text"),
        (("--fill", "ba___", "--pattern", "b+"), "--pattern does nothing with --fill"),
        (("--fill", "ba___", "-p", "lo"), "--prompt does nothing with --fill"),
        (("--fill", "ba___", "--set", "min_p=0.1"), "--min-p does nothing with --fill"),
        (("--fill", "ba___", "--seed", "0"), "--seed does nothing with --fill"),
        (("--gap-length", "3"), "--gap-length does nothing without --fill"),
        (("--beam", "3", "-t", "2"), "--temperature does nothing with --beam"),
        (("--set", "length_penalty=1"), "length_penalty does nothing without --beam"),
        (("--temperatures", "1,2", "-t", "1"), "--temperatures and --temperature contradict"),
        (("--temperatures", "1,x"), "'1,x' is no list of numbers like 0.5,0.8"),
        (("--beam", "3", "--seed", "2"), "--seed does nothing with --beam"),
        (("--best-of", "2", "-n", "-1"), "--length -1 has no end"),
        (("--temperatures", "0.5,0.9", "-n", "-1"), "--length -1 has no end"),
        (("--state", "nowhere/s"), "there is no folder nowhere"),
        (("--fill", "ba"), "the text has no gap"),
        (("--fill", "ba___", "--gap-length", "900"), "--gap-length must be from 1 to 200"),
        (("--set", "banned=ba", "--set", "allowed=ba"), "allowed and banned contradict"),
        (("--set", "logit_bias=nothing=1"), "'nothing' is not a token of this model"),
    ],
)
def test_what_contradicts_itself_is_answered_in_two_lines(
    run: Path, given: tuple[str, ...], cause: str
) -> None:
    done = call("generate", run, *given)
    assert (done.code, done.out, len(done.err)) == (2, "", 2)
    assert cause in done.err[0]


def test_a_state_goes_on_behind_a_word_that_the_length_has_cut(trained: Trained) -> None:
    run = trained("word")
    for _ in range(3):
        done = call("generate", run, "-n", 4, "--seed", 3, "--state", "cut.state")
        assert done.code == 0, done.err


def test_only_line_breaks_separate_prompts(run: Path) -> None:
    Path("prompts.txt").write_bytes("ba\r\nlo\u2028lo\n".encode())
    done = call(
        "generate", run, "--prompts", "prompts.txt", "-n", 0, "--json", "--replace-unknown", ""
    )
    assert [json.loads(line)["prompt"] for line in done.out.splitlines()] == ["ba", "lolo"]
