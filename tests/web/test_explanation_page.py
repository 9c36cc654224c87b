"""The page on an explanation, in a real browser: every control, every number, no request."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charlm
from charlm.explain.activations import Explanation, explain_unit
from charlm.explain.features import FEATURES, measure_feature
from charlm.explain.reading import read_text
from charlm.inference.texts import take_corpus
from charlm.web import explanation as pages
from charlm.web.explanation import explanation_page
from tests.web.browser import MINUS, Browser
from tests.web.conftest import TEXT

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def page(explanation: Explanation, browser: Browser, tmp_path: Path) -> Any:
    """The page on two lines, opened; it asks for nothing and has no error until the end."""
    (tmp_path / "page.html").write_text(explanation_page(explanation), encoding="utf-8")
    browser.view(1200)
    browser.open(tmp_path / "page.html")
    browser.fill("#layer", 0)
    browser.fill("#unit", 0)
    yield browser
    assert browser.errors == []
    assert browser.requests == []


def equation(page: Browser, letter: str) -> list[float]:
    """The numbers on the right of the equation of ``letter``."""
    lines = page.text("#equations").replace(MINUS, "-").split("\n")
    shown = next(b for a, b in pairwise(lines) if a.split()[0] == letter)
    found = [part.strip("()tanh ") for part in re.split("[·+=]", shown)]
    return [float(part) for part in found if part.strip("-").replace(".", "").isdigit()]


def near(shown: list[float], wanted: list[Any]) -> bool:
    """Whether three decimals are shown of the wanted numbers."""
    return shown == pytest.approx([float(each) for each in wanted], abs=0.00051)


def test_the_equations_hold_the_numbers_of_the_chosen_step(
    page: Browser, explanation: Explanation
) -> None:
    page.fill("#layer", 1)
    page.fill("#unit", 5)
    page.click("#text span:nth-child(20)")
    now = {name: values[19, 1, 5] for name, values in explanation.gates.items()}
    before = {name: values[18, 1, 5] for name, values in explanation.gates.items()}
    assert near(equation(page, "i"), [now["input_gate"]])
    assert near(equation(page, "g"), [now["candidate"]])
    parts = [now["forget_gate"], before["cell"], now["input_gate"], now["candidate"], now["cell"]]
    assert near(equation(page, "c"), parts)
    assert near(equation(page, "h"), [now["output_gate"], now["cell"], now["hidden"]])
    drawn = page.run("document.querySelector('#cell [data-value=\"hidden before\"]').textContent")
    assert near([float(drawn.replace(MINUS, "-"))], [before["hidden"]])


def test_the_state_before_the_text_is_that_after_the_boundary(
    page: Browser, explanation: Explanation
) -> None:
    drawn = page.run("document.querySelector('#cell [data-value=\"cell before\"]').textContent")
    assert near([float(drawn.replace(MINUS, "-"))], [explanation.initial["cell"][0, 0]])


def test_steps_are_taken_by_keys_buttons_and_clicks(page: Browser) -> None:
    page.click("#text span:nth-child(6)")
    assert page.text("#where").startswith(f"step 6: reads “{TEXT[5]}”")
    for action, step in (
        (lambda: page.press("ArrowRight"), 7),
        (lambda: page.press("ArrowLeft"), 6),
        (lambda: page.click("#back"), 5),
        (lambda: page.click("#forth"), 6),
        (lambda: page.press("End"), len(TEXT)),
        (lambda: page.press("ArrowRight"), len(TEXT)),
        (lambda: page.press("Home"), 1),
    ):
        action()
        assert page.text("#where").startswith(f"step {step}:")
        assert page.run("document.getElementById('text').ariaValueNow") == str(step)
    assert page.run("document.querySelectorAll('#text .here').length") == 1


def test_the_text_is_shown_as_it_is(page: Browser) -> None:
    shown = page.run("document.getElementById('text').textContent")
    assert shown.replace("↵\n", "\n") == TEXT


def colours(page: Browser) -> list[int]:
    return page.run(
        "[...document.querySelectorAll('#text span')].map(e => +/v(\\d+)/.exec(e.className)[1])"
    )


@pytest.mark.parametrize(("name", "low", "high"), [("forget_gate", 0, 1), ("hidden", -1, 1)])
def test_the_text_has_the_colours_of_a_gate(
    page: Browser, explanation: Explanation, name: str, low: int, high: int
) -> None:
    page.fill("#shown", name)
    page.fill("#unit", 7)
    wanted = (explanation.gates[name][:, 0, 7] - low) / (high - low) * 16
    assert np.abs(np.array(colours(page)) - wanted).max() <= 0.51
    assert "unit 7" in page.text("#traced")


def test_the_text_has_the_colours_of_its_surprisal(page: Browser, explanation: Explanation) -> None:
    page.fill("#shown", "surprisal")
    bits = np.minimum(explanation.surprisal / np.log(2), 8)
    assert np.abs(np.array(colours(page)) - 8 - bits).max() <= 0.51
    hover = "document.querySelector('#text span:nth-child(3)')"
    page.run(f"{hover}.dispatchEvent(new MouseEvent('mouseover', {{bubbles: true}}))")
    *_, shown = page.run(f"{hover}.title").split("surprisal in bits: ")
    assert near([float(shown)], [bits[2]])


def test_what_was_expected_next_is_what_the_next_character_met(
    page: Browser, explanation: Explanation
) -> None:
    page.click("#text span:nth-child(4)")
    rows = [row.split("\t") for row in page.text("#expected").split("\n")]
    assert [row[1] for row in rows] == [
        f"{p:.1%}".replace("%", " %") for _, p in explanation.likeliest[4]
    ]
    page.press("End")
    first = page.text("#expected").split("\t")[1].split("\n")[0]
    assert first == percent(explanation.following[0][1])


def percent(share: float) -> str:
    return f"{round(share, 4) * 100:.1f} %"


def test_the_table_has_all_numbers_of_the_steps_around(
    page: Browser, explanation: Explanation
) -> None:
    page.click("#text span:nth-child(10)")
    page.click("#numbers summary")
    page.wait("document.querySelector('#numbers tbody tr')")
    rows = [row.split("\t") for row in page.text("#numbers tbody").split("\n")]
    assert [row[0] for row in rows] == [str(step) for step in range(5, 16)]
    wanted = [values[9, 0, 0] for values in explanation.gates.values()]
    assert near([float(cell.replace(MINUS, "-")) for cell in rows[5][4:]], wanted)


def test_a_search_orders_units_by_correlation_and_checks_them(
    page: Browser, explanation: Explanation
) -> None:
    page.fill("#feature", "")
    page.fill("#pattern", "[a-z]+")
    page.click("#search button")
    assert "24 units" in page.text("#answer")
    rows = [row.split("\t") for row in page.text("#found tbody").split("\n")]
    feature = np.array([char.isascii() and char.islower() for char in TEXT], dtype=float)
    hidden, half = explanation.gates["hidden"].reshape(len(TEXT), -1), len(TEXT) // 2
    first = [np.corrcoef(row[:half], feature[:half])[0, 1] for row in hidden.T]
    second = [np.corrcoef(row[half:], feature[half:])[0, 1] for row in hidden.T]
    best = int(np.argmax(np.abs(first)))
    assert rows[0][0] == f"layer {best // 12}, unit {best % 12}"
    figures = [float(cell.replace(MINUS, "-")) for cell in rows[0][1:]]
    assert near(figures, [first[best], second[best]])
    page.click("#found button")
    assert page.run("document.getElementById('unit').value") == str(best % 12)
    assert page.run("document.getElementById('layer').value") == str(best // 12)
    assert page.text("#traced").startswith("hidden state of")


def test_a_search_by_a_feature_finds_what_the_library_finds(
    page: Browser, explanation: Explanation
) -> None:
    names = page.run("[...document.querySelectorAll('#feature option')].map(e => e.value)")
    assert names == [*FEATURES, ""]
    for name in FEATURES:
        page.fill("#feature", name)
        page.fill("#followed", "cell")
        page.click("#search button")
        feature, half = measure_feature(name, explanation.tokens), len(TEXT) // 2
        if not (feature[:half].std() and feature[half:].std()):
            assert "the same at every step of one half" in page.text("#answer")
            assert page.run("document.getElementById('found').hidden")
            continue
        unit, first, second = page.text("#found tbody tr").replace(MINUS, "-").split("\t")
        layer, number = map(int, re.findall(r"\d+", unit))
        values = explanation.gates["cell"][:, layer, number]
        for shown, part in ((first, slice(half)), (second, slice(half, None))):
            assert near([float(shown)], [np.corrcoef(values[part], feature[part])[0, 1]])


@pytest.mark.parametrize(
    ("pattern", "said"), [("(", "no regular expression"), ("zzz", "the same at every step")]
)
def test_a_search_that_cannot_be_says_why(page: Browser, pattern: str, said: str) -> None:
    page.fill("#feature", "")
    page.fill("#pattern", pattern)
    page.click("#search button")
    assert said in page.text("#answer")
    assert page.run("document.getElementById('found').hidden")


def test_the_first_unit_is_shown_while_the_others_are_still_read(
    page: Browser, explanation: Explanation
) -> None:
    html = explanation_page(explanation)
    page.call("Page.reload")
    page.wait("document.readyState === 'complete' && traced.textContent")
    begun = page.text("#traced")
    assert html.index('id="first"') < html.index("<script>") < html.index('id="others"')
    page.run("Object.defineProperty(document, 'readyState', {value: 'loading'})")
    page.fill("#unit", 5)
    assert page.text("#traced") == begun != "cell state of layer 1, unit 5"
    page.run("document.dispatchEvent(new Event('DOMContentLoaded'))")
    assert page.text("#traced") == "cell state of layer 1, unit 5"


def test_the_page_begins_with_the_unit_that_the_terminal_draws(
    explanation: Explanation, browser: Browser, tmp_path: Path, runs: Path
) -> None:
    loaded = charlm.load(runs / "lstm").loaded
    *_, drawn = explain_unit(loaded, read_text(loaded.tokenizer, take_corpus(loaded, TEXT)))
    assert drawn.layers == (1,)
    assert drawn.units != (0,)
    (tmp_path / "page.html").write_text(explanation_page(explanation), encoding="utf-8")
    browser.open(tmp_path / "page.html")
    assert browser.text("#traced") == f"cell state of layer 1, unit {drawn.units[0]}"
    cell = float(drawn.gates["cell"][0, 0, 0])
    assert near([equation(browser, "c")[-1]], [cell])


def test_a_large_page_has_two_decimals(
    explanation: Explanation, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FINE_BYTES", 0)
    (tmp_path / "page.html").write_text(explanation_page(explanation), encoding="utf-8")
    browser.open(tmp_path / "page.html")
    browser.fill("#layer", 0)
    browser.fill("#unit", 0)
    browser.click("#text span:nth-child(9)")
    (shown,) = equation(browser, "f")
    assert shown == pytest.approx(explanation.gates["forget_gate"][8, 0, 0], abs=0.008)
    assert shown == round(shown, 2)
