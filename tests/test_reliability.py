"""The page about reliability names tests that exist."""

import re

import pytest

from tests.pages import ROOT

PAGES = ("docs/reliability.md", "SECURITY.md")
NAMED = re.compile(r"`((?:tests|scripts|charlm)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    named = NAMED.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_promise_names_a_test() -> None:
    lines = (ROOT / PAGES[0]).read_text(encoding="utf-8").splitlines()
    heads = [at for at, line in enumerate(lines) if line.startswith("|") and "proved by" in line]
    assert len(heads) >= 5
    for head in heads:
        for row in lines[head + 2 :]:
            if not row.startswith("|"):
                break
            assert "`tests/" in row.split("|")[-2], row
