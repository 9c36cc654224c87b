"""``charlm bench``: the limits, then each figure, as a table and as JSON."""

import json

import pytest

from charlm.inference import speed, timing
from charlm.model import native
from charlm.model.limits import Limits
from tests.cli.conftest import call


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work of milliseconds on a machine of known speed."""
    limits = Limits(threads=1, products=1e12, reads={1 << 20: 1e12})
    monkeypatch.setattr(speed, "measure_limits", lambda threads: limits)
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still unless somebody adds to its only number, seconds."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def lasting(clock: list[float], *seconds: float, tokens: int = 1) -> timing.Way:
    """A way whose calls take so many seconds, the last of them again and again."""
    rest = list(seconds)

    def call() -> None:
        clock[0] += rest.pop(0) if len(rest) > 1 else rest[0]

    return timing.Way(call, tokens)


def test_rates_and_ratios_are_medians_over_rounds_after_the_first(clock: list[float]) -> None:
    ways = {
        timing.PEER: lasting(clock, 100.0, 8.0, 8.0, 24.0, tokens=4),
        "own": lasting(clock, 0.5, 1.0, 4.0, 6.0, tokens=2),
    }
    found = timing.compare_ways(ways, rounds=3)
    # Seconds of a token: the peer's 2, 2, 6, the own 0.5, 2, 3; ratios 4, 1, 2.
    assert found[timing.PEER] == timing.Timing(tokens_per_second=1 / 2, ratio=1.0)
    assert found["own"] == timing.Timing(tokens_per_second=1 / 2, ratio=2.0)


def test_twice_as_fast_is_a_ratio_of_two_and_shares_are_of_the_limit(clock: list[float]) -> None:
    ways = {timing.PEER: lasting(clock, 8.0), "charlm": lasting(clock, 4.0)}
    limits = Limits(threads=1, products=10.0, reads={100: 50.0})
    size = speed.Size(1, 2, 3, lanes=2)
    found = speed.measure("work", size, ways, limits, arithmetic=20, reads=100)
    # 20 FLOP take 2 s, 100 bytes for two lanes 1 s each: arithmetic is the limit, half of 4 s.
    assert found == speed.Speed("work", "1x2, V 3, 2 lanes", 0.25, 0.125, 2.0, 0.5, "arithmetic")


def test_a_token_costs_two_flop_a_weight_and_six_in_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, list[int]] = {}
    monkeypatch.setattr(
        speed, "measure", lambda work, size, ways, limits, *costs: given.update({work: [*costs]})
    )
    list(speed.measure_speed())
    one, many = speed.SAMPLED  # the last of two; reads of all weights, 4 bytes each
    assert given["sampling"] == [2 * many.weights, 4 * many.weights]
    assert given["scoring"] == [2 * one.weights, 4 * one.recurrent]
    assert given["training"] == [6 * many.weights, 0]


def test_without_native_switches_it_off_for_the_making_and_the_calls() -> None:
    seen = []

    def make() -> timing.Way:
        seen.append(native.kernels())
        return timing.Way(lambda: seen.append(native.kernels()), 1)

    before = native.kernels()
    timing.without_native(make).call()
    assert seen == [None, None]
    assert native.kernels() is before
