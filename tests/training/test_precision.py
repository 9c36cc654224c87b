"""Training in float16, imitated on the CPU, and which precision a device is given."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig, TrainConfig
from charlm.data.batches import Segments
from charlm.errors import ConfigError
from charlm.model.devices import choose_precision
from charlm.model.language_model import LanguageModel
from charlm.training import learner as learners
from charlm.training.distributed import World
from charlm.training.learner import Learner

torch.set_num_threads(1)
TEXT = np.random.default_rng(3).integers(0, 7, 4 * 50 + 1).astype(np.uint8)


@pytest.fixture(autouse=True)
def imitated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CPU that does as it is told, by torch's own layers: oneDNN's do not learn in float16."""
    monkeypatch.setattr(learners, "choose_precision", lambda name, _: getattr(torch, name))
    torch.backends.mkldnn.set_flags(False, _allow_tf32=None)  # type: ignore[no-untyped-call]
    yield
    torch.backends.mkldnn.set_flags(True, _allow_tf32=None)  # type: ignore[no-untyped-call]


def make_learner(precision: str = "float32", clip: float = 1.0) -> Learner:
    model = LanguageModel.create(ModelConfig(hidden_size=8, dropout=0.3), 7, seed=1)
    config = TrainConfig(steps=30, precision=precision, clip=clip)
    return Learner(model, Segments(TEXT, 4, 8, 1, 0.1), config, World())


def losses(learner: Learner) -> list[float]:
    return [learner.learn(step, 0.02).loss for step in range(30)]


def test_float16_learns_as_float32_does() -> None:
    exact, rounded = losses(make_learner()), losses(make_learner("float16"))
    assert exact != rounded
    assert exact[-1] < exact[0] - 0.05
    np.testing.assert_allclose(exact, rounded, atol=0.01)


def test_a_step_beyond_float16_is_taken_again_with_a_smaller_scale() -> None:
    usual, large = make_learner("float16"), make_learner("float16")
    large.scale = 2.0**40
    expected, outcome = usual.learn(0, 0.02), large.learn(0, 0.02)
    assert outcome.taken
    assert large.scale < 2.0**24
    assert outcome.loss == expected.loss  # the same dropout, from the same state
    assert outcome.gradient_norm == pytest.approx(expected.gradient_norm, rel=0.01)
    for state, wanted in zip(large.state[0], usual.state[0], strict=True):
        assert torch.equal(state, wanted)


def test_the_scale_is_taken_up_again() -> None:
    before = make_learner("float16")
    before.scale = 2.0**9
    again = make_learner("float16")
    again.restore(before.tensors())
    assert again.scale == 2.0**9
    assert losses(again) == losses(before)


def test_the_scale_of_another_precision_is_not_taken_up() -> None:
    before, again = make_learner("float16"), make_learner()
    again.restore(before.tensors())
    assert again.scale == 1.0


def test_what_is_not_finite_for_other_reasons_is_left_out() -> None:
    learner = make_learner("float16")
    with torch.no_grad():
        learner.model.head.bias.fill_(torch.nan)
    assert not learner.learn(0, 0.02).taken


def test_a_gradient_that_no_scale_makes_finite_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner("float16")
    before = learner.scale
    monkeypatch.setattr(Learner, "clip", lambda _: torch.tensor(torch.nan))
    assert not learner.learn(0, 0.02).taken
    assert learner.scale == before


@pytest.mark.parametrize(
    ("device", "has_bfloat16", "chosen"),
    [
        ("cpu", True, torch.float32),
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float32),
        ("mps", True, torch.float32),
    ],
)
def test_auto_is_bfloat16_on_gpus_that_have_it(
    monkeypatch: pytest.MonkeyPatch, device: str, has_bfloat16: bool, chosen: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bfloat16)
    assert choose_precision("auto", torch.device(device)) is chosen


def test_what_is_asked_for_is_taken_where_it_exists() -> None:
    assert choose_precision("float16", torch.device("cuda")) is torch.float16
    with pytest.raises(ConfigError, match="needs a GPU"):
        choose_precision("float16", torch.device("cpu"))
