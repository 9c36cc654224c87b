"""An n-gram model reads, writes and scores lines like any other predictor."""

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig, TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.inference.predictors.ngram import NgramPredictor
from charlm.inference.predictors.reader import Reader
from charlm.model.ngram.kneser_ney import train_ngrams
from tests.data.tokenizers.trained import train
from tests.inference.generation.generating import generate
from tests.inference.toys import score_text

torch.set_num_threads(1)

TEXT = "the quick brown fox jumps over the lazy dog and the dog sleeps on\n" * 30
TOKENIZER = train(TokenizerConfig(kind="char"), [Piece(TEXT, True)])[0]
IDS = np.append(0, TOKENIZER.encode(TEXT))


@pytest.fixture(params=[1, 2, 5])
def model(request: pytest.FixtureRequest) -> NgramPredictor:
    return NgramPredictor(train_ngrams(IDS, TOKENIZER.vocab_size, request.param))


def test_a_stream_may_be_cut_anywhere(model: NgramPredictor) -> None:
    ids = TOKENIZER.encode("the lazy fox sleeps on the dog")
    whole = Reader(model).nll(ids)
    assert whole == pytest.approx(model.ngrams.nll(np.append(0, ids)), abs=1e-12)
    for size in (1, 3, 7):
        reader = Reader(model)
        cuts = [ids[at : at + size] for at in range(0, len(ids), size)]
        assert np.concatenate([reader.nll(cut) for cut in cuts]) == pytest.approx(whole, abs=1e-12)
        reader = Reader(model)
        log_probs = torch.cat([reader.log_probs(cut) for cut in cuts])
        picked = log_probs[np.arange(len(ids)), ids.astype(np.int64)]
        assert -picked.numpy() == pytest.approx(whole, abs=1e-12)
        assert log_probs.exp().sum(dim=1).numpy() == pytest.approx(np.ones(len(ids)), abs=1e-12)


def test_memory_does_not_grow_with_the_vocabulary() -> None:
    for vocab_size in (50, 33_278, 1 << 22):
        predictor = NgramPredictor(train_ngrams(np.array([0, 1, 0]), vocab_size, 2))
        assert Reader(predictor).chunk * vocab_size <= 1 << 22


def test_it_writes_what_it_has_read() -> None:
    model = NgramPredictor(train_ngrams(IDS, TOKENIZER.vocab_size, 9))
    config = GenerationConfig(temperature=0, length=57)
    assert generate(model, TOKENIZER, "the quick", config) == TEXT[:66]


def test_a_score_is_that_of_the_model(model: NgramPredictor) -> None:
    score = score_text(model, TOKENIZER, "the dog\n")
    ids = np.append(0, TOKENIZER.encode("the dog\n"))
    assert score.nll == pytest.approx(model.ngrams.nll(ids).sum())
