"""``charlm import``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import FILE, json_option, out_option


@click.command("import", cls=Command, short_help="Make a run of another tool's model.")
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--as", "kind", type=click.Choice(["torch", "tensorflow1", "keras", "npz", "arpa"]),
    help="torch: a module or state dict (.pt, .safetensors), as of pytorch/examples, "
    "colorlessgreenRNNs, neural-complexity, awd-lstm-lm or char-rnn.pytorch.  tensorflow1: a "
    "folder of raw arrays.  arpa: n-grams.  [default: by the name]",
)  # fmt: skip
@click.option(
    "--vocab", metavar="FILE",
    help="What the ids stand for: one symbol a line, or JSON.  printable: the vocabulary of "
    "char-rnn.pytorch.",
)  # fmt: skip
@click.option(
    "--mapping", type=FILE, metavar="FILE",
    help="npz: names of its arrays, in TOML (docs/exchange.md).",
)  # fmt: skip
@out_option("The run folder.  [default: runs/NAME]")
@click.option(
    "--on", type=FILE, metavar="TEXT",
    help="Measure the model on a text, from a state of zeros, the first token given.",
)  # fmt: skip
@click.option(
    "--expect", type=float, metavar="NLL",
    help="Import only if the text has so many nats per token, to 0.0001.",
)  # fmt: skip
@json_option("one JSON object")
def command(
    file: Path,
    kind: str | None,
    vocab: str | None,
    mapping: Path | None,
    out: Path | None,
    on: Path | None,
    expect: float | None,
    as_json: bool,
) -> None:
    """Make a run of a language model that another tool has trained.

    Nothing in the file is executed.  Example:

        charlm import model.pt --vocab vocab.txt --on test.txt
    """
    from charlm.console.exchange import show_imported
    from charlm.exchange.importing import import_model

    target = out or Path("runs") / file.stem
    done = import_model(
        file, target, kind=kind, vocab=vocab, mapping=mapping, on=on, expect=expect
    )  # fmt: skip
    show_imported(done, as_json=as_json)
