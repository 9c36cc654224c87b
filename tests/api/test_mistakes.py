"""A mistake is answered in words of Python, with a way out."""

import io
import re
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charlm
from charlm import CharlmError, Model

WRITING: list[tuple[Any, str, str]] = [
    (lambda m: charlm.load("nothing"), "nothing does not exist", "runs/NAME"),
    (lambda m: charlm.load(""), "`run` must not be empty", "run"),
    (lambda m: m.mix(""), "`other` must not be empty", "other"),
    (lambda m: charlm.train("book.txt", out=""), "`out` must not be empty", "out"),
    (lambda m: charlm.load("boook"), "boook does not exist", "runs/book"),
    (lambda m: charlm.load(3), "`run` must be a str or a Path, got 3", "run"),
    (lambda m: charlm.load(None), "`run` must be a str or a Path, got None", "run"),
    (lambda m: charlm.load("runs/book", step="best"), "`step` must be a whole number", "step"),
    (lambda m: charlm.load("runs/book", step=7), "no checkpoint of step 7", "choose one of"),
    (lambda m: charlm.load("runs/book", stp=7), "unknown argument `stp` of load", "step"),
    (lambda m: charlm.load("runs/book", device="gpu"), "no device 'gpu'", "auto"),
    (lambda m: charlm.train("a text\nof two lines"), "`sources` names files, but a text", "file"),
    (lambda m: charlm.train("book.txt", hiden_size=3), "hiden_size", "hidden_size"),
    (lambda m: charlm.train("book.txt", hidden_size="big"), "must be a whole number", "hidden"),
    (lambda m: charlm.train("book.txt", minutes=1, steps=3), "contradict each other", "leave out"),
    (lambda m: charlm.train(out="nothing"), "nothing does not exist", "runs/NAME"),
    (lambda m: charlm.train(), "there is nothing to train on", "name a text"),
    (lambda m: charlm.train("runs/book"), "runs/book is a run, not a text", "`out='runs/book'`"),
    (lambda m: charlm.train(3), "this cannot be a source: 3", "str or Path"),
    (lambda m: charlm.train([3]), "this cannot be a source: 3", ""),
    (lambda m: charlm.report([], "a.html"), "no run was given", "runs/NAME"),
    (lambda m: charlm.report([5], "a.html"), "`of` must be a str or a Path, got 5", "of"),
    (lambda m: charlm.report("runs/book", 5), "`out` must be a str or a Path, got 5", "out"),
    (lambda m: charlm.import_model(5, "a"), "`file` must be a str or a Path", "file"),
    (lambda m: charlm.import_model("book.txt", 5), "`out` must be a str or a Path", "out"),
    (lambda m: charlm.import_model("book.txt", "a", vocab=5), "`vocab` must be a str", "vocab"),
    (lambda m: charlm.export_model(5, "onnx", "a"), "`run` must be a str or a Path", "run"),
    (lambda m: charlm.export_page("runs/book", 5), "`out` must be a str or a Path", "out"),
    (lambda m: charlm.export_page(5, "a.html"), "`run` must be a str or a Path", "run"),
    (lambda m: charlm.push(5, "a/b"), "`run` must be a str or a Path", "run"),
    (lambda m: charlm.push("runs/book", 5), "5 is no name of a repository", "owner/name"),
    (lambda m: charlm.pull("a/b", 5), "`out` must be a str or a Path", "out"),
    (lambda m: m.generate(beam=3, temperature=0.5), "`temperature` does nothing with", "leave"),
    (lambda m: m.generate(best_of=3, length=-1), "`length=-1` has no end", "length"),
    (lambda m: m.fill("ba ___", pattern="a"), "`pattern` does nothing with `fill`", "leave"),
    (lambda m: m.generate(3), "`prompt` must be a str, or a list of them, got 3", "prompt"),
    (lambda m: m.generate([3]), "`prompt` must be a str, or a list of them, got 3", "prompt"),
    (lambda m: m.generate(temprature=1), "argument `temprature` of generate", "temperature"),
    (lambda m: m.generate(temperature=-1), "temperature` must be", "temperature"),
    (lambda m: m.generate(temperature="hot"), "temperature` must be a number", "temperature"),
    (lambda m: m.generate(length=-5), "length` must be", "length"),
    (lambda m: m.generate(stop=5), "`stop` must be a str or a list, got 5", "stop"),
    (lambda m: m.generate(stop=["a", None]), "`stop` must be a str, or a list", "stop"),
    (lambda m: m.generate(past_end="no"), "`past_end` must be True or False, got 'no'", ""),
    (lambda m: m.generate(replace_unknown=5), "`replace_unknown` must be a str or None", ""),
    (lambda m: m.perplexity("a", window=1.5), "`window` must be a whole number or None", ""),
    (lambda m: m.perplexity("a", convention="nanogpt", window=0), "must be at least 1", "window"),
    (lambda m: m.score("\ud800"), "half a surrogate pair", "mend"),
    (lambda m: m.pairs([("\ud800", "a")]), "half a surrogate pair", "mend"),
    (lambda m: m.adapt(dynamic={5: 1}), "unknown setting `dynamic.5`", "known"),
    (lambda m: charlm.train("book.txt", out="\0"), "`out` must be a str or a Path", "out"),
    (lambda m: m.adapt(tune_on=5), "`tune_on` must be", "tune_on"),
    (lambda m: m.rescore("n.txt", refs=5), "`refs` must be a str or a Path or None", "refs"),
    (lambda m: m.rescore("n.txt", lm_weight="a"), "`lm_weight` must be a number, got 'a'", ""),
    (lambda m: m.compress(b"a", lanes=10**9), "`lanes` must be from 1 to 1024", "lanes"),
    (lambda m: charlm.train("book.txt", out=5), "`out` must be a str or a Path, got 5", "out"),
    (lambda m: charlm.train("book.txt", recipe=5), "unknown recipe 5", "known"),
    (lambda m: m.generate(samples=0), "`samples` must be 1 or more", "samples"),
    (lambda m: m.generate(samples=1.5), "`samples` must be a whole number", "samples"),
    (lambda m: m.generate(seed="x"), "`seed` must be a whole number", "seed"),
    (lambda m: m.generate(stop=""), "`stop` must not be empty", "leave"),
    (lambda m: m.generate("ba Ж"), "never seen: 'Ж' (1x)", "`replace_unknown`"),
    (lambda m: m.generate("Ж", replace_unknown="Ł"), "does not know the replacement", "another"),
    (lambda m: m.generate(precision="float8"), "float8", "float32"),
    (lambda m: m.stream(["ba"]), "`prompt` must be a str", "prompt"),
    (lambda m: m.stream(samples=3), "argument `samples` of stream", ""),
    (lambda m: m.generate(stop=np.array("a")), "`stop` must be a str or a list", "stop"),
    (lambda m: list(charlm.train("the king " * 3000)), "corpus called the king", "path"),
    (lambda m: charlm.train("book.txt", out="x" * 5000), "`out` is too long: xxx", "shorter"),
    (lambda m: charlm.import_model("x" * 5000, "a"), "`file` is too long: xxx", "shorter"),
    (lambda m: charlm.export_model("runs/book", "onnx", "x" * 5000), "`out` is too long", "short"),
    (lambda m: m.generate(state="x" * 5000), "`state` is too long: xxx", "shorter"),
    (lambda m: list(charlm.train("\ud800", out="a")), "the name \\ud800 is not UTF-8", "rename"),
    (lambda m: m.generate(state="\0"), "`state` must be a str or a Path", "state"),
    (lambda m: m.generate(state="\ud800"), "`state` must be a str or a Path", "state"),
]  # fmt: skip


