"""Devices: which there are, and what a machine's memory does while a model learns."""

import platform
import subprocess
import sys

import pytest
import torch

from charlm.errors import ConfigError
from charlm.model.devices import choose_device, uses_graphs

FAULTS = """
import resource, sys
import torch
from charlm.model.devices import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(20):  # glibc before 2.38 goes for fresh pages some times more
    torch.ones(10_000_000)
before = faults()
torch.ones(10_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_what_is_freed_again_and_again_is_kept() -> None:
    """40 MB wanted and freed again and again come in fresh pages, unless they are kept."""
    given, kept = (faults_of(case) for case in ("given back", "kept"))
    assert kept < 100 < given


def faults_of(case: str) -> int:
    """Page faults of the last time in a fresh process."""
    command = [sys.executable, "-c", FAULTS, case]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)


@pytest.mark.parametrize("name", ["meta", "cuda:99", "nosuch", ""])
def test_a_device_that_holds_no_numbers_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"(?m)^there is no device '{name}' here$"):
        choose_device(name)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("value", "used"), [(None, False), ("0", False), ("1", True)])
def test_graphs_are_used_on_gpus_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, value: str | None, used: bool
) -> None:
    monkeypatch.delenv("CHARLM_GRAPHS", raising=False)
    if value is not None:
        monkeypatch.setenv("CHARLM_GRAPHS", value)
    assert uses_graphs(torch.device("cuda")) is used
    assert not uses_graphs(torch.device("cpu"))
