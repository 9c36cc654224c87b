"""Whichever call to the system fails, no checkpoint that was on disk is lost."""

import pytest

from tests.conftest import Figure
from tests.crash.conftest import Apart
from tests.crash.failures import can_mount, can_trace, run_failing_calls, run_small_disks


@pytest.mark.timeout(900)
def test_any_file_operation_may_fail(figure: Figure) -> None:
    counts = run_failing_calls(1, 300)
    figure(counts.line("failing file operations"))
    assert not counts.wrong
    assert counts.hits["refused"] > 60


@pytest.mark.timeout(900)
def test_a_limit_on_the_size_of_files_costs_no_checkpoint(apart: Apart, figure: Figure) -> None:
    counts = apart("failures", "run_limits(1, 8)")
    figure(counts.line("trainings with a limit of file size"))
    assert not counts.wrong
    assert counts.hits["refused"]


@pytest.mark.timeout(900)
def test_system_calls_that_fail_cost_no_checkpoint(apart: Apart, figure: Figure) -> None:
    if not can_trace():
        pytest.skip("strace is not installed, or may not trace other processes")
    counts = apart("failures", "run_traced(1, 12)")
    figure(counts.line("trainings with a system call that fails or kills, by strace"))
    assert not counts.wrong
    assert counts.hits["killed"]  # where a save only fails, training goes on


@pytest.mark.timeout(900)
def test_a_full_disk_costs_no_checkpoint(figure: Figure) -> None:
    if not can_mount():
        pytest.skip("this process may not mount a file system of a limited size")
    counts = run_small_disks(1, 8)
    figure(counts.line("full file systems"))
    assert not counts.wrong
    assert counts.hits["refused"]
