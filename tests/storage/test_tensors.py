"""Tensors are written as the library that reads them would write them."""

from itertools import chain

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from charlm.storage.tensors import TYPES, blocks_of, size_of

MIXED = {
    "weights/é": torch.arange(6.0).reshape(2, 3),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "number": torch.tensor(3.5),
    "empty": torch.ones(0, 4),
    "every other": torch.arange(10)[::2],
}


def content(tensors: dict[str, Tensor]) -> bytes:
    return b"".join(blocks_of(tensors))


def test_a_file_has_the_bytes_that_safetensors_writes() -> None:
    every = {f"{kind}-{n}": torch.ones(n, 2).to(kind) for kind in TYPES for n in (1, 3)}
    for tensors in ({}, MIXED, every, MIXED | every):
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        assert content(tensors) == safetensors.torch.save(contiguous)


def test_what_is_written_comes_back() -> None:
    found = safetensors.torch.load(content(MIXED))
    assert found.keys() == MIXED.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in MIXED.items())


def test_no_tensor_is_copied_that_need_not_be() -> None:
    weight = torch.zeros(1000)
    _, block = blocks_of({"weight": weight})
    assert np.shares_memory(np.frombuffer(block, np.uint8), weight.numpy())
    assert size_of({"weight": weight}) == len(block) == 4000


def test_a_type_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="complex64"):
        content({"odd": torch.ones(2, dtype=torch.complex64)})


def test_headers_are_aligned() -> None:
    for length in range(1, 9):
        first = next(chain(blocks_of({"x" * length: torch.ones(1)})))
        assert len(first) % 8 == 0
