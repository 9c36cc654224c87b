"""The cards are in order, agree with the texts they describe, and name sources as they should."""

import hashlib
import random
import re
from pathlib import Path

import pytest

from charlm.config import Config, DataConfig
from charlm.data.catalogue import index as catalogue
from charlm.data.catalogue.card import Card, parse_card
from charlm.data.catalogue.index import expand, find, list_cards, nearest, read_card
from charlm.data.sources.corpora import open_corpus
from charlm.errors import CorpusError

KNOWN = [card.name for card in list_cards()]

MINIMAL = """
title = "Toy"
description = "A text."
language = "English"
licence = "public domain"
kind = "download"
[[files]]
part = "all"
url = "https://example.org/toy.txt"
"""


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the catalogue's."""
    monkeypatch.setattr(catalogue, "cards_folder", lambda: tmp_path)
    return tmp_path


def put(name: str, **texts: str) -> None:
    """Act as if the corpus had been fetched."""
    folder = read_card(name).folder
    folder.mkdir(parents=True)
    for part, text in texts.items():
        (folder / f"{part}.txt").write_text(text)


def test_the_catalogue_knows_the_corpora_of_the_field() -> None:
    expected = "tinyshakespeare ptb-word ptb-char wikitext-2 wikitext-2-raw wikitext-103 enwik8"
    expected += " text8 war-and-peace python-docs python-stdlib"
    assert set(expected.split()) <= set(KNOWN)
    assert sorted(KNOWN) == KNOWN


@pytest.mark.parametrize("name", KNOWN)
def test_every_card_says_what_is_needed_to_use_the_text(name: str) -> None:
    card = read_card(name)
    assert card.name == name
    assert card.licence
    assert "\n" not in card.title + card.description
    assert Config.from_tables(card.settings)
    for file in card.files:
        assert file.sha256 or file.member_sha256 or name == "war-and-peace"
    for figure in card.published:
        assert figure.paper
        assert figure.value > 0


@pytest.mark.parametrize("name", ["tinyshakespeare", "wikitext-2"])
def test_hashes_and_sizes_are_those_of_the_real_texts(name: str, shared_data: Path) -> None:
    for file in read_card(name).files:
        path = shared_data / "tinyshakespeare.txt"
        if name == "wikitext-2":
            path = shared_data / name / f"{file.part}.txt"
        content = path.read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_splits_are_those_of_the_published_figures() -> None:
    assert read_card("tinyshakespeare").shares == (90, 10)
    assert read_card("enwik8").byte_split == (90_000_000, 5_000_000, 5_000_000)
    assert read_card("text8").byte_split == read_card("enwik8").byte_split
    assert read_card("ptb-word").parts == ("train", "valid", "test")


def test_a_corpus_in_parts_becomes_its_parts_and_settings() -> None:
    put("ptb-word", train="a", valid="bb", test="ccc")
    data, settings = expand(DataConfig(sources=("ptb-word",)))
    assert (data.sources, data.valid, data.test) == (
        ("ptb-word:train",),
        ("ptb-word:valid",),
        ("ptb-word:test",),
    )
    assert settings == {"tokenizer": {"kind": "word", "end_of_line": True}}
    for sources, text in [(data.sources, "a"), (data.valid, "bb"), (data.test, "ccc")]:
        assert [piece.text for piece in open_corpus(sources, data).pieces()] == [text]
    # Never more than the training part by accident: that would be training on the test text.
    assert open_corpus(["ptb-word"], data).size == 1
    assert expand(data) == (data, settings)


def test_a_single_text_is_divided_as_the_card_says() -> None:
    put("tinyshakespeare", all="text")
    data, _ = expand(DataConfig(sources=("tinyshakespeare",)))
    assert data == DataConfig(sources=("tinyshakespeare",), split=(90.0, 10.0))
    assert open_corpus(data.sources, data).names == ("tinyshakespeare",)
    data, _ = expand(DataConfig(sources=("python-docs",)))
    assert data == DataConfig(sources=("python-docs",))


def test_a_division_that_is_asked_for_is_kept() -> None:
    put("tinyshakespeare", all="text")
    put("ptb-word", train="a", valid="b", test="c")
    asked = DataConfig(sources=("tinyshakespeare",), split=(50, 50))
    assert expand(asked)[0] == asked
    data, _ = expand(DataConfig(sources=("ptb-word",), valid=("mine.txt",)))
    assert data == DataConfig(sources=("ptb-word:train",), valid=("mine.txt",))


