"""Pages that would be too large, or empty, are refused."""

from pathlib import Path

import pytest

from charlm.errors import ConfigError
from charlm.explain.activations import TokensRead
from charlm.web import explanation as pages
from charlm.web.explanation import explanation_page
from charlm.web.reports import save_page
from tests.web.test_drawn_cells import made


def test_a_page_too_large_offers_fewer_units(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made("lstm")
    monkeypatch.setattr(pages, "MOST_BYTES", 6 * 9 * 2)
    with pytest.raises(ConfigError, match="3 units over 8 tokens") as caught:
        explanation_page(found)
    assert caught.value.hint.startswith("choose 2 `units` at most")
    monkeypatch.setattr(pages, "MOST_TOKENS", 7)
    with pytest.raises(ConfigError, match="8 tokens is too large"):
        explanation_page(found)


def test_a_text_too_long_for_a_page_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_TOKENS", 7)
    with pytest.raises(ConfigError, match="8 tokens is too large"):
        next(save_page([TokensRead(0, 8)], tmp_path / "page.html"))


def test_a_page_needs_units() -> None:
    with pytest.raises(ConfigError, match="no unit"):
        explanation_page(made("lstm", units=0))
