"""The README keeps its form; tests/test_guides.py runs its blocks."""

import re

from tests.pages import ROOT, blocks, commands

README = ROOT / "README.md"


def test_every_block_says_what_it_is() -> None:
    fences = re.findall(r"^```(\w*)$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert fences[1::2] == [""] * (len(fences) // 2)
    assert set(fences[::2]) <= {"console", "python", "text", "toml"}


def test_the_two_set_up_commands_are_there() -> None:
    lines = [line for kind, body in blocks(README) if kind == "console" for line in commands(body)]
    assert [line for line in lines if "pip install" in line] == [
        "pip install -c constraints.txt -e . && charlm demo",
        "pip install -c constraints.txt -e '.[dev]' && pytest",
    ]


def test_links_and_pictures_lead_to_files() -> None:
    for page in (README, *(ROOT / "docs").glob("*.md")):
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not target.startswith(("http:", "https:")):
                assert (page.parent / target).is_file(), f"{page.name}: {target}"
