"""Pages on explanations of numbers at random: every cell, spellings of tokens, packed numbers."""

import base64
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from charlm.config import ModelConfig
from charlm.explain.activations import Explanation
from charlm.explain.observation import observed_names
from charlm.model.cells import CELLS
from charlm.web.explanation import explanation_page, pack, scale_of, steps_of
from tests.web.browser import MINUS, Browser

pytestmark = pytest.mark.timeout(120)


def made(
    cell: str, tokens: int = 8, layers: int = 1, units: int = 3, mogrifier: bool = False
) -> Explanation:
    """An explanation of numbers at random."""
    source = np.random.default_rng(1)
    names = observed_names(ModelConfig(cell=cell, mogrifier_rounds=4 * mogrifier))
    gates = {
        name: source.uniform(-1, 1, (tokens, layers, units)).astype(np.float32) for name in names
    }
    guesses = (("a", 0.75), ("</script>", 0.25))
    return Explanation(
        text="x" * tokens, tokens=("x",) * tokens, ids=np.ones(tokens, dtype=np.int64), cell=cell,
        layers=tuple(range(layers)), units=tuple(range(units)), gates=gates,
        initial={name: values[0] * 0 for name, values in gates.items()}, statistics={},
        surprisal=np.ones(tokens), entropy=np.ones(tokens), rank=np.full(tokens, 3),
        likeliest=(guesses,) * tokens, following=guesses,
    )  # fmt: skip


@pytest.mark.parametrize("mogrifier", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_kind_of_cell_has_its_equations_and_its_drawing(
    browser: Browser, tmp_path: Path, cell: str, mogrifier: bool
) -> None:
    found = made(cell, mogrifier=mogrifier)
    (tmp_path / "page.html").write_text(explanation_page(found), encoding="utf-8")
    browser.open(tmp_path / "page.html")
    browser.fill("#unit", 0)
    shown = browser.text("#equations").replace(MINUS, "-")
    for name, values in found.gates.items():
        assert f"{values[0, 0, 0]:.3f}" in shown
        browser.fill("#shown", name)
        assert f"{values[0, 0, 0]:.3f}" in browser.run("text.ariaValueText").replace(MINUS, "-")
    assert (" x\N{PRIME}" in shown) == mogrifier
    drawn = browser.text("#cell svg text, #cell p")
    assert ("has no drawing" in drawn) == (mogrifier and cell in ("gru", "rnn"))
    assert "undefined" not in browser.text("#cell") + shown
    assert browser.text("#expected").split("\t")[0] == "a"
    assert browser.errors + browser.requests == []


@pytest.mark.parametrize("size", [1, 2])
def test_packed_activations_come_back_to_half_a_step(size: int) -> None:
    found = made("lstm", tokens=10, layers=2)
    raw = b"".join(map(base64.b64decode, pack(found, size)))
    row = -(-11 * size // 3) * 3
    rows = np.frombuffer(raw, np.uint8).reshape(2, 3, 6, row)[..., : 11 * size]
    whole = np.ascontiguousarray(rows).view(f"<u{size}")
    for number, name in enumerate(found.gates):
        low, step = scale_of(steps_of(found, name), size)
        values = (low[..., None] + step[..., None] * whole[:, :, number]).transpose(2, 0, 1)
        assert np.abs(values[1:] - found.gates[name]).max() <= step.max() * 0.51
        assert np.abs(values[0] - found.initial[name]).max() <= step.max() * 0.51


def test_the_guess_that_came_is_told_by_its_rank_not_by_its_spelling(
    browser: Browser, tmp_path: Path
) -> None:
    guesses = (("\ufffd", 0.5), ("\ufffd", 0.3))  # bytes of two characters
    found = replace(made("lstm"), likeliest=(guesses,) * 8, rank=np.full(8, 2))
    (tmp_path / "page.html").write_text(explanation_page(found), encoding="utf-8")
    browser.open(tmp_path / "page.html")
    rows = browser.text("#expected").split("\n")
    assert ["came" in row for row in rows] == [False, True]


def test_labels_keep_apart_and_no_character_is_cut_in_two(browser: Browser, tmp_path: Path) -> None:
    for tokens in (
        ("Überraschung", " 吾輩は", "", "e\u0301", "👍🏽", "\u200d", "\r", "x" * 9),
        ("😀",) * 8,
    ):
        found = replace(made("lstm"), tokens=tokens)
        (tmp_path / "page.html").write_text(explanation_page(found), encoding="utf-8")
        browser.open(tmp_path / "page.html")
        boxes = browser.run(
            "[...document.querySelectorAll('#trace text:not(.end)')].map(e => "
            "[e.getBoundingClientRect().left, e.getBoundingClientRect().right, e.textContent])"
        )
        assert len(boxes) == 8
        assert all(left[1] <= right[0] for left, right in pairwise(boxes))
        assert not any("\ufffd" in text or text == "" for *_, text in boxes)
        assert browser.errors == []
