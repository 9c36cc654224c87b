"""A training with samples of what the model writes so far between its reports."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, cast

from charlm.errors import CharlmError
from charlm.inference.demonstration import sample_run
from charlm.training.reports import Saved, Started

__all__ = ["with_samples"]

SHARE = 0.02
"""Share of the time that goes into samples, at most."""


def with_samples(records: Iterator[Any]) -> Iterator[Any]:
    """The ``records`` of a training, and after a checkpoint a ``Sampled`` of it.

    A sample is left out where samples would take more than ``SHARE`` of the time, and where the
    checkpoint cannot be read.
    """
    run, step, waits_until = "", -1, 0.0
    with closing(cast("Generator[Any]", records)):  # closing a training saves it
        for record in records:
            yield record
            run = record.run if isinstance(record, Started) else run
            began = time.monotonic()
            if not isinstance(record, Saved) or record.step == step or began < waits_until:
                continue
            try:
                sample = sample_run(run, record.step)
            except CharlmError:  # no reason to end a training
                continue
            step, ended = record.step, time.monotonic()
            waits_until = ended + (ended - began) / SHARE
            yield sample
