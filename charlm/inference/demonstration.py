"""What a trained run can do, at a glance: its score beside simple models', and a sample."""

from dataclasses import dataclass, replace
from pathlib import Path

from charlm.config import GenerationConfig
from charlm.data.preparation.store import TokenStore
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.generation.text import stream
from charlm.inference.loading import Loaded, load_part, load_run
from charlm.inference.scoring.baselines import Baseline, measure_baselines
from charlm.inference.scoring.documents import score_store
from charlm.metrics import Score

__all__ = [
    "SAMPLE",
    "Demonstration",
    "Sampled",
    "demonstrate",
    "prompt_of",
    "sample_run",
    "write_sample",
]

SAMPLE = GenerationConfig(length=400, temperature=0.7)
"""How the sample of a demonstration is written."""

SHORT = 180
"""Characters of a sample during training."""

OPENING = 256
"""Tokens of a text that a model is given to continue."""


@dataclass(frozen=True)
class Sampled:
    """Text that a model wrote after ``prompt`` at a temperature."""

    text: str
    prompt: str
    temperature: float


@dataclass(frozen=True)
class Demonstration:
    """The exact score of a ``run`` on its test part, baselines on it, and a sample."""

    run: str
    score: Score
    baselines: tuple[Baseline, ...]
    sample: Sampled


def demonstrate(folder: str | Path) -> Demonstration:
    """Score the test part of the run in ``folder``, measure baselines on it, and write a sample."""
    loaded = load_run(Path(folder))
    train, valid, test = (load_part(loaded, part) for part in ("train", "valid", "test"))
    parts = score_store(loaded.model, loaded.tokenizer, test)
    score = sum(parts, start=Score())
    baselines = tuple(measure_baselines(loaded.tokenizer, train, valid, test))
    sample = write_sample(loaded, opening(test, loaded.tokenizer), SAMPLE, seed=1)
    return Demonstration(str(folder), score, baselines, sample)


def sample_run(folder: str | Path, step: int) -> Sampled:
    """A short sample of a checkpoint, by the generation settings of the run and seeded by ``step``.

    It continues the beginning of the validation text, at the start of a line if that has lines.
    """
    loaded = load_run(Path(folder), step=step)
    config = replace(loaded.run.config.generation, length=SHORT, max_copy=0)
    return write_sample(loaded, prompt_of(loaded), config, seed=step)


def prompt_of(loaded: Loaded) -> str:
    """The opening of the run's validation text, or of its training text; empty without both."""
    for part in ("valid", "train"):
        try:
            return opening(load_part(loaded, part), loaded.tokenizer)
        except CorpusError:  # no such part, or the text is gone
            continue
    return ""


def write_sample(loaded: Loaded, prompt: str, config: GenerationConfig, seed: int) -> Sampled:
    """What the model writes after ``prompt``."""
    pieces = stream(loaded.model, loaded.tokenizer, prompt, config, seed=seed)
    return Sampled("".join(pieces), prompt, config.temperature)


def opening(store: TokenStore, tokenizer: Tokenizer) -> str:
    """The first lines of a text, or its first words if it has no lines, for a model to continue.

    Empty where they hold what the model does not know.
    """
    text = tokenizer.decode(store.tokens[:OPENING]).rstrip("\ufffd")  # a character that is cut
    end = max(text.rfind("\n"), text.rfind(" ") if "\n" not in text else -1)
    lines = text[: end + 1] or text
    return "" if tokenizer.unknown(lines) else lines
