"""Whether lines end with CR LF, as on Windows, or with LF."""

from charlm.data.preparation.store import TokenStore
from charlm.data.tokenizers.kinds import Tokenizer

__all__ = ["store_has_windows_lines", "windows_lines"]

HEAD = 1 << 14
"""Tokens of a text that tell how its lines end."""


def windows_lines(content: bytes) -> bool:
    """Whether most lines of a text in UTF-8 end with CR LF; False where there are no lines."""
    return 2 * content.count(b"\r\n") > content.count(b"\n")


def store_has_windows_lines(store: TokenStore, tokenizer: Tokenizer) -> bool:
    """Whether most lines at the head of a prepared text end with CR LF."""
    return windows_lines(tokenizer.decode_bytes(store.tokens[:HEAD]))
