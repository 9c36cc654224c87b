"""Scoring independent lines: one call of ``score_documents`` per line, and ``--reset line``.

    python benchmarks/scoring_lines.py                    a table
    python benchmarks/scoring_lines.py --json             one object a line
    python benchmarks/scoring_lines.py --memory           peak memory against the number of lines

Both ways take turns in one process, on the lines of a text of Python's own or of ``--source``, with
models of random weights.  A figure is the median over the rounds, the ratio the median over the
rounds of the ratio in the same round, so that a busy machine disturbs it less.  ``most`` is the
largest difference in nats between the two ways for a line.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program does, before torch is loaded

import numpy as np
import torch

from charlm.config import DataConfig, ModelConfig, TokenizerConfig
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.sources.corpora import open_corpus
from charlm.data.tokenizers.kinds import Tokenizer, tokenizer_trainer
from charlm.inference.predictors.lines import nll_of_lines
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.scoring.documents import score_documents
from charlm.inference.scoring.scorer import CARRIED, StreamOptions
from charlm.inference.timing import Way, compare_ways
from charlm.metrics import Score
from charlm.model import native
from charlm.model.language_model import LanguageModel

SIZES = {"1x128": (1, 128), "1x256": (1, 256), "2x256": (2, 256), "1x512": (1, 512)}
"""Name -> layers, hidden size."""
BY_LINE = StreamOptions(reset="line")


def lines_of(source: str, count: int) -> list[str]:
    """The first lines of a source, over and over if there are too few."""
    pieces = open_corpus([source], DataConfig()).pieces()
    lines = list(islice((line for piece in pieces for line in split(str(piece.text))), count))
    return [lines[index % len(lines)] for index in range(count)]


def split(text: str) -> list[str]:
    """Lines with their line breaks."""
    return [line + "\n" for line in text.removesuffix("\n").split("\n")]


def model_of(size: str, tokenizer: Tokenizer) -> Recurrent:
    """A model of random weights."""
    layers, hidden = SIZES[size]
    config = ModelConfig(num_layers=layers, hidden_size=hidden)
    return Recurrent(LanguageModel.create(config, tokenizer.vocab_size, seed=1).eval())


def together(model: Recurrent, tokenizer: Tokenizer, lines: list[str]) -> Score:
    """All lines in one text, as ``charlm perplexity --reset line`` reads it."""
    text = "".join(lines)
    piece = EncodedPiece(tokenizer.encode(text), text, True)
    return sum_of(model, tokenizer, [piece], BY_LINE)


def sum_of(
    model: Recurrent, tokenizer: Tokenizer, pieces: list[EncodedPiece], options: StreamOptions
) -> Score:
    """The score of pieces of text."""
    return sum(score_documents(model, tokenizer, pieces, options), start=Score())


def measure(size: str, threads: int, rounds: int, lines: list[str]) -> dict[str, object]:
    """One row: microseconds a line of both ways, and their ratio."""
    torch.set_num_threads(threads)
    trainer = tokenizer_trainer(TokenizerConfig(kind="char"))
    trainer.add("".join(lines))
    tokenizer, _ = trainer.finish()
    model = model_of(size, tokenizer)
    single: list[float] = []

    def one_by_one() -> None:
        pieces = (EncodedPiece(tokenizer.encode(line), line, True) for line in lines)
        single[:] = [sum_of(model, tokenizer, [piece], CARRIED).nll for piece in pieces]

    ways = {
        "one by one": Way(one_by_one, len(lines)),
        "together": Way(lambda: together(model, tokenizer, lines), len(lines)),
    }
    timings = compare_ways(ways, rounds, peer="one by one")
    encoded = [np.append(tokenizer.encode(line), tokenizer.dtype.type(0)) for line in lines]
    found = [nll[:-1].sum() for nll in nll_of_lines(model, encoded)]
    return {
        "size": size,
        "threads": threads,
        **{name: round(1e6 / timing.tokens_per_second, 1) for name, timing in timings.items()},
        "ratio": round(timings["together"].ratio, 1),
        "most": float(f"{max(map(abs, np.subtract(single, found))):.1g}"),
    }


def peaks(source: str, count: int) -> Iterator[dict[str, object]]:
    """Peak memory of scoring ever more lines, each in a process of its own."""
    for times in (1, 10, 100):
        command = [sys.executable, __file__, "--source", source, "--once", str(count * times)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        yield json.loads(done.stdout)


def score_once(source: str, count: int) -> None:
    """Score so many lines in pieces, as a file is read, and print what memory it took."""
    trainer = tokenizer_trainer(TokenizerConfig(kind="char"))
    for piece in open_corpus([source], DataConfig()).pieces():
        trainer.add(piece.text)
    tokenizer, _ = trainer.finish()
    lines = lines_of(source, 10_000)

    def pieces() -> Iterator[EncodedPiece]:
        for begin in range(0, count, len(lines)):
            text = "".join(lines[: count - begin])
            yield EncodedPiece(tokenizer.encode(text), text, begin == 0)

    score = sum_of(model_of("1x128", tokenizer), tokenizer, pieces(), BY_LINE)  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"lines": count, "tokens": score.tokens, "peak_mb": round(peak)}))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="python-docs", help="a file, folder or corpus name")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=SIZES)
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        score_once(options.source, options.once)
        return
    lines = lines_of(options.source, options.lines)
    if not options.json:
        chars = sum(map(len, lines)) / len(lines)
        about = f"{len(lines):,} lines of {chars:.0f} characters, {len(set(lines)):,} distinct"
        print(f"{native.status()}; torch {torch.__version__}; {about}; microseconds a line")
    rows = (
        peaks(options.source, options.lines)
        if options.memory
        else (
            measure(size, threads, options.rounds, lines)
            for size in options.sizes
            for threads in options.threads
        )
    )
    for row in rows:
        line = "   ".join(f"{name} {value:>8,}" if isinstance(value, int | float) else value
                          for name, value in row.items())  # fmt: skip
        print(json.dumps(row) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
