"""What was imported, exported, pushed or pulled, for people or as JSON."""

import dataclasses

from charlm.console.streams import print_note, talk
from charlm.console.tables import print_record
from charlm.errors import counted
from charlm.exchange.exporting import Exported
from charlm.exchange.hub import Pulled, Pushed
from charlm.exchange.importing import Imported

__all__ = ["show_exported", "show_imported", "show_pulled", "show_pushed"]


def show_imported(done: Imported, *, as_json: bool) -> None:
    """Print the new run, and its nll where it was measured."""
    for note in done.notes:
        print_note(note)
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
        rows["text"] = (
            f"{done.on}: {done.nll:.6f} nats per token, {counted(done.tokens, 'token')}{unknown}"
        )
    print_record(dataclasses.asdict(done), rows, as_json=as_json)
    if not as_json:
        talk().print(f"use it: charlm generate {done.run}", markup=False)


def show_exported(done: Exported, *, as_json: bool) -> None:
    """Print what was written."""
    rows = {
        "saved in": f"{done.out}: {counted(done.bytes, 'byte')}",
        "model": f"{done.run}, step {done.step:,}",
    }
    if done.difference is not None:
        rows["checked"] = f"onnxruntime's log-probabilities agree to {done.difference:.1e} nats"
    print_record(dataclasses.asdict(done), rows, as_json=as_json)


def show_pushed(done: Pushed, licence: str | None, *, as_json: bool) -> None:
    """Print where a run was uploaded."""
    if licence is None:
        print_note("no licence was named; others may not know what they are allowed to do")
    rows = {"run": f"{done.run}, step {done.step:,}", "url": done.url, "commit": done.commit}
    rows |= {"files": f"{len(done.files)}, {counted(done.bytes, 'byte')}"}
    print_record(dataclasses.asdict(done), rows, as_json=as_json)


def show_pulled(done: Pulled, *, as_json: bool) -> None:
    """Print where a run was downloaded to."""
    steps = ", ".join(f"{step:,}" for step in done.steps)
    rows = {"run": done.run, "from": f"{done.name}, commit {done.commit}"}
    rows |= {"checkpoints": f"step {steps}, verified; {counted(done.bytes, 'byte')} in all"}
    print_record(dataclasses.asdict(done), rows, as_json=as_json)
