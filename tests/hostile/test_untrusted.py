"""What reads untrusted files reads right ones as the standard library does, and bounds the rest."""

import json
import os
import random
import socket
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data.sources.lists import list_items
from charlm.data.tokenizers import kinds
from charlm.errors import TokenizerError
from charlm.untrusted import LARGEST_TOML, MOST_STRUCTURE, parse_json, parse_toml, read_file

QUICK = settings(max_examples=200, deadline=None, database=None)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@QUICK
@given(st.lists(VALUES, max_size=5), st.integers(0, 2**32), st.sampled_from([None, 1]))
def test_the_items_of_a_list_are_those_of_json_however_it_is_cut(
    values: list[object], seed: int, indent: int | None
) -> None:
    source = random.Random(seed)
    text = " " * source.randint(0, 2) + json.dumps(values, indent=indent, ensure_ascii=False) + "\n"
    cuts = sorted(source.randint(0, len(text)) for _ in range(source.randint(0, 6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [json.loads(item) for item in list_items(pieces, 1 << 20)] == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "not closed"), ('["a', "not closed"), ("[1] 2", "text follows"),
        ("[1],", "text follows"), ('["' + "a" * 99, "longer than 50"),
        ("[[" + "[]," * MOST_STRUCTURE, "more than 1,048,576 values"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(text: str, message: str) -> None:
    longest = 50 if "longer" in message else 1 << 30
    with pytest.raises(ValueError, match=message):
        list(list_items([text, " "], longest))


@pytest.mark.parametrize("text", ["[]", " [ ]\n", "[\n]"])
def test_an_empty_list_has_no_items(text: str) -> None:
    assert list(list_items([text], 9)) == []


@pytest.mark.parametrize("text", ["[,]", "[1,]", "[1 2]", "[1}"])
def test_an_item_that_is_no_json_is_left_to_the_parser(text: str) -> None:
    def parse() -> list[object]:
        return [json.loads(item) for item in list_items([text], 9)]

    with pytest.raises(ValueError, match=r"Expecting|Extra|follows"):
        parse()


@QUICK
@given(VALUES, st.sampled_from([1, 8, MOST_STRUCTURE]))
def test_json_within_the_bounds_is_what_json_says(value: object, structure: int) -> None:
    text = json.dumps(value)
    try:
        found = parse_json(text.encode(), structure=structure)
    except ValueError:
        assert len(text) > structure < MOST_STRUCTURE
    else:
        assert found == value


def test_the_bound_counts_values_and_not_the_text_in_strings() -> None:
    assert parse_json(json.dumps(["a,[{" * 99]), structure=9)
    assert len(parse_json('["' + '","'.join("a" * 9) + '"]', structure=11)) == 9
    for text in ('["' + '","'.join("a" * 10) + '"]', "[" * 12 + "]" * 12, "[1,2,3,4,5,6]"):
        with pytest.raises(ValueError, match="more than 11 values"):
            parse_json(text, structure=11)
    with pytest.raises(ValueError, match="too deeply"):
        parse_json("[" * 100_000)


def test_toml_within_the_bounds_is_what_tomllib_says() -> None:
    text = 'a.b.c = 1\n[x."y.z"]\nk = ["a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.txt", 0x7fff_ffff]\n'
    assert parse_toml(text) == parse_toml(text.encode()) == tomllib.loads(text)
    assert parse_toml(".".join("a" * 16) + f" = {2**64 - 1}")
    for text, message in (
        (".".join("a" * 17) + " = 1", "more than 16 parts"),
        ("'a b' . \"c\" ." + ".".join("a" * 15) + " = 1", "more than 16 parts"),
        (f"a = [{{b = {2**64}}}]", "more than 64 bits"),
        ("a = " + "[" * 5000, "too deeply"),
        ("#" * (LARGEST_TOML + 1), "larger than"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_toml(text)


def test_only_files_are_read_and_not_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(ValueError, match="a is larger than 4 bytes"):
        read_file(path, 4)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for name in ("link", "missing", "socket"):
            with pytest.raises(OSError, match=r"link|No such|socket"):
                read_file(tmp_path / name, 5)
    for special in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ValueError, match="is no file"):
            read_file(special, 5)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(ValueError, match="is no file"):
        read_file(tmp_path, 5)
    assert set(Path("/proc/self/fd").iterdir()) == before  # nothing stays open


@pytest.mark.parametrize("symbols", [["a", ""], ["ab"], ["a", "a"]])
def test_an_alphabet_holds_single_characters_once(symbols: list[str], tmp_path: Path) -> None:
    table = {"format": 1, "kind": "char", "symbols": symbols}
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: the alphabet"):
        kinds.load(tmp_path)
