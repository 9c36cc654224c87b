"""The house stands: imports point down, the top is light, files and functions are short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "charlm").rglob("*.py"))
HEAVY = {"torch", "datasets", "sentencepiece", "numpy", "rich"}


def test_imports_only_point_down_the_floors() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("statement", ["import charlm", "from charlm.cli.main import cli"])
def test_the_top_is_light(statement: str) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not HEAVY & set(found.stdout.split())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, node.name


def modules_importing(name: str) -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(
            (isinstance(node, ast.Import) and any(n.name.split(".")[0] == name for n in node.names))
            or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == name)
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]


@pytest.mark.parametrize("name", ["sentencepiece", "datasets"])
def test_each_text_library_is_imported_in_one_module(name: str) -> None:
    assert len(modules_importing(name)) == 1
