"""What was imported, exported, pushed or pulled, for people or as JSON."""

import dataclasses

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json, print_note, talk
from charlm.exchange.exporting import Exported
from charlm.exchange.hub import Pulled, Pushed
from charlm.exchange.importing import Imported

__all__ = ["show_exported", "show_imported", "show_pulled", "show_pushed"]


def show_imported(done: Imported, *, as_json: bool) -> None:
    """Print the new run, and its nll where it was measured."""
    for note in done.notes:
        print_note(note)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    sizes = ", ".join(map(str, done.sizes))
    network = f"{done.cell}, hidden size {sizes}, {done.parameters:,} parameters"
    ngrams = f"n-grams up to order {sizes}, {done.parameters:,} in all"
    rows = {
        "run": done.run,
        "model": ngrams if done.cell == "ngram" else network,
        "vocabulary": f"{done.vocab_size:,} ({done.tokenizer})",
    }
    if done.nll is not None:
        unknown = f", {done.unknown:,} of them unknown" if done.unknown else ""
        rows["text"] = f"{done.on}: {done.nll:.6f} nats per token, {done.tokens:,} tokens{unknown}"
    print_pairs(rows)
    talk().print(f"use it: charlm generate {done.run}", markup=False)


def show_exported(done: Exported, *, as_json: bool) -> None:
    """Print what was written."""
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    rows = {"out": f"{done.out}: {done.bytes:,} bytes", "model": f"{done.run}, step {done.step:,}"}
    if done.difference is not None:
        rows["checked"] = f"onnxruntime's log-probabilities agree to {done.difference:.1e} nats"
    print_pairs(rows)


def show_pushed(done: Pushed, licence: str | None, *, as_json: bool) -> None:
    """Print where a run was uploaded."""
    if licence is None:
        print_note("no licence was named; others may not know what they are allowed to do")
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    rows = {"run": f"{done.run}, step {done.step:,}", "url": done.url, "commit": done.commit}
    print_pairs({**rows, "files": f"{len(done.files)}, {done.bytes:,} bytes"})


def show_pulled(done: Pulled, *, as_json: bool) -> None:
    """Print where a run was downloaded to."""
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    steps = ", ".join(f"{step:,}" for step in done.steps)
    rows = {"run": done.run, "from": f"{done.name}, commit {done.commit}"}
    print_pairs({**rows, "checkpoints": f"step {steps}, verified; {done.bytes:,} bytes in all"})
