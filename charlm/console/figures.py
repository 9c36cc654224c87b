"""Scores, runs and machines as tables and JSON."""

import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.progress import Progress

from charlm.console.streams import print_json, talk
from charlm.inference.loading import Loaded
from charlm.inference.sampling import name_unknown
from charlm.inference.scoring import Scored
from charlm.metrics import Score

__all__ = ["print_pairs", "score_table", "show_score"]


def show_score(
    loaded: Loaded,
    scored: Iterable[Scored],
    names: Sequence[str],
    size: int | None,
    *,
    as_json: bool,
) -> None:
    """Add up a score while it is made, then print it; ``size`` is the bytes of text, if known."""
    score, unknown = Score(), Counter[str]()
    began = time.monotonic()
    console = talk()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=size)
        for part in scored:
            score += part.score
            unknown += part.unknown
            progress.advance(task, part.read)
    rate = score.tokens / max(time.monotonic() - began, 1e-9)
    if as_json:
        print_json(score_table(score, unknown, rate, loaded))
    else:
        print_score(score, unknown, names, loaded)


def score_table(
    score: Score, unknown: Mapping[str, int], rate: float, loaded: Loaded
) -> dict[str, Any]:
    """The figures under the keys that scripts rely on; nll and boundary_nll in nats."""
    return {
        "nll": score.nll,
        "tokens": score.tokens,
        "chars": score.chars,
        "bytes": score.bytes,
        "words": score.words,
        "oov": score.oov,
        "perplexity": score.perplexity,
        "perplexity_se": score.perplexity_se,
        "perplexity_without_oov": score.perplexity_without_oov,
        "char_perplexity": score.char_perplexity,
        "word_perplexity": score.word_perplexity,
        "bpc": score.bpc,
        "bpb": score.bpb,
        "boundaries": score.boundaries,
        "boundary_nll": score.boundary_nll,
        "tokens_per_second": rate,
        "mode": loaded.model.mode,
        "tokenizer": loaded.tokenizer.kind,
        "run": str(loaded.run.folder),
        "step": loaded.step,
        "unknown": dict(unknown),
    }


def print_score(
    score: Score, unknown: dict[str, int], names: Sequence[str], loaded: Loaded
) -> None:
    """The figures for people, units beside them."""
    kind = loaded.tokenizer.kind
    error = f" ± {score.perplexity_se:.3f}" if math.isfinite(score.perplexity_se) else ""
    print_pairs(
        {
            "text": f"{', '.join(names)}: {score.chars:,} characters, {score.words:,} words, "
            f"{score.tokens:,} tokens",
            "model": loaded.name,
            "perplexity": f"{score.perplexity:,.3f}{error} per token ({kind})",
            "": f"{score.char_perplexity:,.3f} per character, "
            f"{score.word_perplexity:,.1f} per word",
            "bits": f"{score.bpc:.4f} per character (bpc), {score.bpb:.4f} per byte (bpb)",
            "nats": f"{score.mean_nll:.4f} per token, {score.nll:,.1f} in all",
        }
    )
    if score.oov:
        named = f": {name_unknown(unknown)}" if unknown else ""
        print_pairs(
            {
                "unknown": f"{score.oov:,} of {score.tokens:,} tokens were never seen in "
                f"training{named}",
                "": f"perplexity without them {score.perplexity_without_oov:,.3f}",
            }
        )


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Two columns on stdout."""
    width = max(11, *map(len, pairs))
    for name, value in pairs.items():
        sys.stdout.write(f"{name:<{width}} {value}\n")
