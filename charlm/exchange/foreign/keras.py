"""Recurrent language models of Keras, from ``.h5`` and ``.keras`` files."""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.exchange.foreign.conversion import ForeignLayer, ForeignModel, reorder_gates

__all__ = ["read_keras"]

LARGEST = 1 << 31
LARGEST_ONE_HOT = 1 << 13
IGNORED = {"InputLayer", "Dropout", "SpatialDropout1D", "Activation", "Masking", "GaussianNoise"}
"""Layers without weights that do nothing once a model is trained, or only name its softmax."""

CELL_OF = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}
BLOCKS = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}
"""Our order of gates from that of Keras: i, f, c, o and z, r, h."""


def read_keras(path: Path) -> ForeignModel:
    """The model of a Keras file: an embedding or one-hot input, a stack of one kind of recurrent
    layer, and a dense softmax.

    Raises ``ModelError`` for other layers and activations, and where h5py is missing.
    """
    try:
        import h5py
    except ImportError:
        raise ModelError(
            "reading Keras files needs h5py", "pip install -c constraints.txt -e '.[import]'"
        ) from None
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path} is larger than {LARGEST:,} bytes", "import a smaller model")
        if zipfile.is_zipfile(path):
            config, content = read_archive(path)
            with h5py.File(io.BytesIO(content), "r") as file:
                return model_of(config, lambda name, kind, count: archived(file, kind, count))
        with h5py.File(path, "r") as file:
            config = json.loads(file.attrs["model_config"])
            weights = file["model_weights"]
            return model_of(config, lambda name, kind, count: legacy(weights, name))
    except ModelError as error:
        raise ModelError(f"{path}: {error}", error.hint) from None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError,
            RecursionError, zipfile.BadZipFile) as error:  # fmt: skip
        why = " ".join(str(error).split())
        raise ModelError(
            f"{path} is no Keras model with its weights: {why}", "save it with model.save(...)"
        ) from None


def read_archive(path: Path) -> tuple[Any, bytes]:
    """The configuration and the weights' HDF5 content of a ``.keras`` archive."""
    with zipfile.ZipFile(path) as archive:
        names = ("config.json", "model.weights.h5")
        if any(archive.getinfo(name).file_size > LARGEST for name in names):
            raise ValueError("it is too large")
        return json.loads(archive.read(names[0])), archive.read(names[1])


def model_of(config: Mapping[str, Any], weights_of: Any) -> ForeignModel:
    """The model that a configuration describes; ``weights_of(name, class, count)`` gives the
    arrays of the layer of that name, which is number ``count`` of its class.
    """
    counts: Counter[str] = Counter()
    embedding, head, layers, cells = None, None, [], set[str]()
    for kind, settings in described(config):
        if kind in IGNORED:
            refuse_activation(kind, settings)
            continue
        group = settings["group"]
        arrays = weights_of(settings["name"], group, counts[group])
        counts[group] += 1
        if kind in CELL_OF:
            layers.append(recurrent(CELL_OF[kind], settings, arrays))
            cells.add(CELL_OF[kind])
        elif kind == "Embedding" and embedding is None and not layers:
            embedding = arrays[0]
        elif kind == "Dense" and layers and head is None:
            head = arrays
        else:
            raise ModelError(f"its layer {settings['name']} is a {kind}", "import plain stacks")
    if head is None or len(cells) != 1:
        raise ModelError("it is no stack of one kind of recurrent layer below a dense one",
                         "import another model")  # fmt: skip
    weight = head[0].T
    bias = head[1] if len(head) > 1 else torch.zeros(len(weight))
    if embedding is None:  # the input is one-hot
        embedding = torch.eye(require_small(layers[0].weight_ih.shape[1]))
    return ForeignModel(cells.pop(), embedding, tuple(layers), weight, bias)


def require_small(size: int) -> int:
    """The size of a one-hot input.  Raises ``ModelError`` where its identity would fill memory."""
    if size > LARGEST_ONE_HOT:
        raise ModelError(f"its one-hot input has {size:,} symbols", "use an embedding")
    return size


def described(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class name and settings of each layer, in the order of the model; ``group`` in the settings
    is the class of what holds its weights, which may be a wrapper.
    """
    inner = config["config"]
    for entry in inner["layers"] if isinstance(inner, dict) else inner:
        kind, settings = entry["class_name"], {**entry["config"], "group": entry["class_name"]}
        if kind == "TimeDistributed":
            inside = settings["layer"]
            kind, settings = inside["class_name"], {**inside["config"], **settings}
        yield kind, settings


def refuse_activation(kind: str, settings: Mapping[str, Any]) -> None:
    """Raise ``ModelError`` for an activation layer that is no softmax."""
    if kind == "Activation" and settings.get("activation") not in ("softmax", "linear"):
        raise ModelError(
            f"it has the activation {settings.get('activation')}", "import another one"
        )


def recurrent(cell: str, settings: Mapping[str, Any], arrays: list[Tensor]) -> ForeignLayer:
    """One recurrent layer.  Raises ``ModelError`` for activations that ours do not have."""
    name = settings["name"]
    wanted = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for key, value in wanted.items():
        if settings.get(key, value) != value:
            raise ModelError(
                f"the {key} of its layer {name} is {settings[key]}, not {value}",
                "import a model with the usual activations",
            )
    if settings.get("go_backwards"):
        raise ModelError(f"its layer {name} reads backwards", "import a model that reads forwards")
    order = BLOCKS[cell]
    kernel, recurrence = (reorder_gates(each.T, order) for each in arrays[:2])
    bias = arrays[2] if len(arrays) > 2 else torch.zeros(len(kernel))
    if cell != "gru":
        return ForeignLayer(kernel, recurrence, reorder_gates(bias, order))
    if not settings.get("reset_after"):
        raise ModelError(
            f"the reset gate of its layer {name} acts before the product (`reset_after=False`)",
            "import a GRU with `reset_after=True`",
        )
    hidden = recurrence.shape[1]
    inputs, hidden_bias = bias if bias.ndim == 2 else (bias, torch.zeros_like(bias))
    inputs, hidden_bias = reorder_gates(inputs, order), reorder_gates(hidden_bias, order)
    both = inputs + torch.cat([hidden_bias[: 2 * hidden], torch.zeros(hidden)])
    return ForeignLayer(kernel, recurrence, both, hidden_bias[2 * hidden :])


def legacy(weights: Any, name: str) -> list[Tensor]:
    """The arrays of a layer in an ``.h5`` file, in the order that its attribute names."""
    group = weights[name]
    names = [each.decode() if isinstance(each, bytes) else each
             for each in group.attrs["weight_names"]]  # fmt: skip
    return [array(group[each]) for each in names]


def archived(file: Any, kind: str, count: int) -> list[Tensor]:
    """The arrays of a layer in a ``.keras`` archive, whose groups are named after the classes."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
    group = file["layers"][f"{snake}_{count}" if count else snake]
    for inner in ("cell", "layer"):
        group = group.get(inner, group)
    variables = group["vars"]
    return [array(variables[str(index)]) for index in range(len(variables))]


def array(dataset: Any) -> Tensor:
    """A dataset as a tensor; only plain, not external data is read."""
    if dataset.external or dataset.is_virtual:
        raise ValueError("its numbers are in another file")
    return torch.from_numpy(dataset[()]).float()
