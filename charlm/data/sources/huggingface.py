"""Rows that the ``datasets`` library reads: Parquet, saved datasets and the Hugging Face Hub.

The only module that knows the library, which it imports when it is first needed.
"""

import functools
import logging
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charlm.errors import CorpusError

__all__ = ["HUB_NAME", "hub_rows", "is_saved_dataset", "parquet_rows", "saved_rows"]

HUB_NAME = re.compile(
    r"hf:(?P<name>[\w-][\w.-]*(?:/[\w-][\w.-]*)?)(?:@(?P<config>[^:@]+))?(?::(?P<split>.+))?"
)
"""``hf:owner/name``, then ``@configuration`` and ``:split`` if wanted."""

ROWS = 256
"""Rows taken at a time from a dataset."""

PATIENCE = 3.0
"""Seconds within which the Hub has to answer; the library itself tries for half a minute."""


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``folder`` was written by ``save_to_disk``."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def library() -> Any:
    """The ``datasets`` library, told to draw no bars and to log nothing."""
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    huggingface_hub.logging.set_verbosity(logging.CRITICAL)
    return datasets


def parquet_rows(place: str, column: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, in a stream; nothing is copied to a cache."""
    # The library takes the path for a glob pattern, in which brackets escape special characters.
    path = str(Path(place).absolute()).translate({ord(char): f"[{char}]" for char in "[*?"})
    dataset = library().load_dataset("parquet", data_files=path, split="train", streaming=True)
    return rows_of(dataset, column)


def saved_rows(place: str, column: str, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a dataset that ``save_to_disk`` wrote.  Raises ``CorpusError``."""
    dataset = library().load_from_disk(place)
    if isinstance(dataset, dict):
        if split not in dataset:
            raise CorpusError(
                f"{place} has no split {split!r}; its splits are: {', '.join(dataset)}",
                "choose one with `data.dataset_split=NAME`",
            )
        dataset = dataset[split]
    return rows_of(dataset, column)


def hub_rows(
    name: str, config: str | None, split: str, column: str, streaming: bool
) -> Iterator[dict[str, Any]]:
    """The rows of a dataset on the Hub; no code from there is run.

    Raises ``ConnectionError`` where the Hub cannot be reached and the dataset was not stored here
    before.
    """
    datasets = library()
    if not hub_answers():
        # What was stored is still found then, and for the rest the library does not try for long.
        datasets.config.HF_HUB_OFFLINE = True
        sys.modules["huggingface_hub"].constants.HF_HUB_OFFLINE = True
    return rows_of(datasets.load_dataset(name, config, split=split, streaming=streaming), column)


@functools.cache
def hub_answers() -> bool:
    """Whether the Hub can be reached, asked once and briefly."""
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    request = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def rows_of(dataset: Any, column: str) -> Iterator[dict[str, Any]]:
    """The rows of ``dataset``, of which nothing but ``column`` is read where it exists."""
    if column in (dataset.column_names or ()):
        dataset = dataset.select_columns([column])
    for batch in dataset.iter(ROWS):
        if column in batch:
            yield from ({column: value} for value in batch[column])
        else:
            yield dict.fromkeys(batch)
