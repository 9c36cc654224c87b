"""Compile ``lstm.c`` when the package is built; runs without charlm and without torch.

Beside the library stands its seal, a file with the SHA-256 of the sources and of the library: a
library that is damaged, or older than its sources, is not loaded.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["LIBRARY", "SEAL", "compile_library", "seal"]

SOURCE = Path(__file__).with_name("lstm.c")
LIBRARY, SEAL = "lstm.so", "lstm.sha256"
INCLUDED = sorted(SOURCE.parent.glob("*.h"))
# The compiler must not turn a * b + c into one operation by itself, which rounds differently:
# results would depend on the compiler.
FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-shared", "-ffp-contract=off"]


def seal(library: Path) -> str:
    """The content of the seal for the present sources and this library."""
    source = b"".join(path.read_bytes() for path in (SOURCE, *INCLUDED))
    digests = [hashlib.sha256(content).hexdigest() for content in (source, library.read_bytes())]
    return "".join(f"{digest}\n" for digest in digests)


def compile_library(folder: Path) -> str | None:
    """Write library and seal into ``folder``; returns ``None``, or why there is no library."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if sys.platform != "linux" or compiler is None:
        return "no C compiler" if sys.platform == "linux" else f"not built on {sys.platform}"
    made = folder / f"lstm.{os.getpid()}.so"
    try:
        subprocess.run(
            [compiler, *FLAGS, "-o", made, SOURCE, "-lm"],
            check=True,
            capture_output=True,
            timeout=300,
        )
        # Another process may have the old library mapped: replace the file, never write into it.
        made.replace(folder / LIBRARY)
        (folder / SEAL).write_text(seal(folder / LIBRARY))
    except (OSError, subprocess.SubprocessError) as error:
        return f"the C compiler failed: {type(error).__name__}"
    finally:
        made.unlink(missing_ok=True)
    return None


if __name__ == "__main__":  # after a change of a source, in a checkout
    print(compile_library(SOURCE.parent) or f"built {LIBRARY}")
