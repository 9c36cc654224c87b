"""Show compression: a bar while tokens are coded, then the figures."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json, result_of, talk
from charlm.errors import counted
from charlm.inference.compression.codec import CodingProgress, Compressed, Decompressed
from charlm.inference.compression.files import STREAM
from charlm.inference.loading import Loaded

__all__ = ["draw_progress", "show_compressed", "show_decompressed"]

Result = TypeVar("Result", Compressed, Decompressed)


def draw_progress(records: Iterable[CodingProgress | Result]) -> Result:
    """Draw how many tokens are coded; returns the last record, which is the result."""
    found: Result = result_of(
        records, {CodingProgress: lambda each: (each.what, each.done, each.total)}
    )
    return found


def show_compressed(
    loaded: Loaded, done: Compressed, source: Path, target: Path, *, as_json: bool
) -> None:
    """Print the figures; one line on stderr if the compressed bytes go to stdout."""
    sizes = counted(done.bytes_out, "byte")
    if done.bytes_in:
        sizes += f", {done.bits_per_byte:.3f} bits per byte"
    if as_json:
        run = {"run": str(loaded.run.folder), "step": loaded.step}
        names = {"file": str(source), "out": str(target), "tokenizer": loaded.tokenizer.kind}
        print_json({**names, **run, **done.record()})
    elif target == STREAM:
        talk().print(f"{counted(done.bytes_in, 'byte')} -> {sizes}", markup=False)
    else:
        tokens = f"{counted(done.tokens, 'token')} ({loaded.tokenizer.kind})"
        learned = ", learning" if done.adapted else ""
        print_pairs(
            {
                "file": f"{source}: {counted(done.bytes_in, 'byte')}, {tokens}",
                "model": f"{loaded.run.folder}, step {loaded.step:,}{learned}",
                "compressed": f"{target}: {sizes}",
                "bits": f"{done.coded_bits:,} for the tokens (their nll: {done.model_bits:,.0f}); "
                f"{counted(done.other_bytes, 'byte')} for all else",
                "checked": f"decompressed and compared, {done.seconds:.1f} s in all",
            }
        )


def show_decompressed(done: Decompressed, source: Path, target: Path, *, as_json: bool) -> None:
    """Print the sizes; one line on stderr if the file itself goes to stdout."""
    if as_json:
        print_json({"file": str(source), "out": str(target), **done.record()})
    elif target == STREAM:
        talk().print(f"{counted(done.bytes_out, 'byte')}, SHA-256 as before", markup=False)
    else:
        print_pairs(
            {
                "file": f"{target}: {counted(done.bytes_out, 'byte')}, SHA-256 as before",
                "from": f"{source}: {counted(done.bytes_in, 'byte')}, {done.seconds:.1f} s",
            }
        )
