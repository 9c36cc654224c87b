"""What a text may go on with: the most probable next tokens, and the most probable next words.

Shapes: B beginnings of words side by side, V vocabulary.
"""

import heapq
import re
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.generation.symbols import token_texts
from charlm.inference.predictors.decoder import Decoder

__all__ = ["Candidate", "likeliest_tokens", "likeliest_words"]

WIDTH = 32
"""Beginnings of words that are followed side by side.  Every word of probability 1/32 or more is
then found, because each of its beginnings is at least as probable as the word."""

LONGEST = 24
"""Tokens of the longest word that is found."""

WHOLE = re.compile(rb"\s*\S+(?=\s)")
"""A word with the white space before it, once white space follows."""


class Candidate(NamedTuple):
    """A text that may follow, and its probability."""

    text: str
    probability: float


def likeliest_tokens(
    log_probs: Tensor, tokenizer: Tokenizer, text: str, count: int
) -> list[Candidate]:
    """The ``count`` most probable next tokens after ``text``, by log_probs (V,).

    The probabilities are the model's; of tokens that stand for one text the most probable counts.
    The end of the text, the unknown symbol and parts of characters have no text, so they are left
    out.
    """
    space = " " if tokenizer.kind == "word" and text and not text[-1].isspace() else ""
    found: dict[str, Candidate] = {}
    for id in log_probs.argsort(descending=True).tolist():
        if len(found) >= count:
            break
        added = token_texts(tokenizer)[id] if id != tokenizer.unknown_id else None
        if added and added not in found:
            p = float(log_probs[id].double().exp())
            found[added] = Candidate(added if added.isspace() else space + added, p)
    return list(found.values())


def likeliest_words(
    decoder: Decoder, tokenizer: Tokenizer, text: str, count: int
) -> list[Candidate]:
    """The ``count`` most probable next words after ``text``, which ``decoder``, with one lane, has
    read.

    A word holds the white space before it, and comes with the probability that the text goes on
    with it and then with white space or the end; after half a word it is the other half.  Words of
    probability 1/WIDTH or more are all found and exact for tokenizers that spell a word in one way.
    """
    if tokenizer.kind == "word":
        return likeliest_tokens(decoder.log_probs[0].cpu(), tokenizer, text, count)
    search = WordSearch(tokenizer, count)
    lanes, beginnings = decoder.fork(torch.tensor([0])), [(b"", 1.0)]
    for _ in range(LONGEST):
        rows, tokens, beginnings = search.extend(lanes.log_probs, beginnings)
        if not beginnings:
            break
        lanes.select(torch.tensor(rows))
        lanes.advance(torch.tensor(tokens)[:, None])
    return search.best()


class WordSearch:
    """The words found so far, by the bytes of each."""

    def __init__(self, tokenizer: Tokenizer, count: int) -> None:
        self.tokenizer, self.count = tokenizer, count
        self.words: dict[bytes, float] = {}
        self.ends, self.excluded = word_ends(tokenizer)

    def extend(
        self, log_probs: Tensor, beginnings: list[tuple[bytes, float]]
    ) -> tuple[list[int], list[int], list[tuple[bytes, float]]]:
        """Note the words that end after the ``beginnings`` (B,), each with its probability; go on
        with the others.

        log_probs (B, V) are those of the next tokens.  Returns for each longer beginning the row
        that it extends, its last token, and itself with its probability.
        """
        probabilities = log_probs.cpu().double().exp()
        probabilities *= torch.tensor([[p] for _, p in beginnings], dtype=torch.float64)
        probabilities[:, self.excluded & ~self.ends] = 0
        for row, (beginning, _) in enumerate(beginnings):
            if beginning.strip():
                self.note(beginning, float(probabilities[row, self.ends].sum()))
                probabilities[row, self.ends] = 0
        probabilities[:, self.excluded] = 0
        worst = self.worst()
        best = probabilities.flatten().topk(min(WIDTH, probabilities.numel()))
        rows, tokens, longer = [], [], []
        for p, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            row, token = divmod(place, probabilities.shape[1])
            content = beginnings[row][0] + self.tokenizer.table[token]
            if p <= worst:  # it can only become less probable
                continue
            if whole := WHOLE.match(content):
                self.note(whole[0], p)
            else:
                rows.append(row)
                tokens.append(token)
                longer.append((content, p))
        return rows, tokens, longer

    def note(self, word: bytes, p: float) -> None:
        """Add the probability of one way to spell a word."""
        self.words[word] = self.words.get(word, 0.0) + p

    def worst(self) -> float:
        """What a word needs more than, to be among the best."""
        if len(self.words) < self.count:
            return 0.0
        return heapq.nlargest(self.count, self.words.values())[-1]

    def best(self) -> list[Candidate]:
        """The most probable words; bytes that are no UTF-8 are none."""
        found = []
        for content, p in sorted(self.words.items(), key=lambda each: -each[1]):
            try:
                found.append(Candidate(content.decode("utf-8"), p))
            except UnicodeDecodeError:
                continue
        return found[: self.count]


@lru_cache(maxsize=2)
def word_ends(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Which tokens (V,) end a word before them, and which do not go on with a text."""
    ends = [(text or "")[:1].isspace() for text in token_texts(tokenizer)]
    excluded = [id in (tokenizer.boundary_id, tokenizer.unknown_id) for id in range(len(ends))]
    ends[tokenizer.boundary_id] = True
    return torch.tensor(ends), torch.tensor(excluded)
