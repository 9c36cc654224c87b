"""Many contexts at once are predicted as one by one, and a saved model is the model."""

import numpy as np
import pytest
import torch

from charlm.errors import ModelError, TokenizerError
from charlm.model.ngram.contexts import distributions, row_states
from charlm.model.ngram.kneser_ney import NgramModel, row_nll, start_states, train_ngrams
from charlm.model.ngram.tensors import from_tensors, to_tensors
from tests.model.test_ngrams import distribution, random_stream

ORDERS = [1, 2, 3, 6]
IDS = np.array([*random_stream(3, 20, 1500, 0.2), *random_stream(4, 20, 300, 0.2)])


def states(model: NgramModel, ids: np.ndarray) -> np.ndarray:
    return row_states(model, ids[None], start_states(model, 1))[0]


@pytest.fixture(params=ORDERS)
def model(request: pytest.FixtureRequest) -> NgramModel:
    return train_ngrams(IDS[:1300], 20, request.param)


def test_distributions_are_those_of_each_context_alone(model: NgramModel) -> None:
    every = distributions(model, states(model, IDS))
    assert np.abs(every.sum(axis=1) - 1).max() < 1e-12
    assert every.min() > 0
    for at in (*range(12), *range(1290, len(IDS), 7)):
        assert every[at] == pytest.approx(distribution(model, IDS[: at + 1]), abs=1e-12)


def test_a_thousand_contexts_share_all_of_the_probability(model: NgramModel) -> None:
    ids = np.random.default_rng(1).integers(0, 20, size=1000)  # most were never met
    assert np.abs(distributions(model, states(model, ids)).sum(axis=1) - 1).max() < 1e-12


def test_the_stream_scores_as_its_distributions(model: NgramModel) -> None:
    every = distributions(model, states(model, IDS)[:-1])
    nll = -np.log(every[np.arange(len(IDS) - 1), IDS[1:]])
    assert model.nll(IDS) == pytest.approx(nll, abs=1e-12)


def test_rows_are_streams_of_their_own(model: NgramModel) -> None:
    rows = IDS[:1792].reshape(-1, 14)
    start = start_states(model, len(rows))
    together, (nll, before_last) = row_states(model, rows, start), row_nll(model, rows, start)
    assert nll.shape == (128, 13)
    assert np.array_equal(before_last, together[:, -2])
    for cut in (1, 5, 13):
        assert np.array_equal(
            row_states(model, rows[:, cut:], together[:, cut - 1]), together[:, cut:]
        )
        after, _ = row_nll(model, rows[:, cut:], together[:, cut - 1])
        assert np.array_equal(after, nll[:, cut:])
    for row, nodes, own in zip(rows, together, nll, strict=True):
        assert np.array_equal(nodes, states(model, row))
        every = distributions(model, nodes[:-1])
        assert own == pytest.approx(-np.log(every[np.arange(13), row[1:]]), abs=1e-12)
        for at in (0, 1, 5):
            assert every[at] == pytest.approx(distribution(model, row[: at + 1]), abs=1e-12)


def test_a_model_comes_back_from_its_tensors(model: NgramModel) -> None:
    tensors = to_tensors(model)
    again = from_tensors(tensors, 20)
    assert np.array_equal(again.nll(IDS), model.nll(IDS))
    assert (again.order, again.size) == (model.order, model.size)
    assert {tensor.dtype for tensor in tensors.values()} <= {torch.uint8, torch.uint16}


def test_large_vocabularies_and_counts_come_back() -> None:
    ids = np.array([0, *[199_999, 150_000] * 70_000, 7, 0], dtype="<u4")
    model = train_ngrams(ids, 200_000, 3)
    tensors = to_tensors(model)
    assert tensors["tokens.2"].dtype == torch.int32
    assert np.array_equal(from_tensors(tensors, 200_000).nll(ids[-9:]), model.nll(ids[-9:]))


def broken(tensors: dict[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    """Tensors with something wrong."""
    followers, tokens = tensors["followers.2"], tensors["tokens.2"]
    wrong = {
        "missing": {"counts.2": None},
        "foreign": {"weight": torch.zeros(3)},
        "floats": {"counts.2": tensors["counts.2"].float()},
        "square": {"tokens.2": tokens[None]},
        "negative": {"counts.2": -tensors["counts.2"].to(torch.int32)},
        "short": {"counts.2": tensors["counts.2"][1:]},
        "no such context": {"followers.2": torch.cat([followers, followers[:1] * 0])},
        "too many": {"followers.2": followers + 1},
        "no such token": {"tokens.2": tokens + 20},
        "out of order": {"tokens.2": tokens.flip(0)},
    }[kind]
    changed = {**tensors, **wrong}
    return {name: tensor for name, tensor in changed.items() if tensor is not None}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("missing", "counts.2"), ("foreign", "weight"), ("floats", "counts.2"),
     ("square", "tokens.2"), ("negative", "counts.2"), ("short", "counts.2"),
     ("no such context", "followers.2"), ("too many", "followers.2"),
     ("no such token", "tokens.2"), ("out of order", "tokens.2")],
)  # fmt: skip
def test_tensors_of_no_model_are_refused(kind: str, name: str) -> None:
    tensors = broken(to_tensors(train_ngrams(IDS, 20, 3)), kind)
    with pytest.raises(ModelError, match=f"do not fit together, first at {name}"):
        from_tensors(tensors, 20)


def test_a_vocabulary_of_another_size_is_refused(model: NgramModel) -> None:
    with pytest.raises(ModelError, match="do not fit together"):
        from_tensors(to_tensors(model), 21)


def test_foreign_ids_are_refused(model: NgramModel) -> None:
    with pytest.raises(TokenizerError, match="vocabulary of 20"):
        states(model, np.array([0, 20]))
