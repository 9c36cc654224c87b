"""An n-gram model as the tensors of a checkpoint, in the narrowest integers that hold them.

For the n-grams of each length there are ``followers`` (C,), the number of different tokens after
each context; ``tokens`` (M,), these tokens; and ``counts`` (M,), the counts before smoothing, from
which the rest of the model is computed.  N-grams of one token have ``counts`` (V,) only.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.model.ngram.kneser_ney import NgramModel, level_of

__all__ = ["from_tensors", "to_tensors"]

PARTS = ("followers", "tokens", "counts")
WIDTHS = (np.uint8, np.uint16, np.int32)


def to_tensors(model: NgramModel) -> dict[str, Tensor]:
    """The tensors of a model by name, for ``from_tensors``."""
    size = model.vocab_size
    arrays = {"counts.1": model.levels[0].counts}
    for length in range(2, model.order + 1):
        keys, contexts = model.keys[length - 1], len(model.keys[length - 2])
        arrays[f"followers.{length}"] = np.bincount(keys // size, minlength=contexts)
        arrays[f"tokens.{length}"] = keys % size
        arrays[f"counts.{length}"] = model.levels[length - 1].counts
    return {name: torch.from_numpy(narrow(array)) for name, array in arrays.items()}


def narrow(numbers: np.ndarray) -> np.ndarray:
    """Integers from 0 to below 2^31 in the narrowest of ``WIDTHS`` that holds them."""
    largest = numbers.max(initial=0)
    return numbers.astype(next(width for width in WIDTHS if largest <= np.iinfo(width).max))


def from_tensors(tensors: Mapping[str, Tensor], vocab_size: int) -> NgramModel:
    """The model whose ``to_tensors`` gave these.  Raises ``ModelError`` for other tensors."""
    order = 1 + sum(name.startswith("tokens.") for name in tensors)
    names = {f"{part}.{length}" for part in PARTS for length in range(2, order + 1)} | {"counts.1"}
    if set(tensors) != names:
        raise misfit(min(set(tensors) ^ names))
    arrays = {name: whole_numbers(name, tensor) for name, tensor in tensors.items()}
    keys, levels, contexts = [np.arange(vocab_size, dtype=np.int64)], [], 1
    for length in range(1, order + 1):
        if length > 1:
            keys.append(keys_of(arrays, length, contexts, vocab_size))
        counts = arrays[f"counts.{length}"].astype(np.int32)
        if len(counts) != len(keys[-1]):
            raise misfit(f"counts.{length}")
        levels.append(level_of(keys[-1], counts, contexts, vocab_size))
        contexts = len(counts)
    return NgramModel(vocab_size, tuple(keys), tuple(levels))


def whole_numbers(name: str, tensor: Tensor) -> np.ndarray:
    """A tensor as an array (n,).  Raises ``ModelError`` unless it holds integers from 0 on."""
    array: np.ndarray = tensor.numpy()
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
