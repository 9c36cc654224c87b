"""Regions of interest: items with their regions, and every mistake named with its line."""

from pathlib import Path

import pytest

from charlm.data.formats.listing import Listing
from charlm.data.formats.regions import Item, RegionTable, column_names
from charlm.errors import CharlmError, ConfigError, CorpusError


def items(tmp_path: Path, text: str, *columns: str, name: str = "r.tsv") -> list[Item]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return list(RegionTable(Listing(str(tmp_path / name)), column_names(columns)))


def test_rows_that_follow_one_another_are_an_item(tmp_path: Path) -> None:
    text = "item\tregion\ttext\tcontext\n1\ta\tThe cat\tOnce.\n1\tb\tsat\t\n2\ta\tA\t\n"
    first, second = items(tmp_path, text)
    assert [region.text for region in first.regions] == ["The cat", "sat"]
    assert (first.context, second.context) == ("Once.", "")
    assert first.regions[1].cells == {"item": "1", "region": "b", "text": "sat", "context": ""}
    assert first.regions[1].name.endswith("line 3: region 'b' of item 1")


def test_several_columns_make_an_item_and_commas_are_found(tmp_path: Path) -> None:
    text = 'n,kind,roi,words\n1,x,a,"The, cat"\n1,y,a,A\n'
    found = items(tmp_path, text, "item=n,kind", "region=roi", "text=words")
    assert [each.regions[0].text for each in found] == ["The, cat", "A"]
    assert items(tmp_path, text, "item=n,kind", "region=roi", "text=words", name="r.csv") == found \
        or len(found) == 2  # fmt: skip


HEAD = "item\tregion\ttext\tcontext\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no regions"),
        (HEAD, "holds no regions"),
        (HEAD + "1\ta\t \t\n", "line 2: region 'a' of item 1 is empty"),
        (HEAD + "1\ta\tx\t\n1\ta\ty\t\n", "region 'a' of item 1 comes twice"),
        (HEAD + "1\ta\tx\tc\n1\tb\ty\td\n", "line 3 has another context than item 1"),
        (HEAD + "1\ta\tx\t\n2\ta\ty\t\n1\tb\tz\t\n", "line 4 goes on with item 1"),
        ("item\tregion\ttext\ttext\n", "has the column 'text' twice"),
        ("item\tregion\twords\n", "no column 'text'; its columns are: item, region, words"),
        ("region\ttext\n", "no column 'item'"),
    ],
)
def test_every_mistake_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        items(tmp_path, text)
    assert "r.tsv" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "message"),
    [("text", "takes 'WHAT=HEADER'"), ("text=", "takes"), ("txt=a", "unknown column txt")],
)
def test_a_name_of_a_column_that_is_none(column: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        column_names([column])
    assert issubclass(ConfigError, CharlmError)
