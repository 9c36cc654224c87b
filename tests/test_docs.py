"""The generated documents say what the program does now."""

import runpy
from pathlib import Path

import pytest

from charlm.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]


def documents() -> dict[str, str]:
    found = runpy.run_path(str(ROOT / "scripts" / "make_docs.py"))["documents"]()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", ["commands.md", "settings.md"])
def test_a_generated_document_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == documents()[name], "run: python scripts/make_docs.py"


def test_documents_do_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = documents()
    for columns in ("20", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        assert documents() == before


def test_every_command_is_documented() -> None:
    lines = documents()["commands.md"].splitlines()
    assert [f"## charlm {name}" for name in COMMANDS] == [
        line for line in lines if line.startswith("## ") and len(line.split()) == 3
    ]
