"""``charlm generate`` and ``charlm score``: exactly what was asked for, and nothing else."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.console.terminal import harmless
from charlm.model import native
from tests.cli.conftest import call

Trained = Callable[[str], Path]


def write(run: Path, *arguments: object, stdin: str | bytes | None = None) -> str:
    """What is printed; without a seed, the one that gives it again is told."""
    done = call("generate", run, *arguments, stdin=stdin)
    told = [line for line in done.err if not line.startswith("seed ")]
    assert (done.code, told) == (0, [])
    assert ("--seed" in arguments) == (done.err == [])
    return done.out


def test_the_same_seed_writes_the_same_text(run: Path) -> None:
    texts = [write(run, "--length", 60, "--seed", seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_without_a_seed_each_text_is_another(run: Path) -> None:
    assert len({write(run, "--length", 60) for _ in range(3)}) > 1
    done = call("generate", run, "--length", 60)
    (line,) = done.err
    assert write(run, "--length", 60, "--seed", line.removeprefix("seed ")) == done.out
    several = call("generate", run, "--length", 60, "--samples", 3)
    first, _, last = several.err[0].removeprefix("seed ").split()
    assert int(last) == int(first) + 2


def test_several_samples_have_consecutive_seeds(run: Path) -> None:
    command = ("--length", 20, "--samples", 3, "--prompt", "lo")
    lines = write(run, *command, "--seed", 7, "--json").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["seed"] for record in records] == [7, 8, 9]
    texts = ["lo" + record["text"] for record in records]
    assert write(run, *command, "--seed", 7) == "\n\n".join(texts)
    assert write(run, "--length", 20, "--prompt", "lo", "--seed", 8) == texts[1]


def test_length_counts_the_characters_of_the_continuation(run: Path) -> None:
    assert write(run, "--length", 0, "--prompt", "ba co") == "ba co"
    # Seeds whose text the model does not end itself.
    lengths = {len(write(run, "--length", 25, "--prompt", "ba", "--seed", seed)) for seed in "123"}
    assert max(lengths) == 27


def test_text_ends_before_a_stop_string(run: Path) -> None:
    whole = write(run, "--length", 80, "--seed", 3, "--prompt", "ba ")[3:]
    stop = whole[10:12]
    short = write(run, "--length", 80, "--seed", 3, "--prompt", "ba ", "--stop", stop)[3:]
    assert short == whole[: whole.index(stop)]


def test_temperature_zero_needs_no_seed(run: Path) -> None:
    greedy = {call("generate", run, "--length", 30, "--temperature", 0).out for _ in range(2)}
    assert greedy == {write(run, "--length", 30, "--top-k", 1, "--seed", 1)}


def test_a_stop_string_understands_escapes(run: Path) -> None:
    command = ("--prompt", "ba ", "--length", 200, "--seed", 3)
    whole = write(run, *command)
    assert "\n" in whole
    assert write(run, *command, "--stop", r"\n") == whole[: whole.index("\n")]
    done = call("generate", run, *command, "--stop", r"\\n")
    assert (done.code, done.out) == (0, whole)
    assert any("never seen" in line and "it cannot come" in line for line in done.err)


@pytest.mark.parametrize(("given", "finish"), [((), "length"), (("--stop", " "), "stop")])
def test_the_json_of_a_text_says_why_it_is_over(
    run: Path, given: tuple[str, ...], finish: str
) -> None:
    command = ("--prompt", "ba co", "--length", 3, "--seed", 1, "--json")
    assert json.loads(write(run, *command, *given))["finish"] in (finish, "end")


def test_past_its_end_a_text_goes_on_to_its_length(run: Path) -> None:
    text = write(run, "--length", 3000, "--seed", 1, "--past-end")
    assert len(text) == 3000


def test_a_text_that_the_model_ended_is_told_in_a_pipe(run: Path) -> None:
    command = ("--length", 3000, "--samples", 8)
    records = map(json.loads, write(run, *command, "--seed", 1, "--json").splitlines())
    seed = next(record["seed"] for record in records if record["finish"] == "end")
    done = call("generate", run, "--length", 3000, "--seed", seed)
    assert done.err == ["the model ended the document here; --past-end begins another"]


@pytest.mark.parametrize("temperature", ["4e38", "1e-46", "1e-320", "-1", "inf"])
def test_a_temperature_that_cannot_divide_is_refused(run: Path, temperature: str) -> None:
    done = call("generate", run, "--temperature", temperature)
    assert (done.code, done.out, len(done.err)) == (2, "", 2)
    assert "temperature" in done.err[0]
    assert "diverged" not in done.err[0]


def test_an_option_that_is_given_twice_is_refused(run: Path) -> None:
    done = call("generate", run, "-t", "0.2", "-t", "0.9")
    assert (done.code, done.out, len(done.err)) == (2, "", 2)
    assert "0.2 and 0.9" in done.err[0]


def test_a_prompt_comes_from_standard_input_as_it_is(run: Path) -> None:
    prompt = "ba co.\nlo mé"
    assert write(run, "--prompt", "-", "--length", 5, stdin=prompt.encode()).startswith(prompt)


def test_output_into_a_pipe_has_no_control_characters_replaced(trained: Trained) -> None:
    done = call("generate", trained("byte"), "--prompt", "a\x1b[31mb\r\n", "--length", 0)
    assert done.raw == b"a\x1b[31mb\r\n"


def test_a_terminal_is_not_steered_by_what_a_model_writes() -> None:
    shown = harmless("a\x1b[31m\x07\x7f\x9b\tb\n", kept="\n\t")
    assert shown == "a␛[31m␇␡\ufffd\tb\n"


@pytest.mark.parametrize("kind", ["char", "word"])
def test_unknown_symbols_of_a_prompt_are_replaced_if_one_says_by_what(
    kind: str, trained: Trained
) -> None:
    prompt = "ba\nÐœŽ ba"
    known = "ba" if kind == "word" else "a"
    done = call("generate", trained(kind), "-p", prompt, "-n", 0, "--replace-unknown", known)
    assert done.out == ("ba\nba ba" if kind == "word" else "ba\naaa ba")
    removed = call("generate", trained(kind), "-p", prompt, "-n", 0, "--replace-unknown", "")
    assert removed.out == "ba\n ba"


def test_an_earlier_checkpoint_can_be_named(run: Path) -> None:
    Path("text.txt").write_text("ba co. lo di\n")
    steps = [entry["step"] for entry in json.loads(call("info", run, "--json").out)["checkpoints"]]
    scores = [
        json.loads(call("perplexity", run, "text.txt", "--step", step, "--json").out)
        for step in steps
    ]
    assert [score["step"] for score in scores] == steps
    assert len({score["nll"] for score in scores}) == len(steps) > 1


def table_of(printed: str) -> list[list[str]]:
    """The cells of a table with tabs, as standard readers read it."""
    return list(csv.reader(io.StringIO(printed), delimiter="\t"))


def test_the_rows_of_a_score_hold_the_text(run: Path) -> None:
    Path("text.txt").write_text('ba\tco. lo\n\ndi "fu"\n')
    for unit in ("char", "word", "line"):
        done = call("score", run, "text.txt", "--by", unit)
        rows = table_of(done.out)
        names = "index document text surprisal_bits tokens oov"
        assert " ".join(rows[0]) == f"{names} entropy_bits entropy_reduction_bits rank"
        shown = "".join(row[2] for row in rows[1:])
        # An unknown character is shown as such, but unknown white space still is white space.
        assert shown.replace("<unk>", '"') == Path("text.txt").read_text()


def test_rows_as_json_have_the_same_values_as_the_table(run: Path) -> None:
    Path("text.txt").write_text("ba co. lo di\n")
    table = table_of(call("score", run, "text.txt").out)
    names = table[0]
    for line, row in zip(call("score", run, "text.txt", "--json").out.splitlines(), table[1:],
                         strict=True):  # fmt: skip
        record = json.loads(line)
        assert list(record) == names
        assert row[2] == record["text"]
        assert float(row[3]) == pytest.approx(record["surprisal_bits"], abs=1e-6)


@pytest.mark.parametrize(("measure", "per_bit"), [("nats", 0.6931472), ("log10", 0.30103)])
def test_surprisal_comes_in_three_measures(measure: str, per_bit: float, run: Path) -> None:
    Path("text.txt").write_text("ba\n")
    bits = json.loads(call("score", run, "text.txt", "--json").out)["surprisal_bits"]
    other = json.loads(call("score", run, "text.txt", "--json", "--unit", measure).out)
    assert other[f"surprisal_{measure}"] == pytest.approx(bits * per_bit, rel=1e-5)


def test_several_texts_are_scored_as_documents(run: Path) -> None:
    for name in ("a.txt", "b.txt"):
        Path(name).write_text("ba co. lo\n")
    found = json.loads(call("perplexity", run, "a.txt", "b.txt", "--json").out)
    assert (found["boundaries"], found["chars"]) == (2, 20)
    rows = table_of(call("score", run, "a.txt", "b.txt", "--by", "line").out)[1:]
    assert [row[1] for row in rows] == ["0", "1"]


def test_figures_for_people_name_their_units(run: Path) -> None:
    Path("text.txt").write_text("ba co. lo di\n" * 50)
    lines = call("perplexity", run, "text.txt").out.splitlines()
    assert [line[:11].rstrip() for line in lines] == [
        "text",
        "model",
        "perplexity",
        "",
        "interval",
        "bits",
        "nats",
    ]
    assert "per token (char)" in lines[2]
    assert "per character (bpc)" in lines[5]


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


def test_a_saved_state_goes_on_as_the_whole_text_would(run: Path) -> None:
    first = write(run, "-p", "ba co", "-n", 15, "--seed", 1, "--state", "s")
    second = write(run, "-p", " lo", "-n", 15, "--seed", 2, "--state", "s")
    assert (
        second == " lo" + write(run, "-p", f"{first} lo", "-n", 15, "--seed", 2)[len(first) + 3 :]
    )
    Path("s").write_text("no state")
    done = call("generate", run, "--state", "s")
    assert (done.code, done.out, len(done.err)) == (1, "", 2)


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
        (("--temperatures", "1,2", "-t", "1"), "--temperatures and --temperature contradict"),
        (("--temperatures", "1,x"), "'1,x' is no list of numbers like 0.5,0.8"),
        (("--best-of", "2", "-n", "-1"), "--length -1 has no end"),
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
