"""Curves are what the log of a run says, whatever else is in it."""

import json
from pathlib import Path

from charlm.storage.curves import LONGEST, TrainingCurve, read_curves


def test_a_log_becomes_curves_and_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    lines = [
        json.dumps({"type": "stepped", "step": 10, "loss": 3, "time": "2026-01-01T00:00:00+00:00"}),
        json.dumps({"type": "evaluated", "step": 10, "valid_nll": 2.5}),
        '{"type": "stepped", "step": 20, "loss": NaN, "gradient_norm": 0.5}',
        '{"type": "stepped", "step": 30, "loss": "low", "gradient_norm": true}',
        "[1]",
        "[" * 100_000,
        '{"step": 35, "loss": 2.5, "text": "' + "x" * LONGEST + '"}',
        json.dumps({"type": "stepped", "step": 40, "loss": 2.0}),
        '{"type": "stepped", "step": 50, "lo',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    loss, valid, norm = read_curves(tmp_path / "log.jsonl")
    assert (loss.steps, loss.values, loss.times) == ((10, 40), (3.0, 2.0), (1767225600.0, 0.0))
    assert (valid.key, valid.name, valid.unit) == ("valid_nll", "validation", "nats per token")
    assert (norm.steps, norm.values) == ((20,), (0.5,))


def test_a_run_without_a_log_has_no_curves(tmp_path: Path) -> None:
    assert read_curves(tmp_path / "log.jsonl") == ()


def test_a_shortened_curve_has_the_means_of_neighbours() -> None:
    curve = TrainingCurve(
        "loss", "loss", "", (1, 2, 3, 4, 5), (1.0, 3.0, 5.0, 7.0, 9.0), (0.0,) * 5
    )
    short = curve.shortened(2)
    assert (short.steps, short.values) == ((2, 5), (2.0, 7.0))
    assert curve.shortened(5) is curve
