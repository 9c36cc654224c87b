"""The weights that are found are the best there are."""

import numpy as np
import pytest

from charlm.inference.rescoring.weights import TuningTable, search, tabulate, tune


def errors_with(table: TuningTable, weight: float, bonus: float) -> int:
    """Errors of the hypotheses that these weights choose."""
    total = table.given + weight * table.log_p + bonus * table.words
    return int(np.take_along_axis(table.errors, total.argmax(axis=1)[:, None], axis=1).sum())


def table_of(*lists: list[tuple[float, float, int, int]]) -> TuningTable:
    return tabulate([np.array(rows, dtype=float) for rows in lists])


def test_the_weight_lies_in_the_only_stretch_without_errors() -> None:
    """The first list needs more than 2 of the model, the second less than 2.2."""
    more = [(0.0, -10.0, 3, 1), (-2.0, -9.0, 3, 0)]
    less = [(0.0, -10.0, 3, 0), (-2.2, -9.0, 3, 1)]
    weights = tune(table_of(more, less))
    assert 2 < weights.lm < 2.2
    assert weights.bonus == 0


def test_words_get_a_ratio_where_only_that_helps() -> None:
    """The right one is as likely and longer: no weight alone prefers it."""
    longer = [(0.0, -10.0, 3, 1), (-1.0, -10.0, 4, 0)]
    weights = tune(table_of(longer, longer))
    assert errors_with(table_of(longer), weights.lm, weights.bonus) == 0
    assert weights.bonus > 1


def test_a_model_that_only_harms_gets_next_to_nothing() -> None:
    harmed = [(0.0, -20.0, 3, 0), (-1.0, -10.0, 3, 1)]
    weights = tune(table_of(harmed))
    assert errors_with(table_of(harmed), weights.lm, weights.bonus) == 0
    assert weights.lm < 0.1


def test_lists_without_scores_are_ordered_by_the_model() -> None:
    unscored = [(0.0, -20.0, 3, 1), (0.0, -10.0, 3, 0), (0.0, -30.0, 3, 2)]
    weights = tune(table_of(unscored))
    assert weights.lm == 1
    assert errors_with(table_of(unscored), weights.lm, weights.bonus) == 0


@pytest.mark.parametrize("ratio", [0.0, 1.5])
def test_no_weight_on_a_fine_grid_is_better(ratio: float) -> None:
    source = np.random.default_rng(8)
    lists = []
    for _ in range(40):
        n = int(source.integers(1, 12))
        figures = [source.normal(-50, 6, n), source.normal(-60, 9, n), source.integers(5, 12, n)]
        lists.append(np.column_stack([*figures, source.integers(0, 5, n)]))
    table = tabulate(lists)
    found = search(table, ratio)
    assert errors_with(table, found.weight, found.weight * ratio) == found.errors
    grid = np.geomspace(1e-3, 1e3, 4000)
    assert found.errors <= min(errors_with(table, weight, weight * ratio) for weight in grid)
    weights = tune(table)
    assert errors_with(table, weights.lm, weights.bonus) <= found.errors
