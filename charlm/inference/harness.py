"""A run in lm-evaluation-harness (Gao et al.; the extra ``eval``).

The harness finds no models outside itself, so this module is imported first, or started in its
place:  ``python -m charlm.inference.harness --model charlm --model_args run=RUN --device auto``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (the harness's own models, which a registered one would hide)
import numpy as np
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from charlm.config import GenerationConfig
from charlm.data.formats.alignment import token_spans
from charlm.inference.generation.text import replace_symbols, stream
from charlm.inference.loading import Loaded, load_run
from charlm.inference.predictors.lines import nll_of_lines
from charlm.inference.predictors.reader import Reader, pick

__all__ = ["HarnessModel"]

MOST_GENERATED = 256
"""Characters to write where a task does not say how many."""

SEED = 1
"""Of what is sampled, so that the figures of a task can be had again."""


@register_model("charlm")
class HarnessModel(LM):
    """A run as the harness wants it; every text is a stream of its own, after a boundary.

    What the tokenizer does not know is scored as its unknown symbol.  The limit of a generation
    counts characters, not tokens.
    """

    def __init__(
        self, run: str | Path | Loaded, step: int | None = None, device: str = "cpu", **_: Any
    ) -> None:
        """A folder, or a run that is loaded, with evaluation-time methods or without.

        The harness also gives batch sizes, which do nothing.  Raises what ``load_run`` does.
        """
        super().__init__()
        loaded = run if isinstance(run, Loaded) else load_run(run, step, device)
        self.model, self.run_tokenizer = loaded.model, loaded.tokenizer

    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Nats of each continuation given its context, and whether it is the greedy one."""
        return [self.continuation(*request.args) for request in requests]

    def continuation(self, context: str, continuation: str) -> tuple[float, bool]:
        """The log-probability of a continuation, which white space before it belongs to."""
        whole, given = context + continuation, len(context.rstrip().encode())
        ids = self.run_tokenizer.encode(whole)
        # A token that lies in both is the continuation's: the context alone has other tokens.
        ends = token_spans(self.run_tokenizer, whole, ids)[:, 1]
        begin = int(np.searchsorted(ends, given, side="right"))
        reader, log_probs, greedy = Reader(self.model), 0.0, True
        reader.nll(ids[:begin])
        for first in range(begin, len(ids), reader.chunk):
            part = ids[first : first + reader.chunk]
            predicted = reader.log_probs(part)
            log_probs += float(pick(predicted, part).sum())
            greedy = greedy and np.array_equal(predicted.argmax(dim=-1).cpu().numpy(), part)
        return log_probs, greedy

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Nats of each text; all of what came before is its context, however long."""
        lines = [self.run_tokenizer.encode(request.args[0]) for request in requests]
        return [-float(nll.sum()) for nll in nll_of_lines(self.model, lines)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The continuation of each context, to the first of its stop strings."""
        return [self.write(*request.args) for request in requests]

    def write(self, context: str, wanted: dict[str, Any]) -> str:
        """Write as the task wants; what the model has never seen is left out of the context."""
        until = wanted.get("until") or ()
        drawn = bool(wanted.get("do_sample", wanted.get("temperature", 0) > 0))
        config = GenerationConfig(
            length=int(wanted.get("max_gen_toks", MOST_GENERATED)),
            temperature=float(wanted.get("temperature", 1)) if drawn else 0,
            top_k=int(wanted.get("top_k", 0)),
            top_p=float(wanted.get("top_p", 1)),
        )
        pieces = stream(
            self.model,
            self.run_tokenizer,
            replace_symbols(self.run_tokenizer, context, ""),
            config,
            seed=SEED,
            stop=tuple(filter(None, [until] if isinstance(until, str) else until)),
        )
        return "".join(pieces)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    sys.exit(cli_evaluate())
