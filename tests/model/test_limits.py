"""The limits of the processor are measured with and without the native library."""

import pytest
import torch

from charlm.model import limits, native


@pytest.mark.parametrize("with_native", [True, False])
def test_limits_are_positive_and_leave_the_threads_as_they_were(
    with_native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_native:
        monkeypatch.setattr(native, "kernels", lambda *_: None)
    monkeypatch.setattr(limits, "READ_SIZES", (1 << 16, 1 << 18, 1 << 20))
    before = torch.get_num_threads()
    found = limits.measure_limits(threads=1, rounds=3)
    assert torch.get_num_threads() == before
    assert found.products > 0
    assert list(found.reads) == [1 << 16, 1 << 18, 1 << 20]
    assert min(found.reads.values()) > 0


def test_the_probe_of_arithmetic_does_as_much_as_is_counted() -> None:
    """Each of its 16 vectors n starts at n and adds 1 * 1 in each turn, in every float of it."""
    kernels = native.kernels()
    if kernels is None:
        pytest.skip("no native library")
    sums = torch.zeros(1)
    limits.probe(kernels.probe_products, torch.ones(2), 50, sums)()
    additions = float(sums) - sum(range(16))
    each = 2  # a multiplication and an addition
    assert limits.probe_flop(kernels.width, 50, threads=1) == each * additions * kernels.width
    assert limits.probe_flop(kernels.width, 50, threads=2) == 2 * each * additions * kernels.width


def test_least_seconds_of_arithmetic_and_of_reading() -> None:
    found = limits.Limits(threads=1, products=8.0, reads={10: 4.0, 100: 2.0})
    assert found.seconds(arithmetic=16.0, reads=8.0, size=10) == {"arithmetic": 2.0, "reading": 2.0}
    assert found.seconds(arithmetic=16.0, reads=8.0, size=11) == {"arithmetic": 2.0, "reading": 4.0}


def test_a_size_takes_the_rate_of_the_next_larger_one() -> None:
    found = limits.Limits(threads=1, products=1.0, reads={10: 3.0, 100: 2.0})
    assert [found.read_rate(size) for size in (1, 10, 11, 100, 1000)] == [3.0, 3.0, 2.0, 2.0, 2.0]
