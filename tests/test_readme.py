"""Every block of the README runs: commands in a shell, Python in Python, with small budgets."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
INSTALLING = "pip install"  # the CI does that from nothing
BOOK = "It was the best of times, it was the worst of times.\n'Twas the age of wisdom.\n" * 400


def shrink(command: str) -> str:
    """The same command with a budget of seconds."""
    command = re.sub(r"--minutes \S+", "--minutes 0.05", command)
    return command.replace("charlm demo", "charlm demo --minutes 0.05")


def commands() -> list[str]:
    consoles = [body for kind, body in BLOCKS if kind == "console"]
    return [
        line.removeprefix("$ ")
        for body in consoles
        for line in body.splitlines()
        if line.startswith("$ ")
    ]


@pytest.mark.timeout(290)
def test_every_block_of_the_readme_runs(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK, encoding="utf-8")
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "2"}

    def run(command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"

    for command in commands():
        if INSTALLING not in command:
            run(["bash", "-c", shrink(command)])
    for kind, body in BLOCKS:
        if kind == "python":
            run([sys.executable, "-W", "error", "-c", body])


def test_every_block_says_what_it_is() -> None:
    fences = re.findall(r"^```(\w*)$", README, flags=re.MULTILINE)
    assert fences[1::2] == [""] * (len(fences) // 2)
    assert set(fences[::2]) <= {"console", "python", "text", "toml"}


def test_the_two_set_up_commands_are_there() -> None:
    installing = [command for command in commands() if INSTALLING in command]
    assert installing == [
        "pip install -c constraints.txt -e . && charlm demo",
        "pip install -c constraints.txt -e '.[dev]' && pytest",
    ]
