"""What training costs beside computing: memory and time of a save, and nothing that stays."""

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from charlm.config import Config
from charlm.config.training import TrainConfig
from charlm.storage.checkpoints import list_checkpoints, prune, read_checkpoint, write_checkpoint
from charlm.storage.run import open_run
from charlm.training.session import SAVING_SHARE
from tests.training.conftest import StopAt, train_into

MEGABYTE = 1 << 20
STATUS = Path("/proc/self/status")

needs_proc = pytest.mark.skipif(not STATUS.exists(), reason="/proc tells the use of memory")


def kilobytes(name: str) -> int:
    """A figure of /proc/self/status in kB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1])


def tensors(megabytes: int) -> dict[str, torch.Tensor]:
    """Tensors of so many megabytes, in pieces of 16 MB."""
    return {f"{n}": torch.full((16 * MEGABYTE // 4,), 1.0) for n in range(megabytes // 16)}


def peak_of_a_save(folder: Path, megabytes: int) -> int:
    """Bytes that saving, checking and pruning checkpoints of a size take at most.

    Measured in a process of its own, whose peak is reset before.
    """
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        model, train = tensors(megabytes // 3), tensors(megabytes - megabytes // 3)
        write_checkpoint(folder, 1, tensors(16), {}, {})
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use
        before = kilobytes("VmRSS")
        for step in (2, 3, 4):
            write_checkpoint(folder, step, model, train, {})
            prune(folder, keep=set())
        os.write(told, str(1024 * (kilobytes("VmHWM") - before)).encode())
        os._exit(0)
    os.close(told)
    with os.fdopen(heard) as answer:
        found = answer.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return int(found)


@needs_proc
@pytest.mark.parametrize("megabytes", [96, pytest.param(386, marks=pytest.mark.long)])
def test_a_save_takes_little_memory(tmp_path: Path, megabytes: int) -> None:
    peak = peak_of_a_save(tmp_path, megabytes)
    print(f"a save of {megabytes} MB takes {peak / 1e6:.1f} MB at its peak")
    assert peak < 32 * MEGABYTE
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000003", "step-00000004"]


def test_saving_50_megabytes_delays_training_by_less_than_2_percent(tmp_path: Path) -> None:
    model, train = tensors(16), tensors(32)
    took = []
    for step in (1, 2, 3):
        began = time.perf_counter()
        write_checkpoint(tmp_path, step, model, train, {})
        prune(tmp_path, keep=set())
        took.append(time.perf_counter() - began)
    interval = 60 * TrainConfig().with_defaults().save_minutes
    share = min(took) / interval
    print(f"a save of 50 MB takes {1000 * min(took):.0f} ms: {share:.2%} of {interval:.0f} s")
    assert share < 0.02
    assert SAVING_SHARE <= 0.02  # a slower disk is written to less often
    assert read_checkpoint(list_checkpoints(tmp_path)[-1]).step == 3


@needs_proc
@pytest.mark.parametrize("cycles", [30, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.timeout(3000)
def test_training_and_resuming_again_and_again_leaks_nothing(
    config: Callable[..., Config], tmp_path: Path, own_cache: Path, cycles: int
) -> None:
    settings = config(steps=10**6, evaluations=1)
    figures = []
    for cycle in range(cycles + 10):
        train_into(settings, tmp_path / "run", stop=StopAt(7))
        if cycle in (9, cycles + 9):  # the first ones fill caches
            gc.collect()
            files = [path for root in (tmp_path, own_cache) for path in root.rglob("*")]
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            figures.append((descriptors, len(files), kilobytes("VmRSS")))
    (fewer, few, before), (more, many, after) = figures
    print(f"{cycles} cycles: {more - fewer} descriptors, {many - few} files, {after - before} kB")
    assert (more, many) == (fewer, few)
    assert after - before < 8192 + 8 * cycles  # kB
    found, _ = open_run(tmp_path / "run").newest()
    assert found is not None
    assert found.step > cycles, "the cycles did not train"
