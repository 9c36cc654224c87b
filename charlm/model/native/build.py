"""Compile ``lstm.c``, beside itself, when the package is built.  Stands alone: no charlm, no torch.

Beside the library lies a seal, the SHA-256 of the sources and of the library: a library that is
damaged, or older than its sources, is not loaded.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["compile_library", "library_in", "seal", "seal_in"]

SOURCE = Path(__file__).with_name("lstm.c")
INCLUDED = sorted(SOURCE.parent.glob("*.h"))
# Contracting a * b + c is left to the source, or results would depend on the compiler.
FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-shared", "-ffp-contract=off"]


def library_in(folder: Path) -> Path:
    """Where the library lies."""
    return folder / "lstm.so"


def seal_in(folder: Path) -> Path:
    """Where its seal lies."""
    return folder / "lstm.sha256"


def seal(library: Path) -> str:
    """What the seal says if sources and library are the ones that belong together."""
    source = b"".join(path.read_bytes() for path in (SOURCE, *INCLUDED))
    digests = [hashlib.sha256(content).hexdigest() for content in (source, library.read_bytes())]
    return "".join(f"{digest}\n" for digest in digests)


def compile_library(folder: Path) -> str | None:
    """Leave library and seal in ``folder``; returns ``None``, or why there is no library."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if sys.platform != "linux" or compiler is None:
        return "no C compiler" if sys.platform == "linux" else f"not built on {sys.platform}"
    made = folder / f"lstm.{os.getpid()}.so"
    try:
        subprocess.run(
            [compiler, *FLAGS, "-o", made, SOURCE], check=True, capture_output=True, timeout=300
        )
        # Another process may have the old library mapped: replace the file, never write into it.
        made.replace(library_in(folder))
        seal_in(folder).write_text(seal(library_in(folder)))
    except (OSError, subprocess.SubprocessError) as error:
        return f"the C compiler failed: {type(error).__name__}"
    finally:
        made.unlink(missing_ok=True)
    return None


if __name__ == "__main__":  # after a change of a source, in a checkout
    print(compile_library(SOURCE.parent) or f"built {library_in(SOURCE.parent).name}")
