"""Files are written, renamed and removed in ``charlm/durable.py`` and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import charlm

PACKAGE = Path(charlm.__file__).parent

WRITES = {
    "chmod", "copy2", "copyfile", "copytree", "fdatasync", "fsync", "ftruncate",
    "hardlink_to", "makedirs", "mkdir", "mkfifo", "mkdtemp", "mkstemp", "rename",
    "renames", "rmdir", "rmtree", "save_file", "symlink", "symlink_to", "touch", "truncate",
    "unlink", "utime", "write_bytes", "write_text", "NamedTemporaryFile", "TemporaryDirectory",
    "TemporaryFile",
}  # fmt: skip
"""Names of functions and methods that write, rename or remove files."""

AMBIGUOUS = {
    "os": {"link", "open", "remove", "replace", "write"},
    "shutil": {"copy", "move"},
    "np": {"save", "savez"},
}
"""Functions whose name is harmless in other modules than these."""

APART = {
    "untrusted.py": "opens files for reading, with flags that Python's open has not",
    "durable.py": "the one home of these calls",
    "model/native/build.py": "compiles the C library at installation, without the package",
    "cli/standard_streams.py": "opens the null device for closed streams",
}


def writing_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and writes(node):
            yield node


def writes(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in WRITES - {"write_text", "write_bytes"} or (
            function.id == "open" and opens_for_writing(call, position=1)
        )
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if owner == "durable":
        return False
    if function.attr in AMBIGUOUS.get(owner, ()):
        return True
    if function.attr == "replace" and len(call.args) == 1 and not call.keywords:
        return True  # of a path: strings take two arguments, dataclasses keywords
    if function.attr == "open":
        return opens_for_writing(call, position=1 if owner in ("io", "gzip") else 0)
    return function.attr in WRITES


def opens_for_writing(call: ast.Call, position: int) -> bool:
    """Whether the mode is for writing, or is not written out."""
    modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    modes += call.args[position : position + 1]
    if not modes or not (isinstance(modes[0], ast.Constant) and isinstance(modes[0].value, str)):
        return False
    return bool(set(modes[0].value) & set("wax+"))


def test_no_other_module_writes_renames_or_removes_files() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}: {ast.unparse(call.func)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if str(path.relative_to(PACKAGE)) not in APART
        for call in writing_calls(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "use charlm/durable.py instead"


def test_the_search_finds_what_it_is_for() -> None:
    caught = """
        path.write_text("x"); open(p, "w"); path.open("ab"); path.open(mode="r+b"); os.replace(a, b)
        path.replace(target); shutil.rmtree(p); tempfile.mkstemp(); os.open(p, 0); os.fsync(3)
        path.mkdir(parents=True); rmtree(p); io.open(p, "x"); path.unlink(missing_ok=True)
    """
    harmless = """
        path.read_text(); open(p); path.open("rb"); text.replace("a", "b"); replace(config, a=1)
        durable.write_text(p, "x"); streams.append(1); write_text("to a terminal"); names.remove(1)
    """
    for source, expected in ((caught, 14), (harmless, 0)):
        lines = "\n".join(part.strip() for line in source.split("\n") for part in line.split("; "))
        assert len(list(writing_calls(ast.parse(lines)))) == expected
    for name in APART:
        assert list(writing_calls(ast.parse((PACKAGE / name).read_text()))), name
