"""How fast text becomes tokens, and how much memory a large file takes.

    python benchmarks/tokenizing.py                     speed of each tokenizer, on one core
    python benchmarks/tokenizing.py --subwords 8192     bpe on two cores beside SentencePiece alone
    python benchmarks/tokenizing.py --prepare 1200      prepare a file of 1,200 MB, each kind

Speeds are MB of UTF-8 per second: medians over rounds in which every way takes its turn.  The
text is the source of Python's standard library, or ``--source FILE``; a large file repeats its
lines in another order each time.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation.encoding import Encoders
from charlm.data.preparation.prepared import Prepared, prepare
from charlm.data.sources.corpora import open_corpus
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer, tokenizer_trainer
from charlm.data.tokenizers.subwords import SubwordTokenizer

KINDS = ("byte", "char", "word", "bpe", "unigram")
MEGABYTE = 1_000_000
NANOGPT = "nanoGPT's way"
MEASURED_PIECES = 16  # of half a megabyte each


def nanogpt_way(texts: list[str]) -> Callable[[], object]:
    """Characters through a dictionary, a list and an array, as its preparation scripts do."""
    ids = {char: number for number, char in enumerate(sorted(set("".join(texts))))}
    return lambda: [np.array([ids[char] for char in text], dtype=np.uint16) for text in texts]


def ways(source: str) -> tuple[dict[str, Callable[[], object]], float]:
    """What to time on a text, and its megabytes."""
    pieces = list(islice(gathered(source), MEASURED_PIECES))
    texts = [str(piece.text) for piece in pieces]
    found: dict[str, Callable[[], object]] = {NANOGPT: nanogpt_way(texts)}
    for kind in KINDS:
        tokenizer = trained(TokenizerConfig(kind=kind), texts)
        found[kind] = lambda encode=tokenizer.encode: [encode(text) for text in texts]
    return found, sum(len(text.encode()) for text in texts) / MEGABYTE


def trained(config: TokenizerConfig, texts: list[str]) -> Tokenizer:
    """A tokenizer of the kind that is asked for, trained on ``texts``."""
    trainer = tokenizer_trainer(config)
    for text in texts:
        trainer.add(text)
    return trainer.finish()[0]


def subword_ways(source: str, size: int) -> tuple[dict[str, Callable[[], object]], float]:
    """SentencePiece as it is usually called, a line at a time, and the same model in charlm."""
    pieces = list(islice(gathered(source), MEASURED_PIECES))
    lines = [line for piece in pieces for line in str(piece.text).splitlines()]
    config = TokenizerConfig(kind="bpe", vocab_size=size)
    tokenizer = trained(config, [str(piece.text) for piece in pieces])
    assert isinstance(tokenizer, SubwordTokenizer)
    processor = tokenizer.processor
    workers = Encoders(tokenizer, 2)  # started once, as when a large text is prepared
    found: dict[str, Callable[[], object]] = {
        "a line at a time": lambda: [processor.encode(line) for line in lines],
        "charlm, 1 core": lambda: [tokenizer.encode(str(piece.text)) for piece in pieces],
        "charlm, 2 cores": lambda: list(workers.encode(pieces)),
    }
    return found, sum(len(str(piece.text).encode()) for piece in pieces) / MEGABYTE


def gathered(source: str) -> Iterator[Piece]:
    """The text in pieces of half a megabyte, however small its documents are."""
    parts: list[str] = []
    for piece in open_corpus([source], DataConfig()).pieces():
        parts.append(str(piece.text))
        if sum(map(len, parts)) >= MEGABYTE // 2:
            yield Piece("".join(parts), starts=True)
            parts = []
    if parts:
        yield Piece("".join(parts), starts=True)


def speeds(
    found: dict[str, Callable[[], object]], megabytes: float, rounds: int
) -> list[dict[str, object]]:
    """Median megabytes per second of each way, with the slowest and the fastest round."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds + 1):
        for name, work in found.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    rates = {name: [megabytes / t for t in times[1:]] for name, times in seconds.items()}
    return [
        {
            "way": name,
            "mb_per_s": round(statistics.median(rate), 1),
            "slowest": round(min(rate), 1),
            "fastest": round(max(rate), 1),
        }
        for name, rate in rates.items()
    ]


def write_large(source: str, megabytes: int, path: Path) -> None:
    """Fill ``path`` with the lines of a source, in another order each time."""
    lines = [line for piece in gathered(source) for line in str(piece.text).splitlines(True)]
    chance = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        while file.tell() < megabytes * MEGABYTE:
            chance.shuffle(lines)
            file.write("".join(lines))


def prepare_once(source: str, kind: str, cache: str) -> None:
    """Prepare a file and print what came out; runs in a process of its own."""
    start = time.perf_counter()
    data, tokenizer = DataConfig(sources=(source,)), TokenizerConfig(kind=kind)
    for record in prepare(data, tokenizer, Path(cache)):
        last = record
    assert isinstance(last, Prepared)
    seconds = time.perf_counter() - start
    tokens = last.train.counts.tokens
    print(json.dumps({"kind": kind, "seconds": round(seconds, 1), "train_tokens": tokens}))


class MemoryWatch:
    """Looks at the memory of a process and its children, shared pages counted once."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.peak = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self) -> None:
        """Keep the peak, until told to stop."""
        while not self.ended.wait(0.2):
            self.peak = max(self.peak, sum(map(megabytes_of, family(self.process))))

    def stop(self) -> float:
        """The peak in megabytes."""
        self.ended.set()
        self.thread.join()
        return self.peak


def family(process: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process, *(one for child in children for one in family(int(child)))]


def megabytes_of(process: int) -> float:
    """The proportional set size of a process, in megabytes."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return kilobytes * 1024 / MEGABYTE


def preparations(source: str, megabytes: int) -> list[dict[str, object]]:
    """Seconds and peak memory of preparing a large file, for each kind."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.txt")
        write_large(source, megabytes, path)
        for kind in KINDS:
            cache = Path(folder, kind)
            command = [sys.executable, __file__, "--once", str(path), kind, str(cache)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                watch = MemoryWatch(process.pid)
                output, _ = process.communicate()
                peak = watch.stop()
            rows.append({**json.loads(output), "peak_mb": round(peak)})
            for file in cache.rglob("*.bin"):
                file.unlink()
    return rows


def print_table(rows: list[dict[str, object]]) -> None:
    """Rows under their names, aligned."""
    print("".join(f"{name:>16}" for name in rows[0]))
    for row in rows:
        cells = (f"{x:,}" if isinstance(x, int | float) else str(x) for x in row.values())
        print("".join(f"{cell:>16}" for cell in cells))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="python-stdlib", help="a file, folder or corpus name")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--subwords", type=int, metavar="SIZE", help="a bpe vocabulary of so many")
    parser.add_argument("--prepare", type=int, metavar="MB", help="prepare a file of this size")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--once", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        prepare_once(*options.once)
        return
    if options.prepare:
        rows = preparations(options.source, options.prepare)
    elif options.subwords:
        rows = speeds(*subword_ways(options.source, options.subwords), options.rounds)
    else:
        rows = speeds(*ways(options.source), options.rounds)
    if options.json:
        print(json.dumps(rows))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
