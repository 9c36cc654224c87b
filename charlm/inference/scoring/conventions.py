"""The arithmetic of other tools, so that figures can be compared with theirs.

charlm     one stream, the state carried; every token is scored, boundaries are not
lm-eval    each document from the boundary on; words as lm-evaluation-harness counts them
kenlm      each line from the boundary on, which stands for <s>; the boundary after it is </s>, a
           token; line breaks are not tokens
nanogpt    windows of so many tokens, nothing carried; the first token of all is given
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from charlm.config.section import one_of
from charlm.data.preparation.counting import TextCounter
from charlm.data.preparation.encoding import EncodedPiece, encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.preparation.streams import RESETS, Reset
from charlm.data.sources.pieces import Piece
from charlm.errors import ConfigError, CorpusError, counted
from charlm.inference.loading import Loaded
from charlm.inference.scoring.documents import score_documents, score_store
from charlm.inference.scoring.scorer import PartialScore, StreamOptions
from charlm.inference.scoring.windows import score_windows
from charlm.inference.texts import TextSource
from charlm.metrics import Score

__all__ = ["CONVENTIONS", "Convention", "ScoringOptions", "figures", "score"]

Convention = Literal["charlm", "lm-eval", "kenlm", "nanogpt"]
CONVENTIONS: tuple[Convention, ...] = ("charlm", "lm-eval", "kenlm", "nanogpt")

WINDOW = 256
"""Tokens in a window of nanoGPT's where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How texts are to be scored; raises ``ConfigError`` for options that do not go together.

    ``reset`` says where the state starts anew (None: never, or where the convention says),
    ``window`` is in tokens, ``curve`` asks for the nll by position.
    """

    convention: Convention = "charlm"
    reset: Reset | None = None
    window: int | None = None
    curve: bool = False

    def __post_init__(self) -> None:
        one_of("convention", self.convention, CONVENTIONS)
        if self.reset is not None:
            one_of("reset", self.reset, RESETS)
        if self.reset and self.convention != "charlm":
            raise ConfigError(
                f"`convention={self.convention!r}` says itself where the state starts anew",
                "leave `reset` out",
            )
        if self.window is not None and self.window < 1:
            raise ConfigError(f"`window` must be at least 1, got {self.window}", "change `window`")
        if self.window and self.convention != "nanogpt":
            raise ConfigError(
                f"`window` does nothing with `convention={self.convention!r}`",
                "leave `window` out, or give `convention='nanogpt'`",
            )

    @property
    def starts(self) -> str:
        """What the state starts anew with: never, file, document, line or window."""
        return self.streams.reset if self.convention != "nanogpt" else "window"

    @property
    def note(self) -> str:
        """What people should know of the figures; nothing for one stream in our own way."""
        window = counted(self.window or WINDOW, "token")
        return {
            "lm-eval": "lm-eval: each document by itself, words as its regular expression splits",
            "kenlm": "kenlm: each line by itself, its end a token, line breaks none",
            "nanogpt": f"nanogpt: windows of {window}, nothing carried",
            "charlm": f"each {self.reset} by itself" if self.starts != "never" else "",
        }[self.convention]

    @property
    def streams(self) -> StreamOptions:
        """How a text is cut into streams; nanoGPT's windows are cut elsewhere."""
        if self.convention == "lm-eval":
            return StreamOptions(reset="document", curve=self.curve)
        if self.convention == "kenlm":
            return StreamOptions(reset="line", line_breaks=False, score_ends=True, curve=self.curve)
        return StreamOptions(reset=self.reset or "never", curve=self.curve)


def score(loaded: Loaded, text: TextSource, options: ScoringOptions) -> Iterator[PartialScore]:
    """Score a text bit by bit; the sum of what is yielded is its score.

    Raises ``CorpusError`` for text that cannot be scored so.
    """
    model, tokenizer, content = loaded.model, loaded.tokenizer, text.content
    if options.convention == "nanogpt":
        size = options.window or WINDOW
        return score_windows(model, tokenizer, content, size, curve=options.curve)
    if isinstance(content, TokenStore):
        if options.convention == "lm-eval":
            raise CorpusError(
                "`convention='lm-eval'` counts words on the text, which a part of a run does not "
                "keep",
                "name the text itself instead of a part of the run",
            )
        return score_store(model, tokenizer, content, options.streams)
    pieces = encode_documents(tokenizer, content)
    if options.convention == "lm-eval":
        return score_pages(loaded, pieces, text.names, options.streams)
    return score_documents(model, tokenizer, pieces, options.streams, text.names)


def score_pages(
    loaded: Loaded, pieces: Iterable[EncodedPiece], names: tuple[str, ...], options: StreamOptions
) -> Iterator[PartialScore]:
    """Score documents, with words counted as lm-evaluation-harness does."""
    words = PageWords()
    counted = words.count_in(pieces)
    for part in score_documents(loaded.model, loaded.tokenizer, counted, options, names):
        yield replace(part, words=0)
    yield PartialScore(words=words.count)


class PageWords:
    r"""Counts words as ``len(re.split(r"\s+", page))`` does, while pieces pass.

    That is the runs of non-space, and one more for white space at the beginning and at the end.
    """

    def __init__(self) -> None:
        self.counter = TextCounter()
        self.edges = 0
        self.last = ""

    @property
    def count(self) -> int:
        """Words so far."""
        return self.counter.counts.words + self.edges + self.last.isspace()

    def count_in(self, pieces: Iterable[EncodedPiece]) -> Iterator[EncodedPiece]:
        """Pass the pieces on."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for piece in pieces:
            if piece.starts:
                decoder.reset()
                self.edges += self.last.isspace()
                self.last = ""
            text = piece.text if isinstance(piece.text, str) else decoder.decode(piece.text)
            if text:
                self.counter.add(Piece(text, not self.last))
                self.edges += not self.last and text[0].isspace()
                self.last = text[-1]
            yield piece


def figures(convention: Convention, score: Score) -> dict[str, float]:
    """The figures that a tool prints, under the names it gives them."""
    if convention == "kenlm":
        return {
            "Perplexity including OOVs": score.perplexity,
            "Perplexity excluding OOVs": score.perplexity_without_oov,
            "OOVs": score.oov,
            "Tokens": score.tokens,
        }
    if convention == "lm-eval":
        return {
            "word_perplexity": score.word_perplexity,
            "byte_perplexity": score.byte_perplexity,
            "bits_per_byte": score.bpb,
        }
    return {"loss": score.mean_nll} if convention == "nanogpt" else {}
