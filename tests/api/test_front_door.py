"""The front door: light to import, documented, and each example in it runs."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm import Model, api
from tests.api.conftest import SMALL


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    return done.stdout


def test_importing_loads_nothing_and_using_loads_what_is_needed() -> None:
    shown = python(
        "import sys, charlm\n"
        "light = {'torch', 'numpy', 'charlm.api', 'charlm.config'} & set(sys.modules)\n"
        "names = [name for name in dir(charlm) if not name.startswith('_')]\n"
        "print(light or '', names, charlm.load.__name__, 'torch' in sys.modules)"
    )
    assert shown.split("[")[0].strip() == ""
    names = ["CharlmError", "Model", "compare", "export_model", "export_page", "import_model",
             "load", "pull", "push", "report", "train"]  # fmt: skip
    assert f"{names} load True" in shown


def test_importing_sets_openmp_as_the_program_does() -> None:
    environment = {name: own for name, own in os.environ.items() if name != "GOMP_SPINCOUNT"}
    for module in ("charlm", "charlm.cli.main"):
        code = f"import os, {module}; print(os.environ['GOMP_SPINCOUNT'])"
        command = [sys.executable, "-c", code]
        assert subprocess.check_output(command, text=True, env=environment) == "2000\n"


def test_what_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'charlm' has no attribute 'lood'"):
        charlm.lood  # noqa: B018


def test_help_names_all_that_is_offered() -> None:
    shown = python(
        "import pydoc, charlm; print(pydoc.render_doc(charlm, renderer=pydoc.plaintext))"
    )
    for name in ("load(run", "train(sources", "compare(a", "generate(self", "stream(self"):
        assert name in shown


def public(kind: Any) -> Iterator[tuple[str, Any]]:
    return ((name, each) for name, each in inspect.getmembers(kind) if not name.startswith("_"))


def test_everything_public_is_documented_and_calls_have_an_example() -> None:
    calls = [api.load, api.train, api.compare, *(e for _, e in public(Model) if callable(e))]
    for each in [*calls, Model, *(e for _, e in public(Model))]:
        assert inspect.getdoc(each), each
    for each in calls:
        assert "Example::" in (inspect.getdoc(each) or ""), each.__name__
        assert inspect.signature(each).return_annotation is not inspect.Signature.empty


def examples() -> Iterator[tuple[str, str]]:
    calls = [("load", api.load), *public(Model), ("compare", api.compare), ("train", api.train)]
    for name, each in calls:
        parts = (inspect.getdoc(each) or "").split("Example::\n\n")
        if len(parts) == 2:
            yield name, textwrap.dedent(parts[1])


EXAMPLES = dict(examples())


@pytest.mark.filterwarnings("ignore:.*not in the vocabulary")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_of_a_docstring_runs(
    name: str, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    for each in ("other", "book") if name != "train" else ("other",):
        (tmp_path / "runs" / each).symlink_to(Path("runs/book").absolute())
    long = name in ("train", "find_units")
    (tmp_path / "book.txt").write_text("ba co. Loba\ndi fu.\n" * (300 if long else 20))
    (tmp_path / "pairs.tsv").write_text("ba co\tco ba\ndi fu\tfu di\n")
    (tmp_path / "nbest.txt").write_text("a-1 -2.5 ba co\na-2 -2.4 co ba\n")
    monkeypatch.chdir(tmp_path)
    code = re.sub("It was[ a-z]*", "ba co", EXAMPLES[name])
    exec(code, {"charlm": charlm, "model": model, "Path": Path})


def test_a_model_says_what_it_is_in_a_line(model: Model) -> None:
    size = model.tokenizer.vocab_size
    assert repr(model) == (
        f"<charlm.Model runs/book: lstm 1x16, char, vocabulary {size}, step {model.step}>"
    )
    assert repr(model.tokenizer) == f"<CharTokenizer: char, vocabulary {size}>"
    assert model.config.model.hidden_size == 16
    assert model.run == Path("runs/book")
    assert model.name == f"runs/book, step {model.step}"
    assert sum(p.numel() for p in model.network.parameters()) > 0


def test_a_path_is_as_good_as_a_str() -> None:
    assert repr(charlm.load(Path("runs/book"))) == repr(charlm.load("runs/book"))
    step = charlm.load("runs/book").step
    assert charlm.load("runs/book", step=step).step == step


def test_training_yields_reports_and_ends_with_done(folder: Path) -> None:
    reports = list(charlm.train("book.txt", out="runs/again", **SMALL))
    assert type(reports[-1]).__name__ == "Done"
    assert charlm.load("runs/again").generate(seed=2) == charlm.load("runs/book").generate(seed=2)
    resumed = list(charlm.train(out="runs/again"))
    assert resumed[-1].step == reports[-1].step == 20  # type: ignore[union-attr]
    assert max(len(str(report)) for report in reports) < 400
