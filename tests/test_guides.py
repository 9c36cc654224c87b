"""Every block of the guides in docs/ runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import BOOK, shrink

GUIDES = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["surprisal.md", "compare.md", "rescore.md", "compression.md"])
def test_every_block_of_a_guide_runs(name: str, tmp_path: Path, own_cache: Path) -> None:
    text = (GUIDES / name).read_text(encoding="utf-8")
    (tmp_path / "book.txt").write_text(BOOK, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "2"}
    for kind, body in re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        lines = [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
        commands = [["bash", "-c", shrink(line)] for line in lines]
        if kind == "python":
            commands = [[sys.executable, "-W", "error", "-c", body]]
        for command in commands:
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True,
                timeout=120, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
