"""Writing and scoring token by token: charlm beside the usual code, in turns in one process.

    python benchmarks/decoding.py                         tables for 1 thread
    python benchmarks/decoding.py --threads 2 --json      one object a line
    python benchmarks/decoding.py --precision RUN TEXT    perplexity with rounded weights

Peers of sampling: ``nn.LSTM`` as pytorch/examples' generate.py steps it, the same without oneDNN,
a loop of ``nn.LSTMCell``, ONNX Runtime (if it is installed with the package onnx), and charlm
without its native path.  All sample from the distribution.  A figure is a median over the rounds, a
ratio the median over the rounds of the ratio to ``nn.LSTM`` in the same round; the share is that of
the time which reading the weights or the arithmetic takes at least.
"""

import argparse
import json
import math
import os
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program does, before torch is loaded

import numpy as np
import torch
from torch import nn

from charlm.inference import speed
from charlm.inference.loading import load_run, open_for, require_recurrent
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.speed import TEMPERATURE, Size, Usual
from charlm.inference.timing import PEER, Way, compare_ways, without_native
from charlm.model import native
from charlm.model.limits import Limits, measure_limits

SIZES = {
    "2x128": Size(2, 128, 65),
    "2x512": Size(2, 512, 256),
    "2x512x64": Size(2, 512, 256, lanes=64),
    "3x1150": Size(3, 1150, 10_000),
}
STEPS = 4
"""Tokens of a stream a turn, for the peers that are slow to write."""
READ = 20_000
"""Tokens of a text that a perplexity is measured on."""


def without_onednn(way: Way) -> Way:
    """The way with oneDNN switched off."""

    def call() -> None:
        with torch.backends.mkldnn.flags(enabled=False):
            way.call()

    return Way(call, way.tokens)


def cells(size: Size) -> Way:
    """A loop of ``nn.LSTMCell``."""
    model = Usual(size).eval()
    stack = [nn.LSTMCell(size.hidden, size.hidden) for _ in range(size.layers)]
    tokens = torch.zeros(size.lanes, dtype=torch.int64)
    states = [(torch.zeros(size.lanes, size.hidden),) * 2 for _ in stack]

    def call() -> None:
        nonlocal tokens
        with torch.no_grad():
            for _ in range(STEPS):
                hidden = model.embedding(tokens)
                for place, cell in enumerate(stack):
                    states[place] = cell(hidden, states[place])
                    hidden = states[place][0]
                weights = model.head(hidden).div(TEMPERATURE).exp()
                tokens = torch.multinomial(weights, 1).squeeze(1)

    return Way(call, STEPS * size.lanes)


