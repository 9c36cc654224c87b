"""Back-off n-gram models in ARPA files, the format of SRILM, KenLM and speech recognisers.

An ARPA file holds for each n-gram log10 p(last token | tokens before) and the log10 of the weight
that its continuations leave to shorter contexts.  The boundary is ``<s>`` where it is context and
``</s>`` where it is predicted.
"""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.data.tokenizers.base import UNKNOWN, UNKNOWN_ID, Tokenizer
from charlm.errors import ModelError
from charlm.model.ngram.counts import ABSENT, next_nodes
from charlm.model.ngram.kneser_ney import GivenLevel, NgramModel

__all__ = ["arpa_lines", "read_arpa", "spelled", "unspelled"]

BEGIN, END = "<s>", "</s>"
IMPOSSIBLE = -99.0
"""What ARPA files give as log10 p of a token that is never predicted."""

LARGEST_LINE = 1 << 16
MOST_NGRAMS = 1 << 27


def spelled(tokenizer: Tokenizer) -> list[str]:
    """A name without white space for each id, as ARPA files need it.

    A word or character stands for itself, white space and bytes for ``<U+0020>`` and ``<0xC3>``,
    and a name that would stand twice gets its id.
    """
    names, seen = [], {BEGIN, END}
    for id, content in enumerate(tokenizer.table):
        try:
            text = content.decode("utf-8")
            name = "".join(f"<U+{ord(c):04X}>" if c.isspace() or c == "\0" else c for c in text)
        except UnicodeDecodeError:
            name = "".join(f"<0x{byte:02X}>" for byte in content)
        if id == tokenizer.unknown_id:
            name = UNKNOWN
        if id == BOUNDARY_ID or not name or name in seen:
            name = f"<id{id}>"
        seen.add(name)
        names.append(name)
    return names


def unspelled(name: str) -> str:
    """The character that ``spelled`` wrote as ``<U+0020>``; any other name as it is."""
    code = re.fullmatch(r"<U\+([0-9A-F]{4,6})>", name)
    return chr(int(code[1], 16)) if code and int(code[1], 16) < 0x110000 else name


def arpa_lines(model: NgramModel, names: list[str]) -> Iterator[str]:
    """The lines of the ARPA file of a model whose tokens have these names (``spelled``)."""
    yield "\\data\\\n"
    extra = [BEGIN] + ([] if UNKNOWN in names else [UNKNOWN])
    for length, keys in enumerate(model.keys, 1):
        yield f"ngram {length}={len(keys) + (len(extra) if length == 1 else 0)}\n"
    texts: list[str] = []
    for length, (keys, p) in enumerate(zip(model.keys, probabilities(model), strict=True), 1):
        yield f"\n\\{length}-grams:\n"
        shares = model.levels[length].shares if length < model.order else np.ones(len(keys))
        backoffs = np.log10(np.maximum(shares, 1e-99))
        if length == 1:
            yield f"{IMPOSSIBLE:.1f}\t{BEGIN}\t{backoffs[BOUNDARY_ID]:.9g}\n"
            yield from (f"{IMPOSSIBLE:.1f}\t{name}\n" for name in extra[1:])
        parents, tokens = np.divmod(keys, model.vocab_size)
        found = []
        for parent, token, logp, backoff in zip(
            parents.tolist(), tokens.tolist(), np.log10(p).tolist(), backoffs.tolist(), strict=True
        ):
            context = f"{texts[parent]} " if length > 1 else ""
            ends = token == BOUNDARY_ID
            found.append(context + (BEGIN if ends and length == 1 else names[token]))
            last = END if ends else names[token]
            tail = "" if ends or not backoff else f"\t{backoff:.9g}"
            yield f"{logp:.9g}\t{context}{last}{tail}\n"
        texts = found
    yield "\n\\end\\\n"


def probabilities(model: NgramModel) -> Iterator[np.ndarray]:
    """For each length the probabilities (M,) of the last tokens of its n-grams after the others."""
    size = model.vocab_size
    p = model.unigram
    suffixes = np.zeros(size, dtype=np.int64)  # the node of each n-gram without its oldest token
    yield p
    for length in range(2, model.order + 1):
        keys, level = model.keys[length - 1], model.levels[length - 1]
        parents, tokens = np.divmod(keys, size)
        if length == 2:
            nodes = tokens
        else:
            nodes = next_nodes(model.keys[length - 2], suffixes[parents], tokens, size)
        # The longest stored suffix of an n-gram is one token shorter, or the model has a gap.
        assert not np.any(nodes == ABSENT)
        shorter, suffixes = p[nodes], nodes.astype(np.int64)
        p = shorter * level.shares[parents] + level.seen(np.arange(len(keys)), parents)
        yield p


