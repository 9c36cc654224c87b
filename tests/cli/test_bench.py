"""``charlm bench``: the limits, then each figure, as a table and as JSON."""

import json

import pytest

from charlm.console import speed as table
from charlm.inference import speed
from charlm.model.limits import Limits
from tests.cli.conftest import call


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work of milliseconds on a machine of known speed."""
    limits = Limits(threads=1, products=1e12, reads={1 << 20: 1e12})
    monkeypatch.setattr(table, "measure_limits", lambda threads: limits)
    monkeypatch.setattr(speed, "ROUNDS", 1)
    one, many = speed.Size(1, 8, 9), speed.Size(2, 8, 9, lanes=3)
    for name, value in {"SAMPLED": (one, many), "SCORED": one, "LEARNED": many}.items():
        monkeypatch.setattr(speed, name, value)


def test_every_figure_is_positive_and_a_share_of_the_limit() -> None:
    done = call("bench", "--json")
    assert (done.code, done.err) == (0, [])
    limits, *figures = map(json.loads, done.out.splitlines())
    assert (limits["type"], limits["products"]) == ("limits", 1e12)
    assert [figure["work"] for figure in figures] == ["sampling"] * 2 + ["scoring", "training"]
    for figure in figures:
        assert figure["tokens_per_second"] > 0
        assert figure["ratio"] > 0
        assert 0 < figure["share"] < 1


def test_the_table_has_a_line_for_each_figure_and_fits_eighty_columns() -> None:
    done = call("bench")
    assert (done.code, done.err) == (0, [])
    lines = done.out.splitlines()
    assert len([line for line in lines if line.startswith(("sampling", "scor", "train"))]) == 4
    assert max(map(len, lines)) <= 80


def test_weights_that_a_token_meets() -> None:
    # 2 layers of 3 units, 5 tokens: recurrent 2 * 4 * 3 * 3, inputs of the second 4 * 3 * 3, head
    assert speed.Size(2, 3, 5).recurrent == 72
    assert speed.Size(2, 3, 5).weights == 72 + 36 + 15
    assert speed.Size(1, 3, 5).weights == 36 + 15
