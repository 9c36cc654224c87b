"""``charlm generate`` and ``charlm score``: exactly what was asked for, and nothing else."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import charlm
from charlm.config.generation import LARGEST_SEED
from charlm.console.terminal import harmless
from charlm.errors import ConfigError
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


def test_the_command_and_python_take_the_same_seeds(run: Path) -> None:
    model = charlm.load(run)
    for seed in (2**31, LARGEST_SEED):
        assert write(run, "--length", 20, "--seed", seed) == model.generate(length=20, seed=seed)
    assert call("generate", run, "--seed", LARGEST_SEED + 1).code == 2
    with pytest.raises(ConfigError, match="`seed` must be from 0"):
        model.generate(seed=LARGEST_SEED + 1)


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
