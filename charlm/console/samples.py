"""Text that a model writes, as it is written."""

import sys
from collections.abc import Iterator, Mapping

from charlm.console.streams import print_json, write_text

__all__ = ["show_samples"]


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