def test_a_corpus_that_is_not_there_says_how_to_fetch_it() -> None:
    for ask in (
        lambda: expand(DataConfig(sources=("enwik8",))),
        lambda: open_corpus(["enwik8"], DataConfig()),
        lambda: open_corpus(["enwik8:test"], DataConfig()),
    ):
        with pytest.raises(CorpusError, match="enwik8 has not been fetched") as caught:
            ask()
        assert caught.value.hint == "charlm corpora fetch enwik8"


def test_files_and_several_sources_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("enwik8").write_text("my own")
    for sources in [("enwik8",), ("text8", "ptb-word"), ("x.txt",), (), ("-",)]:
        data = DataConfig(sources=sources)
        assert expand(data) == (data, {})


def test_a_card_says_where_its_text_is_and_how_it_is_divided() -> None:
    card = read_card("tinyshakespeare")
    assert (card.state, card.division) == ("fetch", "90,10 of the characters")
    assert card.origins == (card.files[0].url,)
    put("tinyshakespeare", all="text")
    assert card.state == "ready"
    assert read_card("ptb-word").division == "separate texts: train, valid, test"
    hub, embedded = read_card("tinystories"), read_card("python-docs")
    assert (hub.state, hub.origins) == ("Hub", ("roneneldan/TinyStories",))
    assert (embedded.state, embedded.division) == ("ready", "90,5,5 by default")


def test_a_hub_corpus_names_the_splits_of_the_hub() -> None:
    card, part = find("tinystories:valid") or pytest.fail("not found")
    assert card.hub
    assert card.hub.address(part) == "hf:roneneldan/TinyStories:validation"
    assert card.fetched


def test_wrong_names_get_the_nearest() -> None:
    assert nearest("wikitext2") == "wikitext-2"
    assert find("no-such-corpus") is None
    with pytest.raises(CorpusError) as caught:
        read_card("enwik9")
    assert caught.value.hint == "did you mean enwik8?"
    with pytest.raises(CorpusError, match="has no part 'dev'") as caught:
        find("ptb-word:dev")
    assert "ptb-word:valid" in caught.value.hint
    with pytest.raises(CorpusError, match="has no part 'test'") as caught:
        find("tinyshakespeare:test")
    assert "`split`" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("colour = 1", "unknown key colour"),
        ("licens = 'x'", "did you mean licence"),
        ("page = 5", "page must be a text"),
        ("page = ' '", "page must be a text"),
        ("name = 'other'", "no key name"),
        ("shares = [1, 2]", "no key shares"),
        ("split = {shares = [1, -2]}", "above 0"),
        ("split = {shares = [1, inf]}", "must be a number"),
        ("split = {shares = [1]}", "two or three"),
        ("split = {bytes = [1.5, 2]}", "number of bytes"),
        ("split = {shares = [1, 2], bytes = [1, 2]}", "either shares or bytes"),
        ("split = {parts = [1, 2]}", "either shares or bytes"),
        ("settings = {tokenizer = {kind = 'letter'}}", "tokenizer.kind"),
        ("settings = {tokeniser = {kind = 'char'}}", "did you mean tokenizer"),
        ("settings = {data = {encoding = 'utf-8'}}", "tokenizer, model or training"),
        (f"settings = {{training = {{clip = 1{'0' * 400}}}}}", "no TOML"),
        ("published = [{model = 'x', metric = 'y', value = 'low', paper = 'z'}]", "value"),
        ("published = [{model = 'x', metric = 'y', value = 1.0}]", "lacks paper"),
        ("published = 7", "list of tables"),
        ("hub = {dataset = 'a/b', train = 'train'}", "takes other sources"),
    ],
)
def test_a_card_that_is_not_in_order_is_refused(change: str, message: str, cards: Path) -> None:
    (cards / "toy.toml").write_text(change + MINIMAL)
    with pytest.raises(CorpusError, match=message) as caught:
        read_card("toy")
    assert str(caught.value).startswith("the card of the corpus toy ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "split", "message"),
    [
        (("train", "train"), {}, "the parts train, train do not go together"),
        (("train", "all"), {}, "the parts train, all do not go together"),
        (("train", "test"), {"shares": [90, 10]}, "split does not go with parts"),
        (("train", "test"), {"bytes": [90, 10]}, "bytes needs a single file"),
    ],
)
def test_parts_that_contradict_one_another_are_refused(
    parts: tuple[str, ...], split: dict[str, list[int]], message: str
) -> None:
    table = dict.fromkeys(("title", "description", "language", "licence"), "x")
    files = [
        {"part": part, "url": f"https://example.org/{number}"} for number, part in enumerate(parts)
    ]
    with pytest.raises(CorpusError, match=message):
        parse_card("toy", table | {"kind": "download", "files": files, "split": split})


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"part": "dev"}, "part must look like"),
        ({"url": "ftp://example.org/toy"}, "url must look like"),
        ({"url": "file:///etc/passwd"}, "url must look like"),
        ({"url": "https://example.org/a b"}, "url must look like"),
        ({"url": "http://example.org/a"}, "needs a sha256"),
        ({"url": "http://127.0.0.1.example.org/a"}, "needs a sha256"),
        ({"bytes": 0}, "number of bytes"),
        ({"bytes": True}, "number of bytes"),
        ({"bytes": 1 << 50}, "number of bytes"),
        ({"sha256": "ABC"}, "sha256 must look like"),
        ({"member_bytes": 5}, "need a member"),
        ({"strip_lines": 1}, "true or false"),
        ({"part": "valid"}, "no file is the part train"),
        ("text", "CardFile must be a table"),
    ],
)
def test_a_file_on_a_card_that_is_not_in_order_is_refused(file: object, message: str) -> None:
    sound = {"part": "all", "url": "https://example.org/toy.txt"}
    table = dict.fromkeys(("title", "description", "language", "licence"), "x")
    files = [sound | file if isinstance(file, dict) else file]
    with pytest.raises(CorpusError, match=message):
        parse_card("toy", table | {"kind": "download", "files": files})