def read_arpa(path: Path) -> tuple[NgramModel, list[str]]:
    """The model of an ARPA file, and the names of its ids from 2 on.

    Raises ``ModelError`` with the line for a file that is none, or whose contexts are missing.
    """
    try:
        with path.open(encoding="utf-8") as file:
            sections = list(read_sections(iter(enumerate(file, 1))))
        names = [words[0] for words, _, _ in sections[0] if words[0] not in {BEGIN, END, UNKNOWN}]
        ids = {word: id for id, word in enumerate(names, UNKNOWN_ID + 1)}
        ids |= {BEGIN: BOUNDARY_ID, END: BOUNDARY_ID, UNKNOWN: UNKNOWN_ID}
        return built(sections, ids, len(names) + 2), names
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", "name a file") from None
    except (ValueError, OverflowError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise ModelError(f"{path} is no ARPA file: {why}", "export it again") from None
    except KeyError as error:
        raise ModelError(
            f"{path}: an n-gram has {error}, which the shorter n-grams lack", "export it again"
        ) from None


Ngram = tuple[tuple[str, ...], float, float]
"""The tokens, the probability of the last one, and the weight of shorter contexts after them."""


def read_sections(lines: Iterator[tuple[int, str]]) -> Iterator[list[Ngram]]:
    """The n-grams of each length.  Raises ``ValueError`` naming the line."""
    counts: list[int] = []
    for number, line in lines:
        if told := re.fullmatch(r"ngram \d+ *= *(\d{1,12})\s*", line):
            counts.append(int(told[1]))
        elif counts and line.startswith("\\1-grams:"):
            break
        elif line.startswith("ngram ") or number > 1000:
            raise ValueError(f"line {number} is {line[:40].strip()!r}, before any \\1-grams:")
    order = max((length for length, count in enumerate(counts, 1) if count), default=0)
    if not order or sum(counts) > MOST_NGRAMS:
        raise ValueError("it counts no n-grams, or too many")
    heads = [*(f"\\{length}-grams:" for length in range(2, len(counts) + 1)), "\\end\\"]
    for length, (count, head) in enumerate(zip(counts, heads, strict=True), 1):
        if length <= order:  # some tools name longer ones, of which there are none
            yield list(distinct(islice(filter(filled, lines), count), length, count))
        _, line = next(filter(filled, lines), (0, "nothing"))
        if line.strip() != head:
            raise ValueError(f"after the {length}-grams comes {line[:40].strip()!r}, not {head}")


def filled(line: tuple[int, str]) -> bool:
    """Whether a line is not empty."""
    return not line[1].isspace()


def distinct(lines: Iterable[tuple[int, str]], length: int, count: int) -> Iterator[Ngram]:
    """The n-grams of so many lines.  Raises ``ValueError`` for fewer, and naming a line whose
    n-gram came before.
    """
    seen = set[tuple[str, ...]]()
    for number, line in lines:
        found = ngram_of(line, number, length)
        if found[0] in seen:
            raise ValueError(f"line {number} repeats {' '.join(found[0])!r}")
        seen.add(found[0])
        yield found
    if len(seen) < count:
        raise ValueError(f"it ends after {len(seen):,} of {count:,} {length}-grams")


def ngram_of(line: str, number: int, length: int) -> Ngram:
    """The n-gram of a line.  Raises ``ValueError``."""
    fields = line[:LARGEST_LINE].split()
    backoff = 1.0
    if len(fields) == length + 2:
        backoff = 10 ** float(fields.pop())
    if len(fields) != length + 1:
        raise ValueError(f"line {number} is no {length}-gram")
    p = 10 ** float(fields[0])
    if not (0 <= p <= 1.000001 and math.isfinite(backoff)):
        raise ValueError(f"line {number} has no probability")
    return tuple(fields[1:]), p, backoff


def built(sections: list[list[Ngram]], ids: dict[str, int], vocab_size: int) -> NgramModel:
    """The model of the n-grams of each length.  Raises ``KeyError`` for a missing context."""
    known: list[dict[tuple[int, ...], tuple[float, float]]] = []
    for section in sections:
        entries = dict[tuple[int, ...], tuple[float, float]]()
        for words, p, backoff in section:
            gram = tuple(ids[word] for word in words)
            if gram == (BOUNDARY_ID,):  # <s> has the weight, </s> the probability
                old = entries.get(gram, (0.0, 1.0))
                entries[gram] = (old[0], backoff) if words[0] == BEGIN else (p, old[1])
            elif gram in entries:
                raise ValueError(f"{' '.join(words)!r} is there with {BEGIN} and with {END}")
            else:
                entries[gram] = p, backoff
        known.append(entries)
    for id in range(vocab_size):
        known[0].setdefault((id,), (10**IMPOSSIBLE, 1.0))
    keys, levels = [], []
    nodes: dict[tuple[int, ...], int] = {(): 0}
    weights = np.zeros(1)  # nothing is left to the uniform distribution
    for entries in known:
        grams = sorted(entries, key=lambda gram: (nodes[gram[:-1]], gram[-1]))
        keys.append(np.array([nodes[g[:-1]] * vocab_size + g[-1] for g in grams], dtype=np.int64))
        left = [entries[gram][0] - backed_off(gram, known) for gram in grams]
        levels.append(GivenLevel.of(np.array(left), weights))
        nodes = {gram: node for node, gram in enumerate(grams)}
        weights = np.array([entries[gram][1] for gram in grams])
    return NgramModel(vocab_size, tuple(keys), tuple(levels))


def backed_off(
    gram: tuple[int, ...], known: list[dict[tuple[int, ...], tuple[float, float]]]
) -> float:
    """What the shorter contexts give the last token of an n-gram, weighted by its own context."""
    if len(gram) == 1:
        return 0.0
    weight, shorter = known[len(gram) - 2][gram[:-1]][1], gram[1:]
    while shorter not in known[len(shorter) - 1]:
        weight *= known[len(shorter) - 2].get(shorter[:-1], (0.0, 1.0))[1]
        shorter = shorter[1:]
    return weight * known[len(shorter) - 1][shorter][0]
