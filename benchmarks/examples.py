"""Whole programs: ``charlm train`` and ``generate`` beside pytorch/examples' word_language_model.

    python benchmarks/examples.py EXAMPLES/word_language_model WIKITEXT-2 [--seconds 60]

The first folder holds their main.py and generate.py, the second train.txt, valid.txt and test.txt.
Both programs get the same text, the same sizes (two layers of 200, tied weights, 20 lanes of 35
words), the same threads, and as many seconds of training, one after the other; then each writes as
many words.  Starting up counts in writing: that is what a user waits for.
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPE = ["--num-layers", "2", "--hidden-size", "200", "--batch-size", "20", "--bptt", "35"]
SEGMENT = 20 * 35
UNTRAINED = """
import sys, torch, data, model
words = len(data.Corpus(sys.argv[1]).dictionary)
torch.save(model.RNNModel("LSTM", words, 200, 200, 2, 0.2, True), sys.argv[2])
"""


def example_training(folder: Path, data: Path, seconds: float, scratch: Path) -> float:
    """Tokens a second, the median of what main.py says in so many seconds of training."""
    command = [sys.executable, "-u", "main.py", "--data", str(data), "--tied", "--log-interval"]
    command += ["20", "--save", str(scratch / "trained.pt")]
    program = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    rates, began = [], None
    for line in program.stdout:
        found = re.search(r"ms/batch\s+([\d.]+)", line)
        if found:
            rates.append(1000 * SEGMENT / float(found[1]))
            began = began or time.monotonic()
        if began and time.monotonic() - began > seconds:
            break
    program.send_signal(signal.SIGKILL)
    program.wait()
    return statistics.median(rates[1:] or rates)


def charlm(*arguments: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "charlm", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def training(data: Path, seconds: float, run: Path, *settings: str) -> float:
    """Tokens a second of ``charlm train``, the median of what it reports."""
    parts = [str(data / "train.txt"), "--valid", str(data / "valid.txt"), "--tokenizer", "word"]
    chosen = [*SHAPE, "--dropout", "0.2", "--minutes", str(seconds / 60), *settings]
    lines = charlm("train", *parts, *chosen, "--out", str(run), "--json").splitlines()
    reports = [json.loads(line) for line in lines]
    rates = [report["tokens_per_second"] for report in reports if report["type"] == "stepped"]
    return statistics.median(rates[1:] or rates)


def example_writing(folder: Path, data: Path, words: int, scratch: Path) -> float:
    """Words a second of generate.py, from start to end."""
    model = str(scratch / "untrained.pt")
    subprocess.run([sys.executable, "-c", UNTRAINED, str(data), model], cwd=folder, check=True)
    command = [sys.executable, "generate.py", "--data", str(data), "--checkpoint", model]
    command += ["--words", str(words), "--outf", str(scratch / "out.txt"), "--log-interval", "1000"]
    began = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return words / (time.monotonic() - began)


def writing(run: Path, words: int) -> float:
    """Words a second of ``charlm generate``, from start to end."""
    began, count, seed = time.monotonic(), 0, 0
    while count < words:  # a text may end before
        seed += 1
        length = str(7 * (words - count))
        text = charlm("generate", str(run), "--length", length, "--seed", str(seed))
        count += len(text.split())
    return count / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--words", type=int, default=5000)
    options = parser.parse_args()
    folder, data, seconds = options.examples, options.data.resolve(), options.seconds
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        trained = {
            "examples": example_training(folder, data, seconds, scratch),
            "charlm": training(data, seconds, scratch / "run"),
            "charlm, adaptive softmax": training(
                data, seconds, scratch / "adaptive", "--set", "model.adaptive_softmax=true"
            ),
        }
        written = {
            "examples": example_writing(folder, data, options.words, scratch),
            "charlm": writing(scratch / "run", options.words),
            "charlm, adaptive softmax": writing(scratch / "adaptive", options.words),
        }
    for work, rates in (("training, tokens/s", trained), ("writing, words/s", written)):
        for way, rate in rates.items():
            print(f"{work:20} {way:26} {rate:>10,.0f} {rate / rates['examples']:6.1f}x")


if __name__ == "__main__":
    main()
