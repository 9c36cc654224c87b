"""Lists of hypotheses and references are read as they are written, or refused by line."""

import gzip
import json
from pathlib import Path

import pytest

from charlm.data.formats.json_lines import json_line
from charlm.data.formats.nbest import NbestFile, open_nbest
from charlm.data.formats.references import check_lists, read_references
from charlm.errors import ConfigError, CorpusError

KALDI = "utt1 -3.5 hello world\nutt1 -4 hallo world\nutt2 -1e1 yes\n"
NUMBERED = "a-b-1 1 x\na-b-2 2 y\na-b-10 2 z\na-c-1 3 x y\nother 1 x\n"
PLAIN = "hello world\nhallo world\n\n\nyes\n"
JSONL = '{"id": "u", "text": "a b", "score": -1}\n{"id": "u", "text": ""}\n'


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def opened(text: str | bytes, name: str = "n.txt", format: str | None = None) -> NbestFile:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_nbest(name, format)


def lists(file: NbestFile) -> list[tuple[str, list[str]]]:
    return [(each.id, [one.text for one in each.hypotheses]) for each in file.lists()]


def test_kaldi_lists_are_lines_of_one_id() -> None:
    file = opened(KALDI)
    assert file.format == "kaldi"
    assert lists(file) == [("utt1", ["hello world", "hallo world"]), ("utt2", ["yes"])]
    given = [one.given for each in file.lists() for one in each.hypotheses]
    assert given == [-3.5, -4.0, -10.0]


def test_numbered_ids_name_their_list_without_the_number() -> None:
    file = opened(NUMBERED)
    assert lists(file) == [("a-b", ["x", "y", "z"]), ("a-c", ["x y"]), ("other", ["x"])]
    ids = [one.id for each in file.lists() for one in each.hypotheses]
    assert ids == ["a-b-1", "a-b-2", "a-b-10", "a-c-1", "other"]


def test_a_number_that_does_not_grow_begins_another_list_of_the_same_name() -> None:
    file = opened("a-1 1 x\na-2 2 y\na-1 1 z\n")
    assert lists(file) == [("a", ["x", "y"]), ("a", ["z"])]


def test_ids_are_taken_as_they_are_where_some_are_repeated() -> None:
    file = opened("talk-1 1 a\ntalk-1 2 b\ntalk-2 1 c\n")
    assert lists(file) == [("talk-1", ["a", "b"]), ("talk-2", ["c"])]


def test_numbers_with_leading_zeros_belong_to_the_id() -> None:
    file = opened("1089-0001 1 a\n1089-0002 2 b\n")
    assert [id for id, _ in lists(file)] == ["1089-0001", "1089-0002"]


def test_numbers_longer_than_any_count_belong_to_the_id() -> None:
    long = "1" * 5000
    file = opened(f"u-{long} 1 a\nu-{long}2 2 b\n")
    assert [id for id, _ in lists(file)] == [f"u-{long}", f"u-{long}2"]


def test_plain_lists_end_with_an_empty_line() -> None:
    file = opened(PLAIN)
    assert file.format == "plain"
    assert lists(file) == [("1", ["hello world", "hallo world"]), ("2", ["yes"])]


def test_objects_name_their_list_or_have_an_id() -> None:
    rows = [
        {"list": 7, "id": "a", "text": "x", "n": 1},
        {"list": 7, "id": "b", "text": "y"},
        {"id": "c", "text": "z"},
    ]
    file = opened("\n".join(map(json.dumps, rows)), "n.jsonl")
    assert lists(file) == [("7", ["x", "y"]), ("c", ["z"])]
    assert next(file.lists()).hypotheses[0].record == rows[0]