def test_spoilt_cards_give_our_error_or_a_card_and_nothing_else(cards: Path) -> None:
    sound = [
        (Path(catalogue.__file__).parents[3] / "corpora" / f"{name}.toml").read_bytes()
        for name in ("enwik8", "wikitext-2-raw", "tinystories")
    ]
    odd = [b"[[", b"=", b"nan", b"-1", b"1" * 5000, b"[" * 3000, b'""', b"\xff", b"\n", b"{a=1}"]
    odd += [b"true", b"1979-05-27", b"[split]", b"part", b"9" * 400, b"hub = 3\n", b"\0"]
    draw = random.Random(1)
    refused = 0
    for _ in range(1500):
        content = bytearray(draw.choice(sound))
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(content))
            content[at : at + draw.choice([0, 1, 8, 60])] = draw.choice([*odd, draw.randbytes(2)])
        (cards / "toy.toml").write_bytes(content)
        try:
            assert isinstance(read_card("toy"), Card)
        except CorpusError:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize("name", KNOWN)
def test_every_card_has_files_that_are_safe_to_fetch_and_parts_that_go_together(name: str) -> None:
    card = read_card(name)
    parts = [file.part for file in card.files]
    assert (card.kind == "download") == bool(parts)
    assert (card.kind == "hub") == (card.hub is not None)
    assert card.kind in ("download", "hub", "embedded")
    assert parts in ([], ["all"]) or set(parts) <= {"train", "valid", "test"}
    assert "train" in parts or parts in ([], ["all"])
    assert len(set(parts)) == len(parts)
    assert len({file.arrival for file in card.files}) == len({file.url for file in card.files})
    for file in card.files:
        assert re.fullmatch(r"https://[!-~]+", file.url) or file.sha256
        assert re.match(r"https?://[!-~]+$", file.url)
        assert file.sha256 or file.member_sha256 or name == "war-and-peace"
        for digest in (file.sha256, file.member_sha256):
            assert digest is None or re.fullmatch("[0-9a-f]{64}", digest)
        for size in (file.bytes, file.member_bytes):
            assert size is None or (type(size) is int and 0 < size < 1 << 40)
        assert file.member or not (file.member_bytes or file.member_sha256)
        assert file.strip_lines in (None, True, False)
    for split in (card.shares, card.byte_split):
        assert split is None or (len(split) in (2, 3) and min(split) > 0)
    assert not (card.shares and (card.parts or card.byte_split))
    assert not card.byte_split or parts == ["all"]
