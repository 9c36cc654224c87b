"""The law of every predictor: how tokens are handed over does not matter, only which they are."""

import copy
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.inference.adaptation.adapter import with_methods
from charlm.inference.adaptation.dynamic import gather_statistics, plan_steps
from charlm.inference.adaptation.methods import Cache, Dynamic, Evaluation, Temperature
from charlm.inference.predictors import lines as lines_module
from charlm.inference.predictors import predictor as predictor_module
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder, open_decoder
from charlm.inference.predictors.lines import measure_lines, nll_of_lines
from charlm.inference.predictors.mixture import Mixture
from charlm.inference.predictors.ngram import NgramPredictor
from charlm.inference.predictors.predictor import Predictor, nll_of_targets
from charlm.inference.predictors.reader import Reader, pick
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.kneser_ney import train_ngrams
from tests.inference.bigram import Bigram
from tests.inference.toys import ToyModel

torch.set_num_threads(1)

VOCAB = 9
TEXT = np.append(0, np.random.default_rng(1).integers(0, VOCAB, 600))
STREAMS = torch.from_numpy(np.random.default_rng(2).integers(0, VOCAB, (3, 41)))
STREAMS[:, 0] = 0


def network(**settings: object) -> LanguageModel:
    config = ModelConfig(**{"hidden_size": 12, "num_layers": 2} | settings)  # type: ignore[arg-type]
    model = LanguageModel.create(config, VOCAB, seed=3).eval()
    torch.nn.init.normal_(model.head.bias, generator=torch.Generator().manual_seed(4))
    return model


def adapted(**methods: object) -> Predictor:
    evaluation = Evaluation(**methods)  # type: ignore[arg-type]
    model, sizes = network(), None
    if evaluation.dynamic is not None:
        sizes = plan_steps(evaluation.dynamic, gather_statistics(model, TEXT, 7))
    return with_methods(model, evaluation, sizes)


DYNAMIC = Dynamic(lr=0.02, decay=0.01, segment=7)
CACHE = Cache(window=11, theta=2.0, share=0.3)
KINDS: dict[str, Callable[[], Predictor]] = {
    "lstm": lambda: Recurrent(network()),
    "gru": lambda: Recurrent(network(cell="gru")),
    "layer_norm": lambda: Recurrent(network(cell="layer_norm_lstm")),
    "mogrifier": lambda: Recurrent(network(mogrifier_rounds=2)),
    "skip": lambda: Recurrent(network(connections="skip")),
    "softmaxes": lambda: Recurrent(network(softmaxes=2)),
    "ngram": lambda: NgramPredictor(train_ngrams(TEXT, VOCAB, 4)),
    "unigram": lambda: NgramPredictor(train_ngrams(TEXT, VOCAB, 1)),
    "mixture": lambda: Mixture(KINDS["lstm"](), KINDS["ngram"](), 0.3),
    "tempered": lambda: adapted(temperature=Temperature(value=1.3)),
    "cached": lambda: adapted(cache=CACHE),
    "dynamic": lambda: adapted(dynamic=DYNAMIC),
    "all methods": lambda: adapted(
        temperature=Temperature(value=1.3), cache=CACHE, dynamic=DYNAMIC
    ),
    "toy": lambda: ToyModel(VOCAB),
    "bigram": lambda: Bigram(np.full((VOCAB, VOCAB), 1 / VOCAB)),
}


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> Predictor:
    return KINDS[request.param]()


@pytest.fixture(scope="module")
def expected(model: Predictor) -> Tensor:
    """Log-probabilities (B, T, V), each stream by itself and token by token."""
    rows = []
    for stream in STREAMS:
        state, row = model.start(1), []
        for token in stream:
            log_probs, state = model.advance(token[None, None], state)
            assert log_probs.shape == (1, 1, VOCAB)
            row.append(log_probs[0, 0].double())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def same(found: Tensor, expected: Tensor) -> None:
    """Equal up to rounding."""
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=0)


