"""What all pages share: nothing can be loaded or run from text, any width, light and dark."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charlm.explain.activations import Explanation
from charlm.web.explanation import explanation_page
from charlm.web.page import data_block, make_page, table
from tests.web.browser import Browser

pytestmark = pytest.mark.timeout(120)

EVIL = (
    '<img src="http://127.0.0.1:9/x" onerror="window.bad=1"></script><script>window.bad=1</script>'
)


def test_text_that_is_not_escaped_can_neither_run_nor_load(
    browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(make_page("evil", EVIL), encoding="utf-8")
    browser.open(tmp_path / "page.html")
    assert browser.run("window.bad") is None
    for forbidden in ("inline event handler", "Loading the image", "inline script"):
        (found,) = (error for error in browser.errors if forbidden in error)
        assert "violates the following Content Security Policy" in found


def test_text_in_data_and_tables_is_escaped() -> None:
    block = data_block("x", {"text": EVIL})
    assert "<" not in block.removeprefix("<script ").removesuffix("</script>")
    assert json.loads(re.sub("<.*?>", "", block))["text"] == EVIL
    assert "<img" not in table([EVIL, EVIL], {EVIL: [EVIL]})
    assert "<img" not in make_page(EVIL, "")


def test_numbers_are_whole_from_ten_thousand_on_and_stand_to_the_right() -> None:
    drawn = table(["", "speed"], {"a": [38374.6], "b": [0.12345], "c": [None, 7], "d": [None, "x"]})
    assert re.findall("<td>(.*?)</td>", drawn) == ["38,375", "0.1235", "-", "7", "-", "x"]
    assert [kind.strip() for kind in re.findall('<tr class="(.*?)">', drawn)][:3] == ["number"] * 3
    assert 'aria-label="table: speed"' in drawn


def test_every_element_is_closed(explanation: Explanation) -> None:
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "link", "input", "br", "path", "rect", "circle"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("path", "rect", "circle"):
                assert self.open.pop() == tag

    balance = Balance()
    balance.feed(explanation_page(explanation))
    assert balance.open == []


COLOURS = """(() => {
  const box = document.getElementById("text"), probe = box.appendChild(document.createElement("i"));
  const paint = (level) => (probe.className = `v${level}`, getComputedStyle(probe).backgroundColor);
  const found = Array.from({ length: 17 }, (_, level) => paint(level));
  return [getComputedStyle(box).backgroundColor, getComputedStyle(box).color, ...found];
})()"""


def parsed(colour: str) -> tuple[list[float], float]:
    """Red, green and blue from 0 to 1, and the opacity."""
    numbers = [float(each) for each in re.findall(r"[\d.]+", colour)]
    return [each / 255 for each in numbers[:3]], numbers[3] if len(numbers) > 3 else 1.0


def luminance(colour: list[float]) -> float:
    """The relative luminance of WCAG 2."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_every_colour(
    browser: Browser, tmp_path: Path, explanation: Explanation, dark: bool
) -> None:
    (tmp_path / "page.html").write_text(explanation_page(explanation), encoding="utf-8")
    browser.view(800, dark=dark)
    browser.open(tmp_path / "page.html")
    (under, _), (ink, _), *levels = map(parsed, browser.run(COLOURS))
    assert len({(*over, share) for over, share in levels}) == 17
    for over, share in levels:
        mixed = [a * share + b * (1 - share) for a, b in zip(over, under, strict=True)]
        dim, bright = sorted([luminance(mixed), luminance(ink)])
        assert (bright + 0.05) / (dim + 0.05) >= 4.5  # WCAG 2, level AA


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_fits_its_window(
    browser: Browser, tmp_path: Path, explanation: Explanation, width: int, dark: bool
) -> None:
    (tmp_path / "page.html").write_text(explanation_page(explanation), encoding="utf-8")
    browser.view(width, dark=dark)
    browser.open(tmp_path / "page.html")
    browser.click("#numbers summary")
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") != dark


def test_every_control_has_a_name_and_is_reached_by_the_tabulator(
    browser: Browser, tmp_path: Path, explanation: Explanation
) -> None:
    (tmp_path / "page.html").write_text(explanation_page(explanation), encoding="utf-8")
    browser.view(1200)
    browser.open(tmp_path / "page.html")
    browser.fill("#feature", "")  # which shows the field for an expression
    wanted = browser.run(
        "[...document.querySelectorAll('button, select, input, summary, #text')]"
        ".filter(e => e.checkVisibility()).length"
    )
    reached = set()
    for _ in range(wanted + 4):  # elements that scroll are reached, too
        browser.press("Tab")
        reached.add(browser.run("document.activeElement.id || document.activeElement.textContent"))
    assert {"shown", "layer", "unit", "text", "back", "forth", "feature", "pattern"} <= reached
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "combobox", "spinbutton", "textbox", "slider")
    controls = [node for node in tree if node.get("role", {}).get("value") in roles]
    assert len(controls) >= 8
    assert all(node["name"]["value"] for node in controls)
