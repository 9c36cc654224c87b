"""An n-gram model as the tensors of a checkpoint, in the narrowest integers that hold them.

For the n-grams of each length there are ``followers`` (C,), the number of different tokens after
each context; ``tokens`` (M,), these tokens; and ``counts`` (M,), the counts before smoothing, from
which the rest of the model is computed.  N-grams of one token have ``counts`` (V,) only.  Where
no counts are known (``GivenLevel``), ``left`` (M,) and ``shares`` (C,) stand in their place.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.model.ngram.kneser_ney import GivenLevel, Level, NgramModel, level_of

__all__ = ["from_tensors", "to_tensors"]

NODES = ("followers", "tokens")
"""Tensors of each length from 2 on that say which n-grams there are."""

SMOOTHED = ("left", "shares")
"""Tensors of each length where probabilities are known without counts."""

WIDTHS = (np.uint8, np.uint16, np.int32)
"""Types of the integers in a checkpoint, the narrowest first."""


def to_tensors(model: NgramModel) -> dict[str, Tensor]:
    """The tensors of a model by name, for ``from_tensors``."""
    size = model.vocab_size
    arrays, numbers = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for length, level in enumerate(model.levels, start=1):
        if length > 1:
            keys, contexts = model.keys[length - 1], len(model.keys[length - 2])
            arrays[f"followers.{length}"] = np.bincount(keys // size, minlength=contexts)
            arrays[f"tokens.{length}"] = keys % size
        if isinstance(level, GivenLevel):
            numbers |= {f"left.{length}": level.left, f"shares.{length}": level.shares}
        else:
            arrays[f"counts.{length}"] = level.counts
    numbers |= {name: narrow(array) for name, array in arrays.items()}
    return {name: torch.from_numpy(array) for name, array in numbers.items()}


def narrow(numbers: np.ndarray) -> np.ndarray:
    """Integers from 0 to below 2^31 in the narrowest of ``WIDTHS`` that holds them."""
    largest = numbers.max(initial=0)
    return numbers.astype(next(width for width in WIDTHS if largest <= np.iinfo(width).max))


def from_tensors(tensors: Mapping[str, Tensor], vocab_size: int) -> NgramModel:
    """The model whose ``to_tensors`` gave these.  Raises ``ModelError`` for other tensors."""
    order = 1 + sum(name.startswith("tokens.") for name in tensors)
    smoothed = SMOOTHED if "left.1" in tensors else ("counts",)
    names = {f"{part}.{length}" for part in smoothed for length in range(1, order + 1)}
    names |= {f"{part}.{length}" for part in NODES for length in range(2, order + 1)}
    if set(tensors) != names:
        raise misfit(min(set(tensors) ^ names))
    arrays = {name: checked_array(name, tensor) for name, tensor in tensors.items()}
    keys, contexts = [np.arange(vocab_size, dtype=np.int64)], 1
    levels: list[Level] = []
    for length in range(1, order + 1):
        if length > 1:
            keys.append(keys_of(arrays, length, contexts, vocab_size))
        given = arrays[f"{smoothed[0]}.{length}"]
        if len(given) != len(keys[-1]):
            raise misfit(f"{smoothed[0]}.{length}")
        if smoothed == SMOOTHED:
            shares = arrays[f"shares.{length}"]
            if len(shares) != contexts:
                raise misfit(f"shares.{length}")
            levels.append(GivenLevel.of(given, shares))
        else:
            levels.append(level_of(keys[-1], given.astype(np.int32), contexts, vocab_size))
        contexts = len(given)
    return NgramModel(vocab_size, tuple(keys), tuple(levels))


def checked_array(name: str, tensor: Tensor) -> np.ndarray:
    """A tensor as an array (n,).  Raises ``ModelError`` unless it holds integers from 0 on, or
    finite numbers where probabilities are given.
    """
    array: np.ndarray = tensor.numpy()
    if name.split(".")[0] in SMOOTHED:
        if array.ndim != 1 or array.dtype != np.float64 or not np.isfinite(array).all():
            raise misfit(name)
        return array
    if array.ndim != 1 or array.dtype not in WIDTHS or array.min(initial=0) < 0:
        raise misfit(name)
    return array


def keys_of(
    arrays: Mapping[str, np.ndarray], length: int, contexts: int, vocab_size: int
) -> np.ndarray:
    """The keys (M,) of the n-grams of a length, whose contexts are C = ``contexts``.

    Raises ``ModelError`` if the arrays contradict each other.
    """
    followers, tokens = arrays[f"followers.{length}"], arrays[f"tokens.{length}"]
    if len(followers) != contexts or followers.sum(dtype=np.int64) != len(tokens):
        raise misfit(f"followers.{length}")
    keys: np.ndarray = (
        np.repeat(np.arange(contexts, dtype=np.int64) * vocab_size, followers) + tokens
    )
    if tokens.max(initial=0) >= vocab_size or np.any(keys[1:] <= keys[:-1]):
        raise misfit(f"tokens.{length}")
    return keys


def misfit(name: str) -> ModelError:
    """The error for the tensor ``name``, which ``to_tensors`` cannot have made."""
    return ModelError(
        f"the n-grams do not fit together, first at {name}",
        "the files of a run belong together: restore them, or train anew",
    )
