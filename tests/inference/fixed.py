"""Models whose every probability is known: one distribution over the vocabulary, whatever came
before.
"""

from pathlib import Path

import numpy as np
import torch

from charlm.config import Config, ModelConfig
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.loading import Loaded
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.storage.run import Run


def fixed_model(probabilities: np.ndarray) -> Recurrent:
    """A network that predicts ``probabilities`` (V,) always: a head of biases alone."""
    config = ModelConfig(hidden_size=4)
    network = LanguageModel.create(config, len(probabilities), seed=1)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.from_numpy(np.log(probabilities)))
    return Recurrent(network)


def loaded_with(tokenizer: Tokenizer, model: Recurrent, name: str = "run", **counts: int) -> Loaded:
    """A loaded run of these; ``counts`` are those of its training text."""
    origin = {"counts": {"train": counts}}
    return Loaded(Run(Path(name), Config.from_tables({}), origin), tokenizer, model, 1)


def fixed_run(tokenizer: Tokenizer, weights: dict[str, float], name: str = "run") -> Loaded:
    """A run that gives the tokens named their share, and all others one each."""
    shares = np.ones(tokenizer.vocab_size)
    for text, weight in weights.items():
        shares[tokenizer.encode(text)] = weight
    return loaded_with(tokenizer, fixed_model(shares / shares.sum()), name)
