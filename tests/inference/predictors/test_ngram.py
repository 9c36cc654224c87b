"""An n-gram model reads, writes and scores lines like any other predictor."""

import numpy as np
import pytest
import torch

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.inference.generation.text import Sampling, generate
from charlm.inference.predictors.ngram import NgramPredictor
from charlm.inference.scoring.documents import score_text
from charlm.model.ngram.kneser_ney import train_ngrams
from tests.data.tokenizers.trained import train

torch.set_num_threads(1)

TEXT = "the quick brown fox jumps over the lazy dog and the dog sleeps on\n" * 30
TOKENIZER = train(TokenizerConfig(kind="char"), [Piece(TEXT, True)])[0]
IDS = np.append(0, TOKENIZER.encode(TEXT))


@pytest.fixture(params=[1, 2, 5])
def model(request: pytest.FixtureRequest) -> NgramPredictor:
    return NgramPredictor(train_ngrams(IDS, TOKENIZER.vocab_size, request.param))


def test_a_stream_may_be_cut_anywhere(model: NgramPredictor) -> None:
    ids = TOKENIZER.encode("the lazy fox sleeps on the dog")
    whole = model.reader().read(ids)
    assert whole == pytest.approx(model.ngrams.nll(np.append(0, ids)), abs=1e-12)
    for size in (1, 3, 7):
        reader = model.reader()
        cuts = [ids[at : at + size] for at in range(0, len(ids), size)]
        assert np.concatenate([reader.read(cut) for cut in cuts]) == pytest.approx(whole, abs=1e-12)
        reader = model.reader()
        log_probs = torch.cat([reader.predict(cut) for cut in cuts])
        picked = log_probs[np.arange(len(ids)), ids.astype(np.int64)]
        assert -picked.numpy() == pytest.approx(whole, abs=1e-12)
        assert log_probs.exp().sum(dim=1).numpy() == pytest.approx(np.ones(len(ids)), abs=1e-12)


def test_memory_does_not_grow_with_the_vocabulary() -> None:
    for vocab_size in (50, 33_278, 1 << 22):
        predictor = NgramPredictor(train_ngrams(np.array([0, 1, 0]), vocab_size, 2))
        assert predictor.reader().chunk * vocab_size <= 1 << 22


@pytest.mark.parametrize("kept", [0, 1, 2, 9])
def test_a_decoder_says_what_the_reader_says(model: NgramPredictor, kept: int) -> None:
    texts = ("the lazy dog", "quick brown ", "xx\n\nthe do")
    ids = np.stack([np.append(0, TOKENIZER.encode(text[:10])) for text in texts]).astype(np.int64)
    wanted = torch.stack([model.reader().predict(np.append(row[1:], 0)) for row in ids])
    decoder = model.decoder(3)
    first = kept + 1
    assert torch.allclose(decoder.read(torch.from_numpy(ids[:, :first])), wanted[:, first - 1])
    for at in range(first, ids.shape[1]):
        assert torch.allclose(decoder.step(torch.from_numpy(ids[:, at])), wanted[:, at])


def test_lanes_can_be_chosen_and_repeated(model: NgramPredictor) -> None:
    ids = torch.tensor([[0, 3, 4, 5], [0, 6, 7, 8]])
    decoder = model.decoder(2)
    both = decoder.read(ids)
    decoder.select(torch.tensor([1, 1, 0]))
    after = decoder.step(torch.tensor([2, 9, 2]))
    alone = model.decoder(1)
    assert torch.equal(alone.read(ids[1:]), both[1:])
    assert torch.equal(alone.step(torch.tensor([2])), after[:1])
    assert not torch.equal(after[0], after[1]) or model.ngrams.order == 1


def test_lines_read_together_are_streams_of_their_own(model: NgramPredictor) -> None:
    texts = ["the dog", "", "fox", "over the lazy", "x"]
    lines = [TOKENIZER.encode(text) for text in texts] + [np.array([3, 0, 4])]
    together = model.read_lines(lines)
    assert [len(nll) for nll in together] == [len(line) for line in lines]
    for line, nll in zip(lines, together, strict=True):
        assert nll == pytest.approx(model.reader().read(line), abs=1e-12)
    assert model.read_lines([]) == []


def test_it_writes_what_it_has_read() -> None:
    model = NgramPredictor(train_ngrams(IDS, TOKENIZER.vocab_size, 9))
    pieces = generate(model, TOKENIZER, "the quick", length=57, sampling=Sampling(temperature=0))
    assert "the quick" + "".join(pieces) == TEXT[:66]


def test_a_score_is_that_of_the_model(model: NgramPredictor) -> None:
    score = score_text(model, TOKENIZER, "the dog\n")
    ids = np.append(0, TOKENIZER.encode("the dog\n"))
    assert score.nll == pytest.approx(model.ngrams.nll(ids).sum())
