"""``charlm rescore`` as its users meet it."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charlm.errors import ModelError
from charlm.inference.rescoring import job
from tests.cli.conftest import book_text, call, tree

REFERENCES = [line.split()[:8] for line in book_text(900).splitlines() if len(line.split()) > 4][
    :30
]


def corrupted(words: list[str], source: random.Random) -> list[str]:
    """``words`` with letters exchanged in one of them."""
    at = source.randrange(len(words))
    return [*words[:at], "".join(source.sample(words[at], len(words[at]))), *words[at + 1 :]]


@pytest.fixture(autouse=True)
def lists(run: Path) -> None:
    """Thirty lists whose given scores prefer a wrong hypothesis by a little."""
    source = random.Random(1)
    nbest, references = [], []
    for at, words in enumerate(REFERENCES):
        texts = [words, *(corrupted(words, source) for _ in range(5))]
        for rank, text in enumerate(sorted(texts, key=lambda _: source.random()), 1):
            score = -5 - (source.random() if text == words else 0)
            nbest.append(f"utt{at}-{rank} {score:.3f} {' '.join(text)}")
        references.append(f"utt{at} {' '.join(words)}")
    Path("n.txt").write_text("\n".join(nbest) + "\n")
    Path("r.txt").write_text("\n".join(references) + "\n")


def summary(*arguments: object) -> dict[str, Any]:
    done = call("rescore", "run", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out.splitlines()[-1])  # type: ignore[no-any-return]


def test_the_best_of_each_list_comes_out_as_the_lists_came_in() -> None:
    done = call("rescore", "run", "n.txt")
    assert done.code == 0
    rows = [line.split(None, 2) for line in done.out.splitlines()]
    assert [row[0] for row in rows] == [f"utt{at}" for at in range(30)]
    every = call("rescore", "run", "n.txt", "--all").out.splitlines()
    given = [line.split(None, 2) for line in Path("n.txt").read_text().splitlines()]
    scored = [line.split(None, 2) for line in every]
    assert [(row[0], row[2]) for row in scored] == [(row[0], row[2]) for row in given]
    for at, row in enumerate(rows):
        own = [line for line in scored if line[0].startswith(f"utt{at}-")]
        assert row[1:] == max(own, key=lambda line: float(line[1]))[1:]


def test_costs_are_the_same_with_the_sign_changed() -> None:
    text = Path("n.txt").read_text()
    Path("costs.txt").write_text(text.replace(" -", " "))
    likely = call("rescore", "run", "n.txt", "--all").out
    costs = call("rescore", "run", "costs.txt", "--given", "cost", "--all").out
    assert costs == likely.replace(" -", " ")


def test_tuned_weights_are_printed_lower_the_errors_and_can_be_used_again() -> None:
    tuned = summary("n.txt", "--tune", "r.txt")
    rates = [tuned[name]["wer"] for name in ("given", "rescored", "oracle")]
    assert rates[0] > rates[1] >= rates[2] == 0
    weights = ("--lm-weight", tuned["lm_weight"], "--word-bonus", tuned["word_bonus"])
    assert summary("n.txt", "--refs", "r.txt", *weights) == tuned
    said = call("rescore", "run", "n.txt", "--tune", "r.txt")
    expected = f"--lm-weight {tuned['lm_weight']:g} --word-bonus {tuned['word_bonus']:g}"
    assert any(expected in line for line in said.err)
    assert any(line.split()[:2] == ["oracle", "0.00%"] for line in said.err)
    assert max(map(len, said.err)) <= 80
    assert said.out == call("rescore", "run", "n.txt", *weights).out


def test_n_grams_and_mixtures_choose_as_well(book: Path) -> None:
    assert call("train", book, "--out", "grams", "--model", "ngram").code == 0
    by_grams = json.loads(call("rescore", "grams", "n.txt", "--refs", "r.txt", "--json").out
                          .splitlines()[-1])  # fmt: skip
    assert by_grams["rescored"]["wer"] < by_grams["given"]["wer"]
    rows = {}
    for name, more in {"run": (), "grams": (), "mixed": ("--mix", "grams")}.items():
        folder = "run" if name == "mixed" else name
        lines = call("rescore", folder, "n.txt", "--all", "--json", *more).out.splitlines()[:-1]
        rows[name] = [json.loads(line)["log_p"] for line in lines]
    for network, grams, mixed in zip(*rows.values(), strict=True):
        assert mixed <= max(network, grams) + 1e-12  # sums of logarithms are rounded
        assert mixed > min(network, grams)


def test_every_format_gives_the_same_choice() -> None:
    rows = [line.split(None, 2) for line in Path("n.txt").read_text().splitlines()]
    records = [
        {"id": key, "list": key.split("-")[0], "score": float(score), "text": text, "more": 1}
        for key, score, text in rows
    ]
    Path("n.jsonl").write_text("\n".join(map(json.dumps, records)))
    texts = [row[2] for row in rows]
    plain = "\n\n".join("\n".join(texts[at : at + 6]) for at in range(0, len(texts), 6))
    chosen = [line.split(None, 2)[2] for line in call("rescore", "run", "n.txt").out.splitlines()]
    objects = [json.loads(line) for line in call("rescore", "run", "n.jsonl").out.splitlines()]
    assert [record["text"] for record in objects] == chosen
    assert all(record["more"] == 1 for record in objects)
    unscored = "\n".join(f"u{at // 6} 0 {text}" for at, text in enumerate(texts))
    by_model = call("rescore", "run", "-", stdin=unscored).out.splitlines()
    alone = call("rescore", "run", "-", stdin=plain).out.splitlines()
    assert alone == [line.split(None, 2)[2] for line in by_model]
    merged = call("rescore", "run", "-", stdin=plain.replace("\n\n", "\n"))
    assert len(merged.out.splitlines()) == 1
    assert any("all hypotheses are in one list" in line for line in merged.err)
    assert any("180 hypotheses in 1 list of 180 (plain" in line for line in merged.err)
    every = call("rescore", "run", "-", "--all", stdin=plain).out.split("\n\n")
    assert [len(each.strip().splitlines()) for each in every if each] == [6] * 30


def test_json_adds_up_and_out_is_written_whole_and_never_over_something() -> None:
    lines = call("rescore", "run", "n.txt", "--all", "--json", "--lm-weight", 0.5,
                 "--word-bonus", 2).out.splitlines()  # fmt: skip
    records = [json.loads(line) for line in lines]
    assert len(records) == 181
    for row in records[:-1]:
        total = row["given"] + 0.5 * row["log_p"] + 2 * row["words"]
        assert row["total"] == pytest.approx(total)
    shown = call("rescore", "run", "n.txt").out
    assert call("rescore", "run", "n.txt", "--out", "best.txt").out == ""
    assert Path("best.txt").read_text() == shown
    before = tree(Path())
    done = call("rescore", "run", "n.txt", "--out", "best.txt")
    assert (done.code, done.out) == (1, "")
    assert "best.txt exists already" in done.err[0]
    assert tree(Path()) == before


def test_scores_that_run_the_wrong_way_are_noticed() -> None:
    ordered = sorted(
        (line.split(None, 2) for line in Path("n.txt").read_text().splitlines()),
        key=lambda row: (int(row[0].split("-")[0][3:]), float(row[1])),
    )
    Path("wrong.txt").write_text("".join(f"{k.split('-')[0]} {s} {t}\n" for k, s, t in ordered))
    noted = call("rescore", "run", "wrong.txt").err
    assert any("--given cost?" in line for line in noted)
    assert not any("--given" in line for line in call("rescore", "run", "n.txt").err)


def test_what_the_model_has_never_seen_is_counted() -> None:
    done = call("rescore", "run", "-", stdin="u1 1 ba ŁŁ\nu1 2 ba co\n")
    assert any(
        "1 hypothesis holds words or characters that were never seen" in line for line in done.err
    )


def test_years_in_sentences_are_text() -> None:
    done = call("rescore", "run", "-", stdin="In 1984 the ba came\nIn 1948 the ba came\n")
    assert done.out in ("In 1984 the ba came\n", "In 1948 the ba came\n")
    assert any("2 hypotheses in 1 list of 2 (plain" in line for line in done.err)


def test_lists_of_moses_come_out_as_they_came_in_with_the_total() -> None:
    text = (
        "0 ||| ba co ||| f= 1 2 ||| -3.2 ||| 0-0\n0 ||| lo ||| f= 3 ||| -90\n1 ||| ba ||| f ||| 1\n"
    )
    Path("moses.txt").write_text(text)
    Path("said.txt").write_text("ba co\nba\n")
    done = call("rescore", "run", "moses.txt", "--lm-weight", 0.5, "--refs", "said.txt")
    columns = [line.split(" ||| ") for line in done.out.splitlines()]
    assert [row[:3] for row in columns] == [["0", "ba co", "f= 1 2"], ["1", "ba", "f"]]
    assert [len(row) for row in columns] == [5, 4]
    records = summaries("moses.txt", "--lm-weight", 0.5, "--all")
    assert float(columns[0][3]) == pytest.approx(-3.2 + 0.5 * records[0]["log_p"], abs=1e-4)
    assert summary("moses.txt", "--refs", "said.txt")["rescored"]["wer"] == 0
    assert (records[-1]["smallest_list"], records[-1]["largest_list"]) == (1, 2)


def summaries(*arguments: object) -> list[dict[str, Any]]:
    """All records of ``--json``."""
    done = call("rescore", "run", *arguments, "--json")
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("u1 -1 ba\nu2 -1 co\nu3 -1 lo\n", "every list has one hypothesis"),
        ("1 -1 ba\n", "every list has one hypothesis"),
        ("spk-1 -1 ba\nspk-2 -1 co\nspk-3 -1 lo\n", "all hypotheses are in one list"),
        ("u1 -1 ba\nu1 -1 co\nu2 -1 co\n", None),
    ],
)
def test_lists_that_are_hardly_meant_so_are_doubted_aloud(text: str, note: str | None) -> None:
    done = call("rescore", "run", "-", stdin=text)
    assert done.code == 0
    assert [line for line in done.err if line.startswith("note")] == [
        line for line in done.err if note and note in line
    ]
    assert any(note in line for line in done.err) if note else True


def test_what_is_no_character_in_another_field_comes_back_as_it_was() -> None:
    line = '{"id": 1, "text": "ba\\u2028", "spk": "\\ud83d", "score": -1}'
    Path("odd.jsonl").write_text(line + "\n")
    assert call("rescore", "run", "odd.jsonl", "--out", "best.jsonl").code == 0
    (found,) = Path("best.jsonl").read_text().splitlines()
    assert found.startswith(line.partition(', "score"')[0])
    assert call("rescore", "run", "odd.jsonl").out == Path("best.jsonl").read_text()


def test_a_device_that_is_named_for_the_result_stays_a_device() -> None:
    Path("null").symlink_to("/dev/null")
    assert call("rescore", "run", "n.txt", "--out", "null").code == 0
    assert Path("null").is_char_device()


def test_nothing_is_printed_before_the_last_list_is_ranked(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = job.possible

    def failing(*arguments: object) -> Iterator[object]:
        lists = list(whole(*arguments))
        yield from lists[:-1]
        raise ModelError("the last has probability zero", "take it out")

    monkeypatch.setattr(job, "possible", failing)
    done = call("rescore", "run", "n.txt")
    assert (done.code, done.out) == (1, "")


BAD = {
    "cut at line 1000": "u1 1 ba\n" * 999 + "v1\n",
    "score at line 1000": "u1 1 ba\n" * 999 + "u1 one ba\n",
    "surrogate at line 1000": '{"id": 1, "text": "ba"}\n' * 999 + '{"id": 1, "text": "\\ud83d"}\n',
    "no lists": "",
    "id again": "u1 1 a\nu1 1 b\nv1 1 a\nu1 1 a\n",
    "not utf-8": b"u1 1 ba\nu1 1 caf\xe9\n",
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
def test_bad_lists_print_nothing_but_two_lines(name: str) -> None:
    text = BAD[name]
    Path("bad.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = tree(Path())
    done = call("rescore", "run", "bad.txt", "--out", "best.txt")
    piped = call("rescore", "run", "bad.txt")
    assert (done.code, piped.code, piped.out) == (1, 1, "")
    assert len(piped.err) == 2
    assert "bad.txt" in piped.err[0]
    assert ("line 1000" in piped.err[0]) == ("1000" in name)
    assert tree(Path()) == before


WRONG = [
    ("n.txt --tune r.txt --refs r.txt", 2, "--tune finds the weights", "leave --refs"),
    ("n.txt --tune r.txt --lm-weight 2", 2, "--tune finds the weights", "leave --refs"),
    ("n.txt --lm-weight nan", 2, "must be finite numbers", "--lm-weight 0.5"),
    ("n.txt --given likelihood", 2, "'likelihood' is not one of", "--help"),
    ("n.txt --refs missing.txt", 1, "missing.txt cannot be read", "path"),
    ("n.txt --refs fewer.txt", 1, "fewer.txt has no reference for utt29 (line 175)", "each list"),
    ("n.txt --tune more.txt", 1, "n.txt has no list for utt30 (line 31)", "each reference"),
    ("missing.txt", 1, "missing.txt cannot be read", "path"),
    ("n.txt --input-format jsonl", 1, "n.txt line 1 is no JSON object", "text"),
    ("n.txt --format jsonl", 2, "--format", "--input-format"),
    ("n.txt --out .", 1, ". is a folder", "name a file"),
    ("n.txt --out no/best.txt", 1, "there is no folder no", "name a file"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "code", "cause", "remedy"), WRONG)
def test_wrong_use_is_said_in_two_lines(command: str, code: int, cause: str, remedy: str) -> None:
    references = Path("r.txt").read_text()
    Path("fewer.txt").write_text("\n".join(references.splitlines()[:-1]))
    Path("more.txt").write_text(references + "utt30 ba co\n")
    done = call("rescore", "run", *command.split())
    assert (done.code, done.out) == (code, "")
    assert len(done.err) == 2
    assert cause in done.err[0]
    assert remedy in done.err[1]
