"""Trained on text whose entropy rate is known exactly, the bits per character come close to it
and never below it: so perplexities are true.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.config import Config
from charlm.data.synthetic.kinds import synthetic_source
from charlm.inference.loading import load_part, load_run
from charlm.inference.scoring.documents import score_store
from charlm.metrics import Score
from charlm.model.ngram.kneser_ney import train_ngrams
from charlm.training.launch import launch

CHARS = 400_000
SOURCES = {
    "markov": {"order": 2, "alphabet": 6},
    "nested": {"kinds": 2, "depth": 2, "gap": 4},  # what closes lies beyond four characters
    "recall": {"symbols": 4, "longest": 6},  # without the symbol it takes 17 % more bits
}
FOUR_GRAMS_NEED = {"nested": 1.8, "recall": 1.15}
"""Times the bits of the model that a four-gram needs at least, where more must be remembered."""


def train(text: str, folder: Path) -> Score:
    path = folder / "text.txt"
    path.write_text(text)
    config = Config.from_tables(
        {
            "data": {"sources": [str(path)], "split": [85, 5, 10]},
            "model": {"hidden_size": 96, "dropout": 0.0},
            "training": {"steps": 1000, "batch_size": 32, "bptt": 64, "evaluations": 4},
        }
    )
    for _ in launch(config, folder / "run"):
        pass
    loaded = load_run(folder / "run")
    scored = score_store(loaded.model, loaded.tokenizer, load_part(loaded, "test"))
    return sum(scored, start=Score())


def four_gram_bits(train: str, test: str) -> float:
    """Bits per character under the n-gram model that looks three characters back."""
    stream, held_out = (np.frombuffer(f"\0{text}".encode(), np.uint8) for text in (train, test))
    return float(train_ngrams(stream, 128, 4).nll(held_out).mean() / math.log(2))


@pytest.mark.timeout(280)
@pytest.mark.parametrize("kind", list(SOURCES))
def test_bits_per_character_come_within_three_percent_of_the_entropy_rate(
    kind: str, tmp_path: Path
) -> None:
    torch.set_num_threads(2)
    source = synthetic_source(kind, **SOURCES[kind])
    text = source.generate(CHARS, seed=7)
    score = train(text, tmp_path)
    test = text[CHARS - score.chars :]
    # What this very text has under the source: the rate, give or take the sampling error.
    truth = source.surprisals(text)[CHARS - score.chars :].mean()
    error = source.surprisals(text).std() / score.chars**0.5
    assert abs(truth - source.entropy_rate) < 6 * error
    assert score.bpc < 1.03 * source.entropy_rate + 3 * error
    assert score.bpc > truth - 3 * error
    if kind in FOUR_GRAMS_NEED:
        bits = four_gram_bits(text[: CHARS - score.chars], test)
        assert bits > FOUR_GRAMS_NEED[kind] * score.bpc
