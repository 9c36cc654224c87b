"""What runs the blocks of the pages: commands in this process or a shell, trainings once."""

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import call

ROOT = Path(__file__).parents[1]
BOOK = "It was the best of times, it was the worst of times.\n'Twas the age of wisdom.\n" * 400
WORDS = ("it", "It", "was", "the", "best", "worst", "of", "times", "age", "wisdom.", "hope,\n")
SHELL = re.compile(r"[|<>&;`$]")
"""What only a shell understands."""


def varied(seed: int, words: int) -> str:
    """Words at random: no two parts have a passage in common, as they would in ``BOOK``."""
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page: their languages and what is in them."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(body: str) -> list[str]:
    """The command lines of a console block."""
    return [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]


def shrink(command: str) -> str:
    """``command`` with a budget of seconds, and little to code."""
    command = re.sub(r"--minutes \S+", "--minutes 0.03", command)
    command = re.sub(r"--steps \S+", "--steps 20", command)
    command = re.sub(r"head -c \S+", "head -c 100", command)
    return command.replace("charlm demo", "charlm demo --minutes 0.05")


def environment() -> dict[str, str]:
    """The variables for a process of its own: this program first, no network."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "2",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(Path("hub").absolute()),
    }


def run_process(command: list[str]) -> None:
    """Run a process in the working folder to its good end."""
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=200, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


def run_line(line: str) -> None:
    """Run a command line in the working folder; ``charlm`` alone runs in this process."""
    words = shlex.split(line)
    if words[0] != "charlm" or SHELL.search(re.sub(r"'[^']*'|\"[^\"$`]*\"", "", line)):
        run_process(["bash", "-c", line])
        return
    done = call(*words[1:])
    assert done.code == 0, f"{line}\n{done.out}\n" + "\n".join(done.err)


class Trainings:
    """The runs that pages train, each command on each text carried out once and then copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def train(self, line: str) -> None:
        """Do what ``charlm train ... --out RUN`` does in the working folder."""
        words = shlex.split(line)
        run = Path(words[words.index("--out") + 1])
        text = Path(words[2]).read_text(encoding="utf-8")
        kept = self.folder / str(abs(hash((line, text))))
        if not kept.exists():
            run_line(line)
            shutil.copytree(run, kept)
        elif not run.exists():
            shutil.copytree(kept, run)

    def run_page(self, page: Path) -> None:
        """Run the command lines and the Python of a page in the working folder, shrunk."""
        for kind, body in blocks(page):
            for line in map(shrink, commands(body)):
                if "pip install" in line:  # the CI does that from nothing
                    continue
                if line.startswith("charlm train ") and "--out" in line:
                    self.train(line)
                else:
                    run_line(line)
            if kind == "python":
                run_process([sys.executable, "-W", "error", "-c", body])
