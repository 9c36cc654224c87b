"""Lines of a text file in a stream, none of them larger than the memory."""

from collections.abc import Iterator

from charlm.data.sources.pieces import TextFile
from charlm.errors import CorpusError

__all__ = ["LONGEST", "read_lines"]

LONGEST = 1 << 22
"""Characters of a line: above any sentence or cell that is text, far below the memory."""


def read_lines(file: TextFile, encoding: str, longest: int = LONGEST) -> Iterator[str]:
    """The lines of ``file`` with their ends; ``encoding`` is a standard name.

    Raises ``CorpusError`` where the file cannot be read or decoded or a line has more than
    ``longest`` characters, with the number of the line.
    """
    begun, number = "", 0
    for piece in file.pieces(encoding):
        assert isinstance(piece.text, str)
        *whole, rest = piece.text.removeprefix("\ufeff" if piece.starts else "").split("\n")
        for line in whole:
            yield begun + line + "\n"
            begun, number = "", number + 1
        begun += rest
        if len(begun) > longest:
            raise CorpusError(
                f"{file.name}: line {number + 1:,} is longer than {longest:,} characters",
                "cut it, or mend the file",
            )
    if begun:
        yield begun
