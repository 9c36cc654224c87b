"""Text that a model writes, as it is written."""

import sys
from collections.abc import Iterator, Mapping

from charlm.console.streams import print_json, write_text
from charlm.data.preparation.store import TokenStore
from charlm.data.tokenizers.kinds import Tokenizer

__all__ = ["opening", "show_samples"]

OPENING = 256
"""Tokens of text that a model is given to go on from."""


def show_samples(prompt: str, samples: Mapping[int, Iterator[str]], *, as_json: bool) -> None:
    """Print the prompt and its continuation for every seed, a blank line between two."""
    for number, (seed, pieces) in enumerate(samples.items()):
        if as_json:
            print_json({"prompt": prompt, "text": "".join(pieces), "seed": seed})
            continue
        write_text(("\n\n" if number else "") + prompt)
        for piece in pieces:
            write_text(piece)
    if not as_json and sys.stdout.isatty():
        sys.stdout.write("\n")


def opening(store: TokenStore, tokenizer: Tokenizer) -> str:
    """The first lines of a text, from which a model can go on in the middle of things.

    Empty where they hold what the model does not know.
    """
    text = tokenizer.decode(store.tokens[:OPENING])
    lines = text[: text.rfind("\n") + 1] or text
    return "" if tokenizer.unknown(lines) else lines