FILES = [
    ("n.txt", "u1 3 x", "kaldi"),
    ("n.txt", "u1 3", "kaldi"),
    ("n.txt", "u -3 x\nv 1e2 y\nw .5", "kaldi"),
    ("n.txt", "hello", "plain"),
    ("n.txt", "u1 three x", "plain"),
    ("n.txt", "In 1984 the king came\nIn 1948 the king came", "plain"),
    ("n.txt", "u1 3 x\nhello world\nIn 1984", "plain"),
    ("n.txt", "In 1984 the king came\nu1 -3 a\nu1 -4 b", "kaldi"),  # as most lines are
    ("n.txt", "nan inf x\nu nan x", "plain"),
    ("n.txt", "0 ||| how are you ||| f=1 ||| -3.2", "moses"),
    ("n.txt", "0 ||| how are you ||| f=1", "moses"),
    ("n.txt", "a || b | c", "plain"),
    ("n.txt", '{"id": "u", "text": "x"}', "jsonl"),
    ("n.jsonl", '{"id": 1, "text": "x"}', "jsonl"),
]


@pytest.mark.parametrize(("name", "text", "format"), FILES)
def test_the_format_is_told_by_the_name_and_all_lines(name: str, text: str, format: str) -> None:
    assert opened(text + "\n", name).format == format


MOSES = (
    "0 ||| how are you ||| LM= -4.5 ||| -3.2 ||| 0-0 1-1\n"
    "0 ||| how is you |||  ||| -4\n"
    "1 |||  ||| LM= -1 ||| -1\n"
)


def test_lists_of_moses_are_lines_of_one_id() -> None:
    file = opened(MOSES)
    assert lists(file) == [("0", ["how are you", "how is you"]), ("1", [""])]
    first = next(file.lists()).hypotheses[0]
    assert first.given == -3.2
    assert first.columns == ("0", "how are you", "LM= -4.5", "-3.2", "0-0 1-1")
    unscored = opened("0 ||| a ||| f\n0 ||| b ||| f\n")
    assert [one.given for each in unscored.lists() for one in each.hypotheses] == [None, None]


def test_hypotheses_may_be_counted_from_nought() -> None:
    assert lists(opened("a-0 -1 x\na-1 -2 y\nb-0 -1 z\n")) == [("a", ["x", "y"]), ("b", ["z"])]
    assert lists(opened("a-2 -1 x\na-3 -2 y\n")) == [("a-2", ["x"]), ("a-3", ["y"])]


def test_a_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="`input_format` must be one of kaldi, plain, jsonl"):
        opened(KALDI, format="sclite")


def test_json_lines_are_lines_for_every_reader() -> None:
    record = {"text": "a\u2028b\x85c\u2029d é😀\n", "spk": "\ud83d"}
    line = json_line(record)
    assert line.splitlines() == [line[:-1]]
    assert "é😀" in line
    assert "\\ud83d" in line
    assert json.loads(line.encode("utf-8")) == record


def test_packed_files_empty_hypotheses_and_other_line_ends() -> None:
    content = b"\xef\xbb\xbfutt1 -3.5\r\n\r\nutt1 -4 caf\xc3\xa9 \xc2\xa0noir\r\n"
    file = opened(gzip.compress(content), "n.gz")
    assert lists(file) == [("utt1", ["", "café \xa0noir"])]


