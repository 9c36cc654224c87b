"""Compression on the screen: a bar while it is coded, then the figures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import Progress

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json, talk
from charlm.inference.compression.codec import Coding, Compressed, Decompressed
from charlm.inference.compression.files import STREAM
from charlm.inference.loading import Loaded

__all__ = ["show_compressed", "show_decompressed", "watch"]

Done = TypeVar("Done", Compressed, Decompressed)


def watch(records: Iterable[Coding | Done]) -> Done:
    """Draw how far it is; returns the last record."""
    console, done = talk(), None
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        for record in records:
            if isinstance(record, Coding):
                progress.update(
                    task, description=record.what, completed=record.done, total=record.total
                )
            else:
                done = record
    assert done is not None
    return done


def show_compressed(
    loaded: Loaded, done: Compressed, source: Path, target: Path, *, as_json: bool
) -> None:
    """The figures; a line on stderr where stdout has the file itself."""
    figures = compressed_table(loaded, done, source, target)
    if as_json:
        print_json(figures)
        return
    sizes = f"{done.bytes_out:,} bytes, {done.bits_per_byte:.3f} bits per byte"
    if target == STREAM:
        talk().print(f"{done.bytes_in:,} bytes -> {sizes}", markup=False)
        return
    kind, learned = loaded.tokenizer.kind, ", learning" if done.adapted else ""
    others = done.bytes_out - done.coded_bits // 8
    print_pairs(
        {
            "file": f"{source}: {done.bytes_in:,} bytes, {done.tokens:,} tokens ({kind})",
            "model": f"{loaded.run.folder}, step {loaded.step:,}{learned}",
            "compressed": f"{target}: {sizes}",
            "bits": f"{done.coded_bits:,} coded, {done.model_bits:,.0f} under the model; "
            f"{others:,} bytes beside them",
            "checked": f"decompressed and compared, {done.seconds:.1f} s in all",
        }
    )


def compressed_table(
    loaded: Loaded, done: Compressed, source: Path, target: Path
) -> dict[str, Any]:
    """The figures under the keys that scripts rely on."""
    figures = {key: value for key, value in vars(done).items() if key not in ("content", "adapted")}
    return {
        "file": str(source),
        "out": str(target),
        "bits_per_byte": done.bits_per_byte,
        **figures,
        "mode": "adaptive" if done.adapted else "static",
        "tokenizer": loaded.tokenizer.kind,
        "run": str(loaded.run.folder),
        "step": loaded.step,
    }


def show_decompressed(done: Decompressed, source: Path, target: Path, *, as_json: bool) -> None:
    """What came back; a line on stderr where stdout has the file itself."""
    if as_json:
        figures = {key: value for key, value in vars(done).items() if key != "content"}
        print_json({"file": str(source), "out": str(target), **figures})
    elif target == STREAM:
        talk().print(f"{done.bytes_out:,} bytes, SHA-256 as before", markup=False)
    else:
        print_pairs(
            {
                "file": f"{target}: {done.bytes_out:,} bytes, SHA-256 as before",
                "from": f"{source}: {done.bytes_in:,} bytes, {done.seconds:.1f} s",
            }
        )
