"""Nothing in the package runs what a file holds: its syntax trees have no such call or import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "charlm").rglob("*.py"))

MODULES = {
    "pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml",
    "ruamel", "jsonpickle", "runpy", "code", "codeop", "imp", "pty", "commands", "tarfile",
}  # fmt: skip
NAMES = {"eval", "exec", "compile", "__import__", "execfile", "breakpoint", "input"}
ENDINGS = {
    "torch.load", "torch.save", "torch.package", "torch.jit.load", "torch.hub.load", "np.load",
    "numpy.load", "np.save", "os.system", "os.popen", "os.startfile", "shutil.unpack_archive",
    "pandas.read_pickle", "pd.read_pickle", "np.genfromtxt", "np.fromfile",
}  # fmt: skip
METHODS = {"extractall", "extract", "unpack_archive", "read_pickle", "set_start_method"}
PREFIXES = ("os.exec", "os.spawn", "os.posix_spawn")
STARTING = ("run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput")
ENDINGS |= {f"subprocess.{name}" for name in STARTING}

ALLOWED = {
    # Import by a name that stands in the program: a command, a recurrent cell's library.
    ("charlm/cli/main.py", "importlib.import_module"),
    ("charlm/__init__.py", "importlib.import_module"),
    # The C compiler and the shell's own file of completions: lists of arguments, no shell.
    ("charlm/model/native/build.py", "subprocess.run"),
    # Plain arrays of other tools: pickled ones are refused.
    ("charlm/exchange/foreign/arrays.py", "numpy.load"),
    ("charlm/exchange/foreign/arrays.py", "allow_pickle=False"),
}
"""File and call, or import, that is looked at by a person and fine."""


def dangers(tree: ast.AST) -> Iterator[str]:
    """The imports and calls in a syntax tree that could run what a file holds, or a shell."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                known[name.asname or name.name] = name.name
                if name.name.partition(".")[0] in MODULES:
                    yield name.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.partition(".")[0] in MODULES:
                yield module
            for name in node.names:
                known[name.asname or name.name] = f"{module}.{name.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            called = ast.unparse(node)
            first, dot, rest = called.partition(".")
            called = known.get(first, first) + dot + rest
            if (
                (isinstance(node, ast.Name) and node.id in NAMES and node.id not in known)
                or called in ENDINGS
                or called.startswith(PREFIXES)
                or called == "importlib.import_module"
                or (isinstance(node, ast.Attribute) and node.attr in METHODS)
            ):
                yield called
        if isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            yield f"{node.arg}={ast.unparse(node.value)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_a_file_holds(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = {(name, danger) for danger in dangers(ast.parse(path.read_text(encoding="utf-8")))}
    assert found <= ALLOWED


def test_all_exceptions_are_needed() -> None:
    found = {
        (str(path.relative_to(ROOT)), danger)
        for path in SOURCES
        for danger in dangers(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == ALLOWED


NETWORK = {"urllib.request", "http", "socket", "ftplib", "requests", "httpx", "aiohttp", "ssl"}
TALKING = ("charlm/data/catalogue/download.py", "charlm/data/sources/huggingface.py")
TALKING += ("charlm/web/", "charlm/exchange/")
"""Where a connection may be made: downloads that a user asks for, the server, the Hub."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_what_is_asked_for_makes_a_connection(path: Path) -> None:
    names = {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in imported(node)
        if any(name == each or name.startswith(f"{each}.") for each in NETWORK)
    }
    assert not names or str(path.relative_to(ROOT)).startswith(TALKING)


def imported(node: ast.AST) -> list[str]:
    """The modules, and names in modules, that a statement imports."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{name.name}" for name in node.names] + [str(node.module)]
    return []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import marshal as m", "import yaml",
        "eval('1')", "exec(x)", "f = eval", "torch.load(p)", "from torch import load\nload(p)",
        "import torch as t\nt.load(p)", "import numpy as np\nnp.load(p)", "a.extractall()",
        "a.extract(n)", "import os\nos.system(x)", "from os import system\nsystem(x)",
        "import subprocess\nsubprocess.run(x)", "from subprocess import Popen\nPopen(x)",
        "import shutil\nshutil.unpack_archive(x)", "f(x, shell=True)", "f(x, allow_pickle=True)",
        "import os\nos.execvp(x, y)", "__import__(x)", "import tarfile",
    ],
)  # fmt: skip
def test_what_could_run_a_file_is_seen(source: str) -> None:
    assert list(dangers(ast.parse(source)))
