"""The notebook of docs/ runs from its first cell to its last, with a budget of seconds."""

import re
from pathlib import Path

import pytest

from tests.pages import ROOT, environment

NOTEBOOK = ROOT / "docs" / "inside.ipynb"


@pytest.mark.timeout(200)
def test_every_cell_of_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nbclient", "ipykernel", "matplotlib"):
        pytest.importorskip(module, reason=f"{module} is not installed (extra dev)")
    import nbformat
    from nbclient import NotebookClient

    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source = re.sub(r"MINUTES = \S+", "MINUTES = 0.03", code[0].source)
    NotebookClient(
        notebook, timeout=150, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = {
        kind: str(text)
        for cell in code
        for output in cell.outputs
        for kind, text in output.get("data", {}).items()
    }
    assert "mean openness" in shown["text/html"] or "<iframe" in shown["text/html"]
    assert "image/png" in shown
    assert (tmp_path / "gates.html").is_file()
    (difference,) = re.findall(r"largest difference: ([\d.e-]+)", str(code))
    assert float(difference) < 1e-5
