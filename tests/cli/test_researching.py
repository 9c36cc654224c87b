"""``charlm score`` and ``charlm pairs`` for research: tables in, tables out, errors by line."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.data.sources.lines import LONGEST
from tests.cli.conftest import Outcome, call, tree

Trained = Callable[[str], Path]

ITEMS = """item\tregion\ttext\tnote
1\tsubject\tba co\tfirst
1\tverb\t"lo ""di"\t
2\tsubject\tfu ga\tlast
2\tverb\tne.\t
"""


def table(done: Outcome, separator: str = "\t") -> list[dict[str, str]]:
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.out), delimiter=separator))


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_of_a_table_of_regions_keep_all_their_cells(run: Path) -> None:
    path = write("items.tsv", ITEMS)
    rows = table(call("score", run, path, "--by", "region"))
    given = list(csv.DictReader(io.StringIO(ITEMS), delimiter="\t"))
    assert [{name: row[name] for name in given[0]} for row in rows] == given
    found = [json.loads(line) for line in
             call("score", run, path, "--by", "region", "--json").out.splitlines()]  # fmt: skip
    assert [list(record) for record in found] == [list(row) for row in rows]
    for row, record in zip(rows, found, strict=True):
        assert float(row["surprisal_bits"]) == pytest.approx(record["surprisal_bits"], abs=1e-6)


def test_regions_are_read_from_csv_and_other_columns_and_standard_input(run: Path) -> None:
    usual = table(call("score", run, write("items.tsv", ITEMS), "--by", "region"))
    rows = csv.reader(io.StringIO(ITEMS), delimiter="\t")
    made = io.StringIO()
    csv.writer(made).writerows(rows)
    other = made.getvalue().replace("item,region,text", "sentence,area,words", 1)
    path = write("items.csv", "\ufeff" + other)  # as spreadsheets write it
    names = ("--column", "item=sentence", "--column", "region=area", "--column", "text=words")
    renamed = table(call("score", run, path, "--by", "region", *names))
    piped = table(call("score", run, "-", "--by", "region", stdin=ITEMS))
    assert [row["surprisal_bits"] for row in renamed] == [row["surprisal_bits"] for row in usual]
    assert piped == usual


def test_conditions_and_contexts_belong_to_items(run: Path) -> None:
    path = write(
        "items.tsv",
        "item\tcondition\tregion\ttext\tcontext\n"
        "1\ta\t1\tba co\tdi fu.\n1\ta\t2\tlo\t\n1\tb\t1\tba co\t\n1\tb\t2\tlo\t\n",
    )
    rows = table(
        call("score", run, path, "--by", "region", "--column", "item=item,condition",
             "--unit", "nats")
    )  # fmt: skip
    write("alone.txt", "ba co lo")
    alone = table(call("score", run, "alone.txt", "--by", "line", "--unit", "nats"))
    total = sum(float(row["surprisal_nats"]) for row in rows[2:])
    assert total == pytest.approx(float(alone[0]["surprisal_nats"]), abs=1e-4)
    assert rows[0]["surprisal_nats"] != rows[2]["surprisal_nats"]


def test_guesses_have_columns_of_their_own(run: Path) -> None:
    write("text.txt", "ba co.\n")
    rows = table(call("score", run, "text.txt", "--top", 3))
    assert list(rows[0])[-6:] == ["guess_1", "p_1", "guess_2", "p_2", "guess_3", "p_3"]
    chances = [float(rows[0][f"p_{number}"]) for number in (1, 2, 3)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0


def test_a_text_of_one_character_has_one_row(run: Path) -> None:
    write("text.txt", "b")
    for unit in ("token", "char", "word", "line"):
        (row,) = table(call("score", run, "text.txt", "--by", unit))
        assert (row["tokens"], row["entropy_reduction_bits"]) == ("1", "0.000000")
        assert float(row["surprisal_bits"]) > 0


def test_the_format_of_neural_complexity_has_its_header_and_spaces(run: Path) -> None:
    write("text.txt", "ba  co.\n\nlo di fu\n")
    done = call("score", run, "text.txt", "--format", "neural-complexity")
    assert done.out.splitlines()[0] == "word sentid sentpos wlen surp entropy entred"
    rows = table(done, " ")
    assert [row["word"] for row in rows] == ["ba", "co.", "lo", "di", "fu"]
    assert [(row["sentid"], row["sentpos"]) for row in rows] == [
        ("0", "0"), ("0", "1"), ("1", "0"), ("1", "1"), ("1", "2"),
    ]  # fmt: skip
    own = table(call("score", run, "text.txt", "--reset", "line"))
    own = [row for row in own if row["text"] != "\n"]
    assert [row["surp"] for row in rows] == [row["surprisal_bits"] for row in own]


BLIMP = [
    {"sentence_good": "ba co lo.", "sentence_bad": "ba co ЖЖЖ.", "UID": "x", "field": "syntax"},
    {"sentence_good": "ba co ЖЖЖ.", "sentence_bad": "ba co lo.", "UID": "y", "field": "syntax"},
    {"sentence_good": "ba co Ж.", "sentence_bad": "ba co Ł.", "UID": "y", "field": "syntax"},
]


def test_minimal_pairs_of_blimp_are_judged_by_field_and_uid(run: Path) -> None:
    path = write("pairs.jsonl", "".join(json.dumps(pair) + "\n" for pair in BLIMP))
    found = [json.loads(line) for line in call("pairs", run, path, "--json").out.splitlines()]
    assert [(row["group"], row["name"], row["pairs"], row["ties"], row["unknown"])
            for row in found] == [
        ("all", "", 3, 1, 3), ("field", "syntax", 3, 1, 3), ("UID", "x", 1, 0, 1),
        ("UID", "y", 2, 1, 2),
    ]  # fmt: skip
    assert found[0]["accuracy"] == pytest.approx(1 / 3)
    assert found[0]["se"] == pytest.approx(math.sqrt(2 / 27))
    shown = call("pairs", run, path).out.splitlines()
    assert shown[0].split() == ["accuracy", "s.e.", "pairs", "ties", "unknown", "group"]
    assert shown[1].split() == ["0.333", "0.272", "3", "1", "3", "all"]
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize("kind", ["byte", "char", "word", "bpe", "unigram"])
def test_a_pairs_log_probabilities_are_those_of_its_sentences(kind: str, trained: Trained) -> None:
    write("pairs.tsv", "ba co lo.\tba co di\n\nfu ga\tfu ga\tne pi ra.\n")
    done = call("pairs", trained(kind), "pairs.tsv", "--each")
    rows = table(done)
    assert done.err[-1].startswith("accuracy ")
    for name, text in (("good", "ba co lo."), ("bad", "ba co di")):
        write("one.txt", text)
        nll = json.loads(call("perplexity", trained(kind), "one.txt", "--json").out)["nll"]
        assert float(rows[0][f"{name}_nats"]) == pytest.approx(-nll, abs=1e-4)
    assert (rows[1]["difference_nats"], rows[1]["correct"]) == ("0.000000", "0")


def test_a_context_adds_the_same_to_both_sentences(run: Path) -> None:
    write("pairs.tsv", "ne pi. ba co\tne pi. lo di\nba co\tlo di\tne pi.\n")
    whole, apart = table(call("pairs", run, "pairs.tsv", "--each"))
    assert float(apart["difference_nats"]) == pytest.approx(
        float(whole["difference_nats"]), abs=1e-4
    )
    assert float(apart["good_nats"]) > float(whole["good_nats"])


HEAD = "item\tregion\ttext\n1\t1\tba\n"
TABLES = [
    ("", "holds no regions", "regions"),
    ("item\tregion\ttext\n", "holds no regions", "regions"),
    ("item\tregion\twords\n1\t1\tba\n", "no column 'text'; its columns are: item, region, words",
     "--column text=NAME"),
    ("item\tregion\ttext\ttext\n", "has the column 'text' twice", "rename"),
    (HEAD + "1\t2\n", "line 3 has 2 cells, and the header has 3", "fill the row up"),
    (HEAD + "1\t2\tco\tlo\n", "line 3 has 4 cells", "separator"),
    (HEAD + '1\t2\t"co\nlo\n', "line 4 has 1 cell, and the header has 3", "quotes around"),
    (HEAD + "1\t2\t  \n", "line 3: region '2' of item 1 is empty", "leave its row out"),
    (HEAD + "1\t1\tco\n", "line 3: region '1' of item 1 comes twice", "item=item,condition"),
    (HEAD + "2\t1\tco\n1\t2\tlo\n", "line 4 goes on with item 1", "together"),
    ("item\tregion\ttext\tcontext\n1\t1\tba\tx\n1\t2\tco\ty\n", "line 3 has another context",
     "one context per item"),
    ("item\tregion\ttext\ttokens\n1\t1\tba\t2\n", "has a column 'tokens' already", "rename"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "cause", "remedy"), TABLES, ids=[row[1] for row in TABLES])
def test_a_table_that_is_none_is_refused_with_its_line(
    text: str, cause: str, remedy: str, run: Path
) -> None:
    write("items.tsv", text)
    refused(cause, remedy, "score", run, "items.tsv", "--by", "region")


def refused(cause: str, remedy: str, *arguments: object) -> None:
    before = tree(Path())
    done = call(*arguments)
    assert done.code in (1, 2)
    assert done.out == ""
    first, second = done.err[-2:]
    assert (first[:7], second[:7]) == ("error: ", "  try: ")
    assert cause in first
    assert remedy in second
    assert tree(Path()) == before


def test_a_bad_row_at_the_end_leaves_no_rows_before_it(run: Path) -> None:
    write("items.tsv", HEAD + "2\t1\tco\n" * 1 + "3\t1\t\n")
    refused("line 4: region '1' of item 3 is empty", "text", "score", run, "items.tsv",
            "--by", "region")  # fmt: skip
    write("pairs.tsv", "ba\tco\n" * 1000 + "ba\n")
    refused("pairs.tsv: line 1,001 has 1 column, a pair has 2", "good<TAB>bad", "pairs", run,
            "pairs.tsv", "--each")  # fmt: skip


PAIRS = [
    ("", "holds no pairs", "pairs"),
    ("\n\n", "holds no pairs", "pairs"),
    ("ba\tco\nba\tco\tlo\tdi\n", "line 2 has 4 columns, a pair has 2", "good<TAB>bad"),
    ("good\tbad\n", "holds no pairs", "pairs"),
    ("bad\tgood\tn\nba\tco\n", "line 2 has 2 columns, a pair has 3", "good<TAB>bad"),
    ("ba\t \n", "line 1 has no bad sentence", "good<TAB>bad"),
    ('{"sentence_good": "ba"}\n', "line 1 has no sentence_bad", "sentence_good"),
    ('{"sentence_good": "ba", "sentence_bad": 3}\n', "has a sentence_bad that is no text: 3", "{"),
    ('{"sentence_good": "ba", "sentence_bad": "\\ud800"}\n', "line 1: character 0 is half", "mend"),
    ('{"sentence_good": \n', "line 1 is no JSON", "sentence_good"),
]


@pytest.mark.parametrize(("text", "cause", "remedy"), PAIRS, ids=[row[1] for row in PAIRS])
def test_pairs_that_are_none_are_refused_with_their_line(
    text: str, cause: str, remedy: str, run: Path
) -> None:
    write("pairs.txt", text)
    refused(cause, remedy, "pairs", run, "pairs.txt")


def test_files_that_cannot_be_read_are_refused(run: Path) -> None:
    refused("missing.tsv cannot be read", "check the path", "pairs", run, "missing.tsv")
    Path("latin.tsv").write_bytes(b"caf\xe9\tba\n")
    refused("byte 0xe9 at offset 3", "--encoding latin-1", "pairs", run, "latin.tsv")
    assert call("pairs", run, "latin.tsv", "--encoding", "latin-1").code == 0
    write("long.tsv", "a" * (LONGEST + 1))
    refused("line 1 is longer than", "cut it", "pairs", run, "long.tsv")


WRONG = [
    ("text.txt --column text=words", "go with --by region only"),
    ("text.txt --join +", "go with --by region only"),
    ("a.tsv b.tsv --by region", "--by region reads one table"),
    ("a.tsv --by region --reset line", "--reset does nothing with --by region"),
    ("a.tsv --by region --column words=text", "unknown column words"),
    ("a.tsv --by region --column text", "--column takes 'WHAT=HEADER', got 'text'"),
    ("text.txt --format neural-complexity --by line", "is by word"),
    ("text.txt --format neural-complexity --reset never", "is by word"),
    ("text.txt --format neural-complexity --top 3", "is by word"),
    ("text.txt --top -1", "not in the range"),
]


@pytest.mark.parametrize(("options", "cause"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_options_that_do_not_go_together_are_refused(options: str, cause: str, run: Path) -> None:
    refused(cause, "", "score", run, *options.split())
