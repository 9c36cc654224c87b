"""The error for a path that is named as a run and is none, with the run that may be meant."""

import difflib
from pathlib import Path

from charlm.errors import CheckpointError

__all__ = ["no_run"]

SETTINGS = "run.toml"
USUAL = Path("runs")
"""The folder in which runs are made where nothing else is said."""

LIKENESS = 0.7
"""Least likeness (``difflib``'s ratio, 0 to 1) of a name and the run that may be meant."""

FOREIGN = {
    ".pt": "weights of a PyTorch program",
    ".pth": "weights of a PyTorch program",
    ".ckpt": "weights of another program",
    ".t7": "weights of a Torch 7 program, such as char-rnn",
    ".bin": "weights of another program",
    ".h5": "weights of a Keras program",
    ".hdf5": "weights of a Keras program",
    ".keras": "weights of a Keras program",
    ".onnx": "a model in ONNX",
    ".gguf": "a model of llama.cpp",
    ".safetensors": "weights alone",
    ".arpa": "an n-gram model in ARPA format",
    ".klm": "an n-gram model of KenLM",
}
"""Files that hold models, by their ending."""


def no_run(path: Path) -> CheckpointError:
    """The error for ``path``, which is no run; a run with nearly its name is the way out."""
    near = find_near(path)
    hint = f"did you mean {near}?" if near else "name the folder of a run, such as runs/NAME"
    if not path.exists():
        return CheckpointError(f"{path} does not exist", hint)
    foreign = FOREIGN.get(path.suffix.lower())
    if foreign and path.is_file() and not near:
        return CheckpointError(
            f"{path} is not a run but {foreign}, without settings and tokenizer",
            "train a run on the text it was made from, and name its folder",
        )
    return CheckpointError(f"{path} is not a run: it has no {SETTINGS}", hint)


def find_near(path: Path) -> Path | None:
    """The run that holds ``path``, has its name under ``runs``, or is spelled nearly like it."""
    for outer in path.parents:
        if (outer / SETTINGS).is_file():
            return outer
    if not path.is_absolute() and (USUAL / path / SETTINGS).is_file():
        return USUAL / path
    for folder in (path.parent, USUAL):
        names = [found.parent.name for found in folder.glob(f"*/{SETTINGS}")]
        near = difflib.get_close_matches(path.name, names, n=1, cutoff=LIKENESS)
        if near:
            return folder / near[0]
    return None
