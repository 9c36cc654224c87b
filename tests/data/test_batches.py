"""Every token is used once an epoch, lanes go on where they stopped, order is a pure function."""

import numpy as np
import pytest
import torch

from charlm.data.batches import IGNORED, Segments


def stream(length: int) -> np.ndarray:
    """Boundary, 1, 2, ..., boundary: all but the ends differ."""
    return np.array([0, *range(1, length - 1), 0], dtype=np.uint16)


@pytest.mark.parametrize(
    ("length", "lanes", "bptt"), [(2, 1, 1), (50, 4, 5), (103, 7, 9), (41, 8, 5)]
)
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_every_token_is_input_and_target_exactly_once_an_epoch(
    length: int, lanes: int, bptt: int, epoch: int
) -> None:
    segments = Segments(stream(length), lanes, bptt, seed=3)
    steps = range(epoch * len(segments), (epoch + 1) * len(segments))
    counted = [segments[step].targets != IGNORED for step in steps]
    targets = torch.cat([segments[s].targets[c] for s, c in zip(steps, counted, strict=True)])
    inputs = torch.cat([segments[s].inputs[c] for s, c in zip(steps, counted, strict=True)])
    assert [segments[step].count for step in steps] == [int(c.sum()) for c in counted]
    assert sorted(targets.tolist()) == list(range(length - 1))
    assert sorted(inputs.tolist()) == list(range(length - 1))


def test_targets_are_the_inputs_one_step_later_across_segments() -> None:
    segments = Segments(stream(203), batch_size=4, bptt=7, seed=3)
    for step in range(len(segments) - 1):
        now, after = segments[step], segments[step + 1]
        assert torch.equal(now.inputs[:, 1:], now.targets[:, :-1])
        live = now.targets[:, -1] != IGNORED
        assert torch.equal(now.targets[live, -1], after.inputs[live, 0])


def test_tokens_that_lie_on_the_device_are_those_of_the_file() -> None:
    in_file, resident = Segments(stream(203), 4, 7, seed=3), Segments(stream(203), 4, 7, seed=3)
    resident.resident = torch.from_numpy(stream(203))
    for step in range(2 * len(in_file)):
        assert torch.equal(in_file[step].inputs, resident[step].inputs)
        assert torch.equal(in_file[step].targets, resident[step].targets)


def test_order_is_a_pure_function_of_seed_and_step() -> None:
    one, two, other = (Segments(stream(500), 4, 10, seed) for seed in (3, 3, 4))
    step = 2 * len(one) + 5
    for earlier in range(step):
        one[earlier]
    assert torch.equal(one[step].inputs, two[step].inputs)
    assert not torch.equal(one[step].inputs, other[step].inputs)


def test_all_lanes_are_fresh_when_an_epoch_begins_and_none_otherwise() -> None:
    segments = Segments(stream(50), 4, 5, seed=3)
    fresh = [segments[step].fresh.tolist() for step in range(2 * len(segments))]
    assert fresh == ([[True] * 4] + [[False] * 4] * (len(segments) - 1)) * 2


def test_resets_come_with_their_probability_and_are_a_pure_function_of_the_step() -> None:
    segments = Segments(stream(50_000), 10, 5, seed=3, reset=0.2)
    fresh = torch.stack([segments[step].fresh for step in range(1, len(segments))]).double()
    assert fresh.mean().item() == pytest.approx(0.2, abs=0.02)
    assert torch.equal(segments[77].fresh, Segments(stream(50_000), 10, 5, 3, 0.2)[77].fresh)


def test_text_too_small_for_the_lanes_shrinks_them() -> None:
    assert Segments(stream(101), batch_size=32, bptt=10, seed=0).batch_size == 10
    assert Segments(stream(3), batch_size=32, bptt=10, seed=0).batch_size == 1


def random_segments(count: int = 2003, bptt: int = 20, lanes: int = 3) -> Segments:
    return Segments(stream(count), lanes, bptt, seed=7, random_bptt=True)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_random_segments_give_every_token_once_an_epoch(epoch: int) -> None:
    segments = random_segments()
    steps = range(epoch * len(segments), (epoch + 1) * len(segments))
    targets = torch.cat([segments[step].targets.flatten() for step in steps])
    assert sorted(targets[targets != IGNORED].tolist()) == list(range(2002))
    assert sum(segments[step].inputs.shape[1] for step in steps) == segments.longest_lane


def test_random_segments_follow_each_other() -> None:
    segments = random_segments()
    for step in range(len(segments) - 1):
        now, then = segments[step], segments[step + 1]
        live = now.targets[:, -1] != IGNORED
        assert torch.equal(now.targets[live, -1], then.inputs[live, 0])


def test_random_segments_are_a_function_of_seed_and_step_alone() -> None:
    whole = random_segments()
    for step in (150, 3, 40, 3, 151):
        assert torch.equal(random_segments()[step].inputs, whole[step].inputs)


def test_random_lengths_vary_around_bptt_and_its_half() -> None:
    segments = random_segments(count=60_000, bptt=50, lanes=1)
    lengths = [segments[step].inputs.shape[1] for step in range(len(segments))]
    assert len(lengths) == -(-59_999 // 50)
    assert sum(lengths) / len(lengths) == pytest.approx(50, abs=0.1)
    short = [length for length in lengths if length < 38]
    assert 0.02 < len(short) / len(lengths) < 0.08
    usual = [length for length in lengths if length >= 38]
    assert 4 < torch.tensor(usual, dtype=torch.float64).std() < 6
    weights = [segments[step].weight for step in range(len(segments))]
    assert weights == pytest.approx([length / 50 for length in lengths])


def test_segments_of_one_length_weigh_the_same() -> None:
    segments = Segments(stream(2003), 3, 20, seed=7)
    assert {segments[step].weight for step in range(len(segments))} == {1.0}
