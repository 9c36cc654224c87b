"""Texts of a model as ``charlm.Model.generate`` gives them, without a run."""

from collections.abc import Sequence
from typing import Any

from charlm.config import GenerationConfig
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.generation.text import grouped, seeds_for, write_samples
from charlm.inference.predictors.predictor import Predictor


def generate(
    model: Predictor,
    tokenizer: Tokenizer,
    prompt: str | Sequence[str] = "",
    config: GenerationConfig | None = None,
    *,
    samples: int | None = None,
    seed: int | None = None,
    **how: Any,
) -> Any:
    """The prompt and what follows it; lists for ``samples`` and for several prompts."""
    config, seeds = config or GenerationConfig(), seeds_for(seed, samples)
    results = grouped(write_samples(model, tokenizer, prompt, config, seeds=seeds, **how), samples)
    return results[0] if isinstance(prompt, str) else results
