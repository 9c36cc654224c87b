"""``charlm score`` and ``perplexity`` on tables, tokenized corpora, odd line ends and mistakes."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from charlm.console import surprisals as console
from tests.cli.conftest import SMALL, Outcome, book_text, call, failed

Trained = Callable[[str], Path]
ODD = 'He said "ba co", lo.\nand\tdi "fu"\n"'


def rows_of(done: Outcome, separator: str = "\t") -> list[dict[str, str]]:
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.raw.decode(), newline=""), delimiter=separator))


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8", newline="")
    return name


@pytest.mark.parametrize(("format", "separator"), [("tsv", "\t"), ("csv", ",")])
def test_tables_are_read_back_by_csv_and_by_pandas(
    format: str, separator: str, trained: Trained
) -> None:
    """A model of bytes shows every text as it is: quotes, tabs, line breaks."""
    path = write("odd.txt", ODD)
    done = call("score", trained("byte"), path, "--format", format)
    texts = [row["text"] for row in rows_of(done, separator)]
    assert "".join(texts) == ODD
    frame = pandas.read_csv(io.BytesIO(done.raw), sep=separator, keep_default_na=False)
    assert list(frame["text"]) == texts
    lines = call("score", trained("byte"), path, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts
    assert frame["surprisal_bits"].sum() == pytest.approx(
        sum(json.loads(line)["surprisal_bits"] for line in lines), abs=1e-4
    )


def test_json_lines_hold_no_line_separators_of_unicode(trained: Trained) -> None:
    write("odd.txt", "ba\u2028co\u2029lo\x85di\n")
    done = call("score", trained("byte"), "odd.txt", "--by", "line", "--json")
    assert len(done.out.splitlines()) == 1
    assert json.loads(done.out)["text"] == "ba\u2028co\u2029lo\x85di\n"


def test_a_terminal_gets_a_table_for_eyes(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("odd.txt", "ba\tco " + "lo" * 60)
    monkeypatch.setattr(console, "default_format", lambda: "table")
    lines = call("score", run, "odd.txt", "--top", 2).out.splitlines()
    assert lines[0].split() == ["surprisal", "entropy", "rank", "text", "(bits)"]
    assert max(map(len, lines)) <= 80
    assert "«ba␉»" in lines[1]
    assert "expected «" in lines[1]


def test_a_terminal_names_the_cells_of_a_table(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("items.jsonl", '{"item": 7, "kind": "good", "text": "ba co"}\n"lo"\n')
    monkeypatch.setattr(console, "default_format", lambda: "table")
    head, *rows = call("score", run, path).out.splitlines()
    assert head.split() == ["surprisal", "entropy", "rank", "item", "kind", "text", "(bits)"]
    assert [row.split()[3:] for row in rows] == [
        ["7", "good", "«ba", "»"],
        ["7", "good", "«co»"],
        ["«lo»"],
    ]
    assert {row.index("«") for row in rows} == {head.index("text")}


ITEMS = "item,condition,sentence\n1,a,ba co lo.\n1,b,ba co di.\n2,a,ne pi.\n"


def test_rows_of_a_table_are_read_apart_and_keep_their_cells(run: Path) -> None:
    path = write("items.csv", ITEMS)
    done = call("score", run, path, "--text-column", "sentence")
    rows = rows_of(done)
    assert [(row["item"], row["condition"], row["text"]) for row in rows] == [
        ("1", "a", "ba "), ("1", "a", "co "), ("1", "a", "lo."),
        ("1", "b", "ba "), ("1", "b", "co "), ("1", "b", "di."),
        ("2", "a", "ne "), ("2", "a", "pi."),
    ]  # fmt: skip
    assert rows[0]["surprisal_bits"] == rows[3]["surprisal_bits"]
    assert done.err == [
        "note        each row of the table is scored by itself; --reset never carries the state on"
    ]
    carried = call("score", run, path, "--text-column", "sentence", "--reset", "never")
    assert carried.err == []
    assert rows_of(carried)[3]["surprisal_bits"] != rows[3]["surprisal_bits"]


def test_columns_of_a_table_do_not_hide_those_of_the_score(run: Path) -> None:
    path = write("items.jsonl", '{"index": 7, "text": "ba co", "tokens": null}\n"lo"\n')
    rows = rows_of(call("score", run, path))
    assert [(row["table_index"], row["index"], row["table_tokens"]) for row in rows[:2]] == [
        ("7", "0", ""), ("7", "1", ""),
    ]  # fmt: skip


def test_sentences_have_numbers_and_words_have_places_in_them(run: Path) -> None:
    write("two.txt", "ba co\n\nlo di fu\n")
    rows = rows_of(call("score", run, "two.txt", "--reset", "line"))
    assert [(row["document"], row["sentence"], row["position"], row["text"]) for row in rows] == [
        ("0", "0", "0", "ba "), ("0", "0", "1", "co\n"), ("0", "1", "0", "\n"),
        ("0", "2", "0", "lo "), ("0", "2", "1", "di "), ("0", "2", "2", "fu\n"),
    ]  # fmt: skip


def test_files_are_read_apart_when_asked(run: Path) -> None:
    for name in ("1.txt", "2.txt"):
        write(name, "ba co")
    rows = rows_of(call("score", run, "1.txt", "2.txt", "--reset", "file"))
    assert [row["surprisal_bits"] for row in rows[:2]] == [
        row["surprisal_bits"] for row in rows[2:]
    ]


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_columns_for_mixed_models(kind: str, trained: Trained) -> None:
    text = (trained("char").parent / "book.txt").read_text(encoding="utf-8")
    train = text[: int(len(text) * 0.9)].split()
    word = max(set(train), key=train.count)
    write("text.txt", f"{word} zzzzz {word}.")
    rows = rows_of(call("score", trained(kind), "text.txt", "--more", "--unit", "nats"))
    assert [row["position"] for row in rows] == ["0", "1", "2"]
    assert rows[0]["length"] == str(len(word))
    assert rows[0]["previous_surprisal_nats"] == ""
    assert rows[2]["previous_surprisal_nats"] == rows[1]["surprisal_nats"]
    unigram = [float(row["unigram_surprisal_nats"]) for row in rows]
    assert unigram[0] < unigram[2] <= unigram[1] or kind == "word"
    if kind == "char":
        counts = text[: int(len(text) * 0.9)]
        assert counts  # the share of the most frequent word among all that were counted
        total = len(train) + len(set(train)) + 1
        assert unigram[0] == pytest.approx(-math.log((train.count(word) + 1) / total), abs=0.02)


def test_guesses_are_bounded_by_the_vocabulary(run: Path) -> None:
    write("text.txt", "ba")
    done = call("score", run, "text.txt", "--top", 5000)
    size = len(json.loads((run / "tokenizer" / "tokenizer.json").read_text())["symbols"]) + 2
    (row,) = rows_of(done)
    assert sum(name.startswith("p_") for name in row) == size
    assert sum(float(row[f"p_{n}"] or 0) for n in range(1, size + 1)) == pytest.approx(1, abs=1e-3)
    assert done.err[0].startswith(f"note        the vocabulary has {size} tokens")


def test_unknown_white_space_ends_a_word_and_line_ends_are_noted(run: Path) -> None:
    write("windows.txt", "ba co\r\nlo\u2028di fu\r\n")
    done = call("score", run, "windows.txt")
    rows = rows_of(done)
    assert [row["text"] for row in rows] == ["ba ", "co\r\n", "lo\u2028", "di ", "fu\r\n"]
    assert [row["oov"] for row in rows] == ["0", "1", "1", "0", "1"]
    assert "CR LF" in done.err[0]
    shown = call("perplexity", run, "windows.txt")
    assert "'\\r' (2x)" in shown.out
    assert "CR LF" in shown.err[0]
    write("unix.txt", "ba co\nlo di fu\n")
    assert call("score", run, "unix.txt").err == []


def test_what_is_odd_about_a_text_is_told_by_every_command_that_reads_it(own_folder: Path) -> None:
    unix, windows = Path(write("unix.txt", book_text(300))), Path("windows.txt")
    windows.write_bytes(unix.read_bytes().replace(b"\n", b"\r\n"))
    learn = ("--steps", 2, "--tokenizer", "byte", "--hidden-size", 16, "--batch-size", 4)
    told = {
        text.stem: call("train", text, "--out", text.stem, *learn).err for text in (unix, windows)
    }
    learned = "note        lines end with CR LF (as on Windows), which the model will learn"
    assert any(line.startswith(learned) for line in told["windows"])
    assert not any(line.startswith("note") for line in told["unix"])
    unlike = "note        lines end with {}, in training they ended with {}: every carriage return "
    for command in ("score", "perplexity"):
        (note,) = call(command, "unix", windows).err
        assert note == unlike.format("CR LF (as on Windows)", "LF") + "comes unexpectedly"
        (note,) = call(command, "windows", unix).err
        assert note == unlike.format("LF", "CR LF (as on Windows)") + "is missing"
        assert call(command, "windows", windows).err == call(command, "unix", unix).err == []
        (note,) = call(command, "unix", unix, "--text-column", "x").err
        assert note == "note        --text-column does nothing: unix.txt is plain text, no table"
    (own_folder / "mixed").mkdir()
    write("mixed/a.txt", "ba co\n")
    write("mixed/b.bin", "\0" * 20)
    for command in ("score", "perplexity"):
        assert call(command, "unix", "mixed").err == ["note        mixed: left out b.bin"]


def test_unk_is_a_word_of_a_tokenized_corpus(own_folder: Path) -> None:
    corpus = write("ptb.txt", " the <unk> sat on the <unk> mat \n a cat sat on a mat \n" * 200)
    done = call("train", corpus, "--out", "ptb", "--tokenizer", "word", *SMALL)
    assert done.code == 0, done.err
    text = write("test.txt", "the <unk> sat\nthe cat sat\n" * 20)
    lines = call("perplexity", "ptb", text).out.splitlines()
    assert "what papers on PTB and WikiText give: line ends (<eos>) count as words" in lines[2]
    assert lines[-1] == "unknown     20 of 160 tokens are <unk>, a word of this text"
    assert not any("never seen" in line or "without" in line for line in lines)
    other = write("other.txt", "the <unk> sat\nthe dog sat\n")
    lines = call("perplexity", "ptb", other).out.splitlines()
    assert lines[-1] == (
        "unknown     1 of 8 tokens is <unk>, a word of this text; 1 was never seen in training: "
        "'dog' (1x)"
    )
    plain = call("perplexity", "ptb", write("plain.txt", "the dog sat\n")).out.splitlines()
    assert plain[-2] == "unknown     1 of 4 tokens was never seen in training: 'dog' (1x)"
    assert plain[-1].split()[:3] == ["perplexity", "without", "it"]


@pytest.mark.parametrize("command", ["perplexity", "score", "pairs"])
def test_a_second_run_in_place_of_a_text_is_named(command: str, run: Path) -> None:
    write("text.tsv", "ba\tco\n")
    done = call(command, run, run, "text.tsv")
    failed(done, 2, f"{run} is a run, not a text", "compare measures two runs")


def test_pairs_may_have_a_header_and_be_a_csv(run: Path) -> None:
    plain = call("pairs", run, write("plain.tsv", "ba co\tlo di\n\nfu\tga\n"), "--each").out
    tsv = "Good\tbad\r\n\r\nba co\tlo di\r\nfu\tga\r\n"
    assert call("pairs", run, write("head.tsv", tsv), "--each").out == plain
    table = 'n,sentence_bad,sentence_good\n1,lo di,"ba co"\n\n2,ga,fu\n'
    assert call("pairs", run, write("head.csv", table), "--each").out == plain
    assert call("pairs", run, write("bare.csv", "ba co,lo di\nfu,ga\n"), "--each").out == plain
    quoted = write("comma.csv", 'good,bad\n"ba, co",lo\n')
    assert rows_of(call("pairs", run, quoted, "--each"))[0]["good"] == "ba, co"


def test_a_curve_says_how_it_is_to_be_read(run: Path) -> None:
    write("text.txt", "ba co\n" * 50)
    lines = call("perplexity", run, "text.txt", "--reset", "line", "--curve").out.splitlines()
    assert lines[-2].startswith(
        "A token at position n is predicted from the n - 1 tokens before it"
    )


def test_the_interval_and_the_standard_error_are_named(run: Path) -> None:
    write("text.txt", "ba co lo di fu.\n" * 100)
    lines = call("perplexity", run, "text.txt").out.splitlines()
    record = json.loads(call("perplexity", run, "text.txt", "--json").out)
    assert f"± {record['perplexity_se']:.3f} s.e. per token (char)" in lines[2]
    low, high = record["perplexity_interval"]
    assert lines[4] == f"interval    {low:,.3f} to {high:,.3f} per token (95 %)"


def test_blank_lines_are_no_rows_of_a_table_and_no_sentences(run: Path) -> None:
    rows = ("item\tregion\ttext", "1\t1\tba", "1\t2\tco", "2\t1\tlo")
    plain = call("score", run, write("plain.tsv", "\n".join(rows)), "--by", "region").out
    blank = call("score", run, write("blank.tsv", "\n\n".join(rows) + "\n\n"), "--by", "region")
    assert (blank.code, blank.out) == (0, plain)
    sentences = write("blank.txt", "\n\nba co\n \n\nlo\n")
    words = call("score", run, sentences, "--format", "neural-complexity").out.splitlines()
    assert [word.split()[:3] for word in words[1:]] == [
        ["ba", "0", "0"], ["co", "0", "1"], ["lo", "1", "0"],
    ]  # fmt: skip


def test_a_table_of_blank_rows_holds_nothing(run: Path) -> None:
    failed(call("pairs", run, write("blank.csv", "\n\n")), 1, "holds no pairs", "pairs")
    failed(
        call("score", run, write("blank.tsv", "\n\n"), "--by", "region"), 1,
        "holds no regions", "regions",
    )  # fmt: skip


def test_another_column_of_a_table_can_be_scored(run: Path) -> None:
    Path("t.csv").write_text("sent,cond\nba co di,1\nlo ga,2\n", encoding="utf-8")
    for command in (("score", run), ("perplexity", run), ("compare", run, run)):
        done = call(*command, "t.csv")
        failed(done, 1, "has no column 'text'; its columns are: sent, cond", "--text-column NAME")
        assert call(*command, "t.csv", "--text-column", "sent").code == 0
    wrong = call("perplexity", run, "--part", "test", "--text-column", "sent")
    failed(wrong, 2, "--text-column does nothing with --part", "--help")
    region = call("score", run, "t.csv", "--by", "region", "--text-column", "sent")
    failed(region, 2, "--text-column does nothing with --by region", "--help")
