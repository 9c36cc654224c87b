"""Files that are trying, tokenizers of each kind, and small models that learned from one text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from charlm.config import Config, ModelConfig, TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer, train
from charlm.inference.loading import Loaded
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.storage.run import Run

torch.set_num_threads(1)

KINDS = ("byte", "char", "word", "bpe", "unigram")
TEXT = "the cat sat on the mat,\nand the dog  ate the cat's hat.\n\n so it goes é日\r\n" * 6
ODD = (
    b"",
    b"t",
    b"\0",
    b"\n",
    b" ",
    b"\xff\xfe\0t",
    TEXT.encode(),
    TEXT.encode("utf-16"),
    "voilà\u2581 the \u2003cat\x85\x1c<unk> <eos> \ufeff\n".encode(),
    b"the cat \xed\xa0\x80 sat \xc3 on\xf0\x9f\x98",
    b" \n \n\t\n the  <eos>\n<unk>\n\n  ",
    "猫が好き。".encode() * 9,
    bytes(range(256)),
)
"""Files that are trying, for one tokenizer or another."""

_tokenizers: dict[str, Tokenizer] = {}


def tokenizer_of(kind: str) -> Tokenizer:
    """A tokenizer learned from ``TEXT``."""
    if kind not in _tokenizers:
        size = 300 if kind in ("bpe", "unigram") else 16 if kind == "word" else None
        sample = TEXT.encode() if kind == "byte" else TEXT
        config = TokenizerConfig(kind=kind, vocab_size=size)
        _tokenizers[kind] = train(config, [Piece(sample, True)])[0]
    return _tokenizers[kind]


def loaded_with(kind: str, seed: int = 1, **settings: Any) -> Loaded:
    """A model that has read ``TEXT`` a few times."""
    tokenizer = tokenizer_of(kind)
    config = ModelConfig(**({"hidden_size": 12} | settings))
    network = LanguageModel.create(config, tokenizer.vocab_size, seed=seed)
    text = tokenizer.encode(TEXT.encode() if kind == "byte" else TEXT).astype(np.int64)
    ids = torch.from_numpy(np.concatenate([[0], text]))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(15):
        optimizer.zero_grad()
        cross_entropy(network(ids[None, :-1])[0][0], ids[1:]).backward()
        optimizer.step()
    run = Run(Path("run"), Config(), {"digest": ""})
    return Loaded(run, tokenizer, Recurrent(network.eval()), 1)


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Each kind."""
    return tokenizer_of(request.param)