MEASURING: list[tuple[Any, str, str]] = [
    (lambda m: m.score(), "give either a text or a `part`", "`part='test'`"),
    (lambda m: m.score("ba", part="test"), "give either a text or a `part`", "`part='test'`"),
    (lambda m: m.score(part="tset"), "unknown `part`: 'tset'", "did you mean test?"),
    (lambda m: m.score(b"ba"), "a text must be a str, or the Path of a file", "Path"),
    (lambda m: m.score(3), "a text must be a str, or the Path of a file", "Path"),
    (lambda m: m.score([]), "no text was given", "a list"),
    (lambda m: m.score(Path("nothing.txt")), "no file, folder or corpus called nothing", "path"),
    (lambda m: m.score("ba", reset="lines"), "reset", "line"),
    (lambda m: m.score(io.StringIO("ba")), "a text must be a str", "read it first"),
    (lambda m: m.score(iter([])), "no text was given", "a list"),
    (lambda m: m.surprisal("ba", by="sentence"), "`by` must be one of", "by"),
    (lambda m: m.surprisal("ba", top=-1), "`top`", "top"),
    (lambda m: m.surprisal("ba", top="3"), "`top`", "top"),
    (lambda m: m.perplexity("ba", convention="kenml"), "kenml", "kenlm"),
    (lambda m: m.perplexity("ba", window=3), "`window", "convention"),
    (lambda m: m.pairs([("ba",)]), "a pair is (good, bad)", "tuples"),
    (lambda m: m.pairs("nothing.tsv"), "nothing.tsv", "path"),
    (lambda m: m.pairs([]), "no pair was given", "tuples"),
    (lambda m: m.pairs(3), "`pairs` must be tuples (good, bad), or the name", "pairs"),
    (lambda m: m.mix("runs/book", 1.5), "weight", "leave `weight` out"),
    (lambda m: m.adapt(temperature=1e-46), "`temperature` must be at least 0.01", "`temperature`"),
    (lambda m: m.surprisal("ba", by="region"), "`text` must be the Path of a table", "text"),
    (lambda m: m.adapt(cache=True).explain("ba"), "network of runs/book alone", "as it was loaded"),
    (lambda m: m.mix("runs/book", 0.5).network, "network of runs/book alone", "as it was loaded"),
    (lambda m: charlm.compare(m, m, "ba", most=-1), "`most` must be 0 or more", "most"),
    (lambda m: m.mix(3), "`other` must be a str or a Path", "other"),
    (lambda m: m.adapt(dynamic={"rl": 1}), "dynamic.rl", "dynamic.lr"),
    (lambda m: m.adapt(dynamic="lr=1"), "`dynamic` must be True or a table", "dynamic"),
    (lambda m: m.adapt(temperature=True), "`temperature` lacks its value", "tune_on"),
    (lambda m: m.adapt(tune_on="valid"), "`tune_on` has nothing to choose", "`dynamic=True`"),
    (lambda m: m.compress("ba"), "`content` must be bytes or a Path", "content"),
    (lambda m: m.decompress(b"ba"), "the content", ""),
    (lambda m: m.rescore("nothing.txt"), "nothing.txt", "path"),
    (lambda m: m.rescore(["a", "b"]), "`nbest` must be a str or a Path", "nbest"),
    (lambda m: m.rescore("book.txt", refs=["a"]), "`refs` must be a str or a Path or None", "refs"),
    (lambda m: charlm.compare(m, "nothing", "ba"), "nothing does not exist", ""),
    (lambda m: charlm.compare(m, m), "give either a text", "part"),
    (lambda m: charlm.compare(m, m, part="all"), "unknown `part`: 'all'", "did you mean"),
    (lambda m: charlm.compare(m, 3, "ba"), "`run` must be a str or a Path", ""),
    (lambda m: m.score(Path("\ud800")), "no file, folder or corpus called \\ud800", "path"),
    (lambda m: m.rescore("\ud800"), "\\ud800", ""),
    (lambda m: m.pairs("\ud800"), "\\ud800", ""),
    (lambda m: m.compress(Path("\ud800")), "\\ud800", ""),
    (lambda m: m.score(np.array("ba")), "a text must be a str", "read it first"),
    (lambda m: m.adapt(tune_on=np.array("ba")), "`tune_on` must be a str", "tune_on"),
    (lambda m: m.mix(np.array([1, 2])), "`other` must be a str or a Path", "other"),
    (lambda m: m.mix("runs/book", 10**400), "`weight` must be a number", "weight"),
    (lambda m: m.explain("ba", layers=np.array(0)), "`layers` must be a whole number or", ""),
    (lambda m: m.explain("ba", units=np.int64(99)), "`units` must be from 0", "numbered from 0"),
    (lambda m: m.memory("ba", against=[["rnn"]]), "`against` must be a str, or a list", ""),
    (lambda m: m.novelty(temperatures=np.array(0.5)), "`temperatures` must be a list", ""),
    (lambda m: m.novelty(temperatures=[10**400]), "temperature` must have at most", "temper"),
    (lambda m: m.novelty(temperatures=[]), "`temperatures` is empty", "`temperatures=[0.8]`"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRITING + MEASURING)))
def test_a_mistake_is_answered_in_words_of_python(number: int, model: Model) -> None:
    attempt, cause, hint = (WRITING + MEASURING)[number]
    with pytest.raises(CharlmError) as caught:
        attempt(model)
    assert cause in str(caught.value)
    assert hint in caught.value.hint
    assert traceback.format_exception(caught.value)[-1] == f"  try: {caught.value.hint}\n"
    assert not re.search(r"(^|\s)--\w", str(caught.value) + caught.value.hint)
