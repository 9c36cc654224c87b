"""What a machine's memory does while a model learns."""

import platform
import subprocess
import sys

import pytest

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
    torch.ones(1 << 24)
before = faults()
torch.ones(1 << 24)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_what_is_freed_again_and_again_is_kept() -> None:
    """64 MiB wanted and freed again and again come in fresh pages, unless they are kept."""
    given, kept = (faults_of(case) for case in ("given back", "kept"))
    assert kept < 100 < given


def faults_of(case: str) -> int:
    """Page faults of the last time in a fresh process."""
    command = [sys.executable, "-c", FAULTS, case]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