BAD = [
    ("kaldi", "u 1 x\nu\n", "n.txt line 2 has no score: 'u'"),
    ("kaldi", "u 1 x\nv two y\n", "n.txt line 2: the score 'two' is no number"),
    ("kaldi", "u nan x\n", "line 1: the score 'nan' is no number"),
    ("kaldi", "u -inf x\n", "line 1: the score '-inf' is no number"),
    ("kaldi", "u 1 a\nu 2 b\nv 1 c\nu 1 d\n", "line 4: u comes again, its list began in line 1"),
    ("jsonl", '{"id": "u", "text": "x"}\n{\n', "line 2 is no JSON object with a text: '{'"),
    ("jsonl", '{"id": "u", "text": 3}\n', "line 1 is no JSON object with a text"),
    ("jsonl", '{"id": "u", "text": "\\ud83d"}\n', "line 1: character 0 is half a surrogate pair"),
    ("moses", "0 ||| a ||| f ||| -1\n0 ||| b\n", "line 2 has not the columns of a Moses list"),
    ("moses", "0 ||| a ||| f ||| x\n", "line 1: the score 'x' is no number"),
    ("moses", "0 ||| a ||| f ||| 1\n0 ||| b ||| f\n", "line 2 has no score, unlike those before"),
    ("jsonl", '{"text": "x"}\n', 'line 1 has neither "id" nor "list"'),
    ("jsonl", '{"text": "x", "id": true}\n', 'line 1 has neither "id" nor "list"'),
    ("jsonl", '{"id": "u", "text": "x", "score": true}\n', "the score 'True' is no number"),
    ("jsonl", JSONL, "line 2 has no score, unlike those before"),
    (None, "u1 3 x\nu1 three x\nu1 4 x\n", "line 2: the score 'three' is no number"),
    (None, "0 ||| a ||| f\n0 a\n0 ||| b ||| f\n", "line 2 has not the columns of a Moses"),
    (None, "u1 -2 x\nu1 -3 a\nu1 -4 b\nu1 c\n", "line 4: the score 'c' is no number"),
    ("plain", "", "n.txt holds no hypotheses"),
    ("plain", " \n\n\t\n", "n.txt holds no hypotheses"),
    (
        "plain",
        b"caf\xe9\n",
        "n.txt is not utf-8 text: byte 0xe9 at offset 3 (invalid continuation byte), in line 1",
    ),
    ("plain", "a\n" + "b" * (2 << 20), "n.txt: line 2 is longer than 1,048,576 characters"),
]


@pytest.mark.parametrize(("format", "text", "cause"), BAD, ids=[bad[2][:40] for bad in BAD])
def test_bad_lists_are_refused_by_line(format: str | None, text: str | bytes, cause: str) -> None:
    with pytest.raises(CorpusError) as caught:
        check_lists(opened(text, format=format), None)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value) + caught.value.hint


def test_references_are_words_by_id_and_by_order_for_plain_lists() -> None:
    Path("r.txt").write_text("utt1 hello world\n\nutt2\n")
    found = read_references(Path("r.txt"), "kaldi")
    assert found.words == {"utt1": ["hello", "world"], "utt2": []}
    assert found.lines == {"utt1": 1, "utt2": 3}
    assert check_lists(opened(KALDI), found) == 3
    Path("p.txt").write_text("hello world\nyes\n")
    assert check_lists(opened(PLAIN), read_references("p.txt", "plain")) == 3
    assert read_references("p.txt", "plain").words["2"] == ["yes"]
    assert check_lists(opened(MOSES), read_references("p.txt", "moses")) == 3
    assert read_references("p.txt", "moses").words["1"] == ["yes"]


MISMATCHES = [
    ("utt1 a\n", "r.txt has no reference for utt2 (line 3) of n.txt"),
    ("utt1 a\nutt2 b\nutt9 c\n", "n.txt has no list for utt9 (line 3) of r.txt"),
    ("utt1 a\nutt1 b\n", "r.txt line 2: utt1 has a reference in line 1 already"),
    ("", "r.txt holds no references"),
]


@pytest.mark.parametrize(("references", "cause"), MISMATCHES)
def test_references_that_do_not_match_are_refused(references: str, cause: str) -> None:
    Path("r.txt").write_text(references)
    with pytest.raises(CorpusError) as caught:
        check_lists(opened(KALDI), read_references(Path("r.txt"), "kaldi"))
    assert str(caught.value) == cause


def test_missing_files_are_named() -> None:
    with pytest.raises(CorpusError, match=r"missing\.txt cannot be read"):
        open_nbest("missing.txt")
    with pytest.raises(CorpusError, match=r"missing\.txt cannot be read"):
        read_references(Path("missing.txt"), "kaldi")
