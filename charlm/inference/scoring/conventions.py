"""The arithmetic of other tools, so that figures can be compared with theirs.

charlm     one stream, the state carried; every token is scored, boundaries are not
lm-eval    each document from the boundary on; words as lm-evaluation-harness counts them
kenlm      each line from the boundary on, which stands for <s>; the boundary after it is </s>, a
           token; line breaks are not tokens
nanogpt    windows of so many tokens, nothing carried; the first token of all is given
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from charlm.data.preparation.counting import TextCounter
from charlm.data.preparation.encoding import EncodedPiece, encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.data.sources.pieces import Piece
from charlm.errors import ConfigError, CorpusError
from charlm.inference.loading import Loaded, load_part, open_for
from charlm.inference.scoring.documents import score_documents, score_part
from charlm.inference.scoring.scorer import Reading, Scored
from charlm.inference.scoring.streams import Reset
from charlm.inference.scoring.windows import score_windows
from charlm.metrics import Score

__all__ = ["CONVENTIONS", "Convention", "Request", "Text", "figures", "open_texts", "score"]

Convention = Literal["charlm", "lm-eval", "kenlm", "nanogpt"]
CONVENTIONS: tuple[Convention, ...] = ("charlm", "lm-eval", "kenlm", "nanogpt")
WINDOW = 256


@dataclass(frozen=True)
class Text:
    """What makes one row of a table: a SOURCE of the user, or a part of the run's own text."""

    name: str
    names: tuple[str, ...]
    size: int | None
    content: Corpus | TokenStore


@dataclass(frozen=True, kw_only=True)
class Request:
    """How texts are to be scored; raises ``ConfigError`` for what does not go together."""

    convention: Convention = "charlm"
    reset: Reset | None = None
    window: int | None = None
    curve: bool = False

    def __post_init__(self) -> None:
        if self.reset and self.convention != "charlm":
            raise ConfigError(
                f"--convention {self.convention} says itself where the state starts anew",
                "leave --reset out",
            )
        if self.window and self.convention != "nanogpt":
            raise ConfigError(
                f"--window does nothing with --convention {self.convention}",
                "leave --window out, or: --convention nanogpt",
            )

    @property
    def starts(self) -> str:
        """What the state starts anew with."""
        return self.reading.reset if self.convention != "nanogpt" else "window"

    @property
    def note(self) -> str:
        """What people should know of the figures; nothing for one stream in our own way."""
        return {
            "lm-eval": "lm-eval: each document by itself, words as its regular expression splits",
            "kenlm": "kenlm: each line by itself, its end a token, line breaks none",
            "nanogpt": f"nanogpt: windows of {self.window or WINDOW:,} tokens, nothing carried",
            "charlm": f"each {self.reset} by itself" if self.starts != "never" else "",
        }[self.convention]

    @property
    def reading(self) -> Reading:
        """How the streams of a text are read; windows have a way of their own."""
        if self.convention == "lm-eval":
            return Reading(reset="document", curve=self.curve)
        if self.convention == "kenlm":
            return Reading(reset="line", breaks=False, closed=True, curve=self.curve)
        return Reading(reset=self.reset or "never", curve=self.curve)


def open_texts(
    loaded: Loaded, sources: tuple[str, ...], part: str | None, reading: Mapping[str, str]
) -> list[Text]:
    """Each source, or the part of the run's own text.

    Raises ``ConfigError`` for what does not go together, and ``CorpusError``.
    """
    if bool(sources) == bool(part):
        raise ConfigError(
            "give either a SOURCE to score, or --part test for the run's own",
            "charlm perplexity --help",
        )
    if part is None:
        opened = [(name, open_for(loaded, (name,), reading)) for name in sources]
        return [Text(name, corpus.names, corpus.size, corpus) for name, corpus in opened]
    if reading:
        raise ConfigError(
            f"the {part} part of a run is read as in training", f"leave out: {', '.join(reading)}"
        )
    store = load_part(loaded, part)
    name = f"the {part} part"
    return [Text(name, (name,), store.counts.bytes, store)]


def score(loaded: Loaded, text: Text, request: Request) -> Iterator[Scored]:
    """Score a text as it was asked for, bit by bit; the sum is the score.

    Raises ``CorpusError`` for text that cannot be scored so.
    """
    model, tokenizer, content = loaded.model, loaded.tokenizer, text.content
    if request.convention == "nanogpt":
        size = request.window or WINDOW
        return score_windows(model, tokenizer, content, size, curve=request.curve)
    if isinstance(content, TokenStore):
        if request.convention == "lm-eval":
            raise CorpusError(
                "--convention lm-eval counts words on the text, which --part does not keep",
                "name the text itself instead of a part of the run",
            )
        return score_part(model, tokenizer, content, request.reading)
    pieces = encode_documents(tokenizer, content)
    if request.convention == "lm-eval":
        return score_pages(loaded, pieces, text.names, request)
    return score_documents(model, tokenizer, pieces, request.reading, text.names)


def score_pages(
    loaded: Loaded, pieces: Iterable[EncodedPiece], names: tuple[str, ...], request: Request
) -> Iterator[Scored]:
    """Score documents, with words counted as lm-evaluation-harness does."""
    words = PageWords()
    watched = words.watch(pieces)
    for part in score_documents(loaded.model, loaded.tokenizer, watched, request.reading, names):
        yield replace(part, score=replace(part.score, words=0))
    yield Scored(Score(words=words.count))


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

    def watch(self, pieces: Iterable[EncodedPiece]) -> Iterator[EncodedPiece]:
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