def test_every_distribution_sums_to_one(expected: Tensor) -> None:
    ones = torch.ones(expected.shape[:2], dtype=torch.double)
    torch.testing.assert_close(expected.exp().sum(dim=2), ones, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cuts", [(), (1,), (20, 21), (7, 14, 30)], ids=str)
def test_streams_may_be_cut_anywhere_and_read_side_by_side(
    model: Predictor, expected: Tensor, cuts: tuple[int, ...]
) -> None:
    state, parts = model.start(len(STREAMS)), []
    for part in torch.tensor_split(STREAMS, cuts, dim=1):
        log_probs, state = model.advance(part, state)
        parts.append(log_probs)
    same(torch.cat(parts, dim=1), expected)


def test_lanes_are_selected_repeated_and_left_out(model: Predictor, expected: Tensor) -> None:
    _, state = model.advance(STREAMS[:, :17], model.start(3))
    for lanes in ([2, 0, 2], [1], [0, 1, 2]):
        chosen = torch.tensor(lanes)
        log_probs, _ = model.advance(STREAMS[chosen, 17:], model.select(state, chosen))
        same(log_probs, expected[chosen, 17:])


def test_a_state_is_never_changed(model: Predictor, expected: Tensor) -> None:
    """Going on from a state twice, with another text in between, gives equal numbers."""
    _, state = model.advance(STREAMS[:1, :21], model.start())
    model.advance(STREAMS[1:2, :19], state)
    first, _ = model.advance(STREAMS[:1, 21:], state)
    second, _ = model.advance(STREAMS[:1, 21:], state)
    same(first, expected[:1, 21:])
    torch.testing.assert_close(second, first, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cut", [1, 14, 40])
def test_nll_is_that_of_the_distributions(model: Predictor, expected: Tensor, cut: int) -> None:
    first, state = model.nll(STREAMS[:, : cut + 1], model.start(3))
    rest, state = model.nll(STREAMS[:, cut:], state)
    found = np.concatenate([first, rest], axis=1)
    assert found.dtype == np.float64
    assert found == pytest.approx(nll_of_targets(expected[:, :-1], STREAMS[:, 1:]), abs=2e-5)
    log_probs, _ = model.advance(STREAMS[:, -1:], state)
    same(log_probs, expected[:, -1:])


def test_the_number_of_tokens_in_a_call_does_not_matter(
    model: Predictor, expected: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    nll = nll_of_targets(expected[:, :-1], STREAMS[:, 1:])
    for chunk in (1, 4):
        monkeypatch.setattr(predictor_module, "CHUNK", chunk)
        assert model.chunk == chunk
        assert Predictor.nll(model, STREAMS, model.start(3))[0] == pytest.approx(nll, abs=2e-5)


def test_a_reader_reads_what_advance_predicts(model: Predictor, expected: Tensor) -> None:
    ids = STREAMS[1, 1:].numpy().astype(np.uint8)
    one, other = Reader(model), Reader(model)
    nll = np.concatenate([one.nll(part) for part in np.split(ids, [0, 1, 9])])
    log_probs = torch.cat([other.log_probs(part) for part in np.split(ids, [1, 9])])
    same(log_probs, expected[1, :-1])
    assert nll == pytest.approx(-pick(log_probs, ids), abs=2e-5)


def test_a_decoder_is_at_what_advance_predicts(model: Predictor, expected: Tensor) -> None:
    decoder = open_decoder(model, 3)
    same(decoder.advance(STREAMS[:, :9]), expected[:, 8])
    other = decoder.fork(torch.tensor([2, 0]))
    decoder.select(torch.tensor([1, 1]))
    same(decoder.log_probs, expected[[1, 1], 8])
    for at in range(9, 20):
        same(decoder.advance(STREAMS[[1, 1], at : at + 1]), expected[[1, 1], at])
    same(other.advance(STREAMS[[2, 0], 9:20]), expected[[2, 0], 19])


def test_the_compiled_decoder_is_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    model = KINDS["lstm"]()
    assert isinstance(open_decoder(model), CompiledDecoder) == (native.kernels() is not None)
    monkeypatch.setattr(native, "kernels", lambda *_: None)
    assert type(open_decoder(model)) is Decoder


LINES = [*np.split(STREAMS[0].numpy().astype(np.uint8), [3, 4, 30]), np.empty(0, np.uint8)]
LINES += [LINES[0], LINES[2][:26]]


@pytest.mark.parametrize(("lanes", "steps"), [(1, 128), (2, 5), (128, 1), (128, 128)])
def test_lines_side_by_side_are_lines_one_by_one(
    model: Predictor, lanes: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "STEPS", steps)
    batched = copy.copy(model)
    batched.lanes = lanes
    alone = [Reader(model).nll(line) for line in LINES]
    found = nll_of_lines(batched, LINES)
    measured = measure_lines(batched, LINES, pick)
    for ids, nll, log_p, one in zip(LINES, found, measured, alone, strict=True):
        assert nll.shape == ids.shape
        assert nll == pytest.approx(one, abs=2e-5)
        assert log_p == pytest.approx(-one, abs=2e-5)


def test_lines_may_begin_with_other_tokens_than_the_boundary(model: Predictor) -> None:
    first = [5, 0, 5, 3, 2, 5, 0]
    for token, line, nll in zip(first, LINES, nll_of_lines(model, LINES, first), strict=True):
        assert nll == pytest.approx(Reader(model, token).nll(line), abs=2e-5)


def test_no_lines_give_nothing(model: Predictor) -> None:
    assert nll_of_lines(model, []) == measure_lines(model, [], pick) == []
    assert [nll.shape for nll in nll_of_lines(model, [np.empty(0, np.uint8)])] == [(0,)]


def test_threads_share_a_model(model: Predictor, expected: Tensor) -> None:
    found: dict[int, Tensor] = {}

    def read(lane: int) -> None:
        state = model.start()
        parts = []
        for part in torch.split(STREAMS[lane : lane + 1], 5 + lane, dim=1):
            log_probs, state = model.advance(part, state)
            parts.append(log_probs)
        found[lane] = torch.cat(parts, dim=1)

    threads = [threading.Thread(target=read, args=(lane,)) for lane in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(torch.cat([found[lane] for lane in range(3)]), expected)