def onnx_runtime(size: Size) -> Way | None:
    """One step as an ONNX graph, sampled in numpy; ``None`` where it is not installed."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        print(f"ONNX Runtime is left out: {error}")
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = onnx_step(onnx, size).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    zeros = np.zeros((1, size.lanes, size.hidden), dtype=np.float32)
    given = {f"{part}{n}": zeros for part in "hc" for n in range(size.layers)}
    given["tokens"] = np.zeros((1, size.lanes), dtype=np.int64)
    uniforms = np.random.default_rng(1)

    def call() -> None:
        for _ in range(STEPS):
            logits, *state = session.run(None, given)
            weights = np.exp(logits / TEMPERATURE).cumsum(axis=1)
            sought = uniforms.random((size.lanes, 1)) * weights[:, -1:]
            given["tokens"] = (weights < sought).sum(axis=1)[None]
            given.update(zip(list(given)[: 2 * size.layers], state, strict=True))

    return Way(call, STEPS * size.lanes)


def onnx_step(onnx: object, size: Size) -> object:
    """The graph: tokens (1, B), states -> logits (B, V), states."""
    helper, tensors = onnx.helper, onnx.numpy_helper  # type: ignore[attr-defined]
    kinds, rng = onnx.TensorProto, np.random.default_rng(1)  # type: ignore[attr-defined]
    weights, nodes = {"embedding": (size.vocab, size.hidden), "head": (size.hidden, size.vocab)}, []
    weights["head_bias"] = (size.vocab,)
    nodes.append(helper.make_node("Gather", ["embedding", "tokens"], ["x0"]))
    state_shape = [1, size.lanes, size.hidden]
    for n in range(size.layers):
        weights |= {f"w{n}": (1, 4 * size.hidden, size.hidden), f"b{n}": (1, 8 * size.hidden)}
        weights[f"r{n}"] = weights[f"w{n}"]
        names = [f"x{n}", f"w{n}", f"r{n}", f"b{n}", "", f"h{n}", f"c{n}"]
        outs = [f"y{n}", f"next_h{n}", f"next_c{n}"]
        nodes.append(helper.make_node("LSTM", names, outs, hidden_size=size.hidden))
        nodes.append(helper.make_node("Squeeze", [f"y{n}", "one"], [f"x{n + 1}"]))
    nodes.append(helper.make_node("Squeeze", [f"x{size.layers}", "zero"], ["last"]))
    nodes.append(helper.make_node("Gemm", ["last", "head", "head_bias"], ["logits"]))
    held = [
        tensors.from_array((rng.standard_normal(shape) * 0.05).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    held += [tensors.from_array(np.array([n]), name) for n, name in enumerate(("zero", "one"))]
    parts = [f"{part}{n}" for part in "hc" for n in range(size.layers)]
    states = [helper.make_tensor_value_info(part, kinds.FLOAT, state_shape) for part in parts]
    after = [
        helper.make_tensor_value_info(f"next_{part}", kinds.FLOAT, state_shape) for part in parts
    ]
    tokens = helper.make_tensor_value_info("tokens", kinds.INT64, [1, size.lanes])
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, [size.lanes, size.vocab])
    graph = helper.make_graph(nodes, "step", [*states, tokens], [logits, *after], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def sampling_ways(size: Size) -> dict[str, Way]:
    """What is timed for sampling."""
    usual = speed.usual_sampling(size)
    ways = {
        PEER: usual,
        "oneDNN off": without_onednn(usual),
        "LSTMCell": cells(size),
        "ONNX Runtime": onnx_runtime(size),
        "charlm, torch": without_native(lambda: speed.sampling(size)),
        "charlm": speed.sampling(size),
    }
    if native.kernels() is not None:
        for precision in ("bfloat16", "int8"):
            ways[f"charlm {precision}"] = speed.sampling(size, precision)
    return {name: way for name, way in ways.items() if way is not None}


def scoring_ways(size: Size) -> dict[str, Way]:
    """What is timed for scoring one stream."""
    usual = speed.usual_scoring(size)
    return {
        PEER: usual,
        "oneDNN off": without_onednn(usual),
        "charlm, torch": without_native(lambda: speed.scoring(size)),
        "charlm": speed.scoring(size),
    }


def rows(
    work: str, name: str, ways: dict[str, Way], needed: float, rounds: int
) -> Iterator[dict[str, object]]:
    """One row for each way; a token needs ``needed`` seconds at least."""
    for way, timing in compare_ways(ways, rounds).items():
        yield {
            "work": work,
            "size": name,
            "threads": torch.get_num_threads(),
            "way": way,
            "tokens_per_second": round(timing.tokens_per_second),
            "us_per_token": round(1e6 / timing.tokens_per_second, 2),
            "ratio": round(timing.ratio, 2),
            "share": round(needed * timing.tokens_per_second, 3),
        }


def measure(names: list[str], limits: Limits, rounds: int) -> Iterator[dict[str, object]]:
    """All rows; shares are those of float32."""
    for name in names:
        size = SIZES[name]
        arithmetic, reads = 2 * size.weights, 4 * size.weights
        needed = max(limits.seconds(arithmetic, reads / size.lanes, reads).values())
        yield from rows("sampling", name, sampling_ways(size), needed, rounds)
        if size.lanes == 1 and name != "3x1150":
            reads = 4 * size.recurrent
            needed = max(limits.seconds(arithmetic, reads, reads).values())
            yield from rows("scoring", name, scoring_ways(size), needed, rounds)


def perplexities(run: Path, text: str) -> Iterator[dict[str, object]]:
    """Perplexity of the first tokens of a text with weights kept in each precision."""
    loaded = load_run(run)
    network = require_recurrent(loaded)
    pieces = (piece.text for piece in open_for(loaded, (text,)).pieces())
    encoded = (loaded.tokenizer.encode(piece) for piece in pieces)
    ids = np.concatenate([[loaded.tokenizer.boundary_id], *islice(encoded, 64)])[: READ + 1]
    for precision in ("float32", "bfloat16", "int8"):
        decoder, nll = open_decoder(Recurrent(network, precision)), 0.0
        for token, following in pairwise(ids):
            log_probs = decoder.advance(torch.tensor([[int(token)]]))
            nll -= float(log_probs[0, int(following)])
        yield {"precision": precision, "perplexity": math.exp(nll / (len(ids) - 1))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", nargs="*", default=["2x128", "2x512", "2x512x64"], choices=SIZES)
    parser.add_argument("--precision", nargs=2, metavar=("RUN", "TEXT"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.precision:
        found = perplexities(Path(options.precision[0]), options.precision[1])
    else:
        limits = measure_limits(options.threads)
        found = measure(options.sizes, limits, options.rounds)
        if not options.json:
            print(f"{native.status()}; torch {torch.__version__}; us of a token, over {PEER}")
    for row in found:
        if options.json:
            print(json.dumps(row), flush=True)
        elif options.precision:
            print(f"{row['precision']:<9} perplexity {row['perplexity']:.4f}", flush=True)
        else:
            print(
                f"{row['work']:<9}{row['size']:<10}{row['way']:<16}{row['us_per_token']:>10,.1f} us"
                f"{row['ratio']:>8.2f}x  {row['share']:>5.0%} of the limit",
                flush=True,
            )


if __name__ == "__main__":
    main()
