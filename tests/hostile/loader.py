"""What a loader under mutated files is, and how a mutated file reaches it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from charlm.storage.integrity import WHOLE, digest, files_of, manifest_of
from tests.hostile.mutations import Mutation

__all__ = ["TEXT", "Load", "Loader", "into", "sign", "signed"]

TEXT = "the cat sat on the mat,\nand the dog  ate the cat's hat é.\n" * 8
Load = Callable[[bytes], object]


@dataclass(frozen=True)
class Loader:
    """How mutations of ``seeds`` are loaded, and what an error's message has to name."""

    name: str
    seeds: Sequence[bytes]
    mutate: Mutation
    load: Load
    named: str


def into(path: Path, load: Callable[[], object]) -> Load:
    """A loader of what is written to ``path``."""

    def written(content: bytes) -> object:
        path.write_bytes(content)
        return load()

    return written


def signed(path: Path, load: Callable[[], object]) -> Load:
    """A loader of a file of a checkpoint whose manifest agrees with what is in it."""

    def written(content: bytes) -> object:
        path.write_bytes(content)
        sign(path)
        WHOLE.clear()
        return load()

    return written


def sign(path: Path) -> None:
    """Let the manifest agree with a file of its checkpoint."""
    files = files_of(path.parent) | {path.name: (path.stat().st_size, digest(path.read_bytes()))}
    manifest = manifest_of(int(path.parent.name.removeprefix("step-")), files)
    path.with_name("manifest.json").write_bytes(manifest)
