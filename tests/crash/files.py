"""Crashes while other files than a run's are written: the token cache, a download, an output."""

import hashlib
import io
import random
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from charlm import durable
from charlm.config import DataConfig, TokenizerConfig
from charlm.data.catalogue.card import CardFile
from charlm.data.catalogue.download import download
from charlm.data.preparation.prepared import Prepared, prepare
from tests.crash.counts import Counts
from tests.crash.crashes import Recording, always, in_memory
from tests.crash.disk import fingerprint, snapshot, write_tree
from tests.crash.stores import repeatable
from tests.crash.trainings import write_text
from tests.crash.watch import Operation, watching

__all__ = ["run_file_crashes"]

CONTENT = bytes(range(256)) * 12
CARD = CardFile(
    part="all",
    url="https://example.org/text.txt",
    bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


def run_file_crashes(
    seed: int, states: int, reaches_disk: Callable[[Operation], bool] = always
) -> Counts:
    """Open ``states`` distinct states that a crash may leave of a token cache, a download or a
    compressed file, a third of them each; ``reaches_disk`` as in ``run_crashes``.
    """
    counts, generator = Counts(), random.Random(seed)
    with in_memory() as folder, repeatable():
        text = write_text(folder)
        for number, work in enumerate((TokenCache(text), Download(), Output())):
            goal = states * (number + 1) // 3
            while counts.trials < goal:
                check_crashes(
                    counts, folder / f"disk-{number}", work, generator, goal, reaches_disk
                )
    return counts


def check_crashes(
    counts: Counts,
    root: Path,
    work: Callable[[Path], str | None],
    generator: random.Random,
    goal: int,
    reaches_disk: Callable[[Operation], bool],
) -> None:
    """Do the work once, then do it again after each crash; it says what is wrong with its end."""
    write_tree(root, {})
    work(root) if generator.random() < 0.3 else None
    recording, opened = Recording(snapshot(root)), set[bytes]()
    with watching(root, after=recording.steps.append):
        work(root)
    recording.steps[:] = filter(reaches_disk, recording.steps)
    for crash in recording.crashes(root, generator, attempts=12):
        if fingerprint(crash.tree) in opened or counts.trials >= goal:
            continue
        opened.add(fingerprint(crash.tree))
        write_tree(root, crash.tree)
        counts.trials += 1
        counts.hits[type(work).__name__.lower()] += 1
        try:
            problem = work(root)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            counts.wrong.append(f"{type(work).__name__}: {problem}")


class TokenCache:
    """A text is prepared, or found prepared."""

    def __init__(self, text: Path) -> None:
        self.data = DataConfig(sources=(str(text),), split=(80, 20))
        self.expected: bytes | None = None

    def __call__(self, root: Path) -> str | None:
        *_, found = prepare(self.data, TokenizerConfig(), root / "cache")
        assert isinstance(found, Prepared)
        assert found.valid is not None
        tokens = found.train.tokens.tobytes() + b"|" + found.valid.tokens.tobytes()
        self.expected = self.expected or tokens
        left = list(root.rglob(f"*{durable.TEMPORARY_MARK}*"))
        if tokens != self.expected:
            return "other tokens"
        # What lies beside a text that is found whole waits for the next one that is built.
        return f"left behind: {left}" if left and not (root / "cache/tokens").is_dir() else None


class Download:
    """A file is downloaded, or what arrived of it completed."""

    def __call__(self, root: Path) -> str | None:
        with patch("charlm.data.catalogue.download.connect", served):
            list(download(CARD, root / "text.txt"))
        return None if (root / "text.txt").read_bytes() == CONTENT else "another text"


def served(url: str, start: int, *_: Any, **__: Any) -> Any:
    """What a server answers that can resume."""
    headers = Message()
    headers["Content-Length"] = str(len(CONTENT) - start)
    body = io.BytesIO(CONTENT[start:])

    class Response(SimpleNamespace):
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            return

    return Response(status=206 if start else 200, headers=headers, read=lambda n: body.read(700))


class Output:
    """A compressed file replaces another; whoever reads it finds one of the two, whole."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, root: Path) -> str | None:
        path = root / "text.charlm"
        found = path.read_bytes() if path.exists() else CONTENT
        self.number += 1
        durable.write_output(path, [CONTENT[self.number % 7 :], b"end" * 100], force=True)
        whole = found == CONTENT or found.endswith(b"end" * 100)
        left = [each.name for each in root.iterdir() if each != path]
        return f"left behind: {left}" if left else None if whole else "a part of a file"
