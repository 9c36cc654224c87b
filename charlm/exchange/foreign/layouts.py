"""Where the tools of others keep the weights of a recurrent language model."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.exchange.foreign.conversion import ForeignLayer, ForeignModel, reorder_gates
from charlm.exchange.foreign.torch_files import Module

__all__ = ["from_tensorflow", "from_torch"]

LAYER = re.compile(r"(?P<prefix>.*?)(?P<part>weight_ih|weight_hh|bias_ih|bias_hh)_l(?P<index>\d+)")
CELL_OF = {4: "lstm", 3: "gru", 1: "rnn"}
"""The cell with so many gates."""

EMBEDDINGS = ("encoder.weight", "embedding.weight", "embeddings.weight", "embed.weight",
              "word_embeddings.weight", "drop_embed.weight", "emb.weight")  # fmt: skip
HEADS = ("decoder", "head", "fc", "linear", "out", "output", "proj", "lm_head", "hidden2tag")

TF_CELL = re.compile(r"(.*?)cell_(\d+)/(basic_lstm_cell|lstm_cell)/(weights|kernel|biases|bias)")


def from_torch(module: Module) -> ForeignModel:
    """The model of a module with an embedding, ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``, and a linear
    head, as pytorch/examples, colorlessgreenRNNs, neural-complexity, awd-lstm-lm and
    char-rnn.pytorch have it.

    torch's gate order is ours; its two biases are added (for the GRU's candidate they stay apart).
    Raises ``ModelError`` for other layers.
    """
    tensors = dropped_weights_restored(module.tensors)
    refuse_other_layers(module, tensors)
    layers, cells = [], set[str]()
    for parts in layer_parts(tensors):
        layer, cell = torch_layer(parts)
        layers.append(layer)
        cells.add(cell)
    if len(cells) != 1:
        raise ModelError(
            "it holds no stack of LSTM, GRU or RNN layers"
            if not cells
            else f"it mixes the cells {', '.join(sorted(cells))}",
            "import a model with layers of one kind",
        )
    embedding = named(tensors, EMBEDDINGS, "embedding")
    weight = tensors.get("decoder.weight", None)
    if weight is None:
        weight = named(tensors, [f"{name}.weight" for name in HEADS], "head", or_tied=embedding)
    bias = next((tensors[k] for name in HEADS for k in [f"{name}.bias"] if k in tensors), None)
    if bias is None:
        bias = torch.zeros(len(weight))
    return ForeignModel(cells.pop(), embedding, tuple(layers), weight, bias)


def dropped_weights_restored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the weights that AWD-LSTM's WeightDrop set aside (``_raw``) in their place.

    Beside them may stand those of the last step of training, with some dropped.
    """
    found = dict(tensors)
    for name in tensors:
        if name.endswith("_raw"):
            found[name.removesuffix("_raw")] = found.pop(name)
    return found


def refuse_other_layers(module: Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise ``ModelError`` for what our layers cannot express."""
    odd = next((name for name in tensors if name.endswith("_reverse")), None)
    if odd:
        raise ModelError(
            f"its layers read backwards too ({odd})", "import a model that reads forwards"
        )
    if any("weight_hr" in name for name in tensors):
        raise ModelError("its LSTM has projections (`proj_size`)", "import a model without them")
    for path, attributes in module.attributes.items():
        if attributes.get("mode") == "RNN_RELU" or attributes.get("nonlinearity") == "relu":
            raise ModelError(f"{path} is a ReLU network, not tanh", "import another model")
        if "QRNN" in module.classes[path]:
            raise ModelError(f"{path} is a QRNN", "import a model of LSTM, GRU or RNN layers")


def layer_parts(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors of each recurrent layer, from the embedding upwards."""
    found: dict[tuple[tuple[int, ...], str, int], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = LAYER.fullmatch(name)
        if match:
            prefix = match["prefix"]
            numbers = tuple(map(int, re.findall(r"\d+", prefix)))
            parts = found.setdefault((numbers, prefix, int(match["index"])), {})
            parts[match["part"]] = tensor
    return [found[key] for key in sorted(found)]


def torch_layer(parts: Mapping[str, Tensor]) -> tuple[ForeignLayer, str]:
    """One layer of torch and the name of its cell.  Raises ``ModelError``."""
    missing = {"weight_ih", "weight_hh"} - parts.keys()
    if missing or any(parts[name].ndim != 2 for name in ("weight_ih", "weight_hh")):
        raise ModelError(f"a layer lacks {', '.join(missing)}", "import the whole model")
    rows, hidden = parts["weight_hh"].shape
    gates, rest = divmod(rows, hidden)
    if rest or gates not in CELL_OF:
        raise ModelError(
            f"a layer of {hidden} units has {rows} rows", "import LSTM, GRU or RNN layers"
        )
    zeros = torch.zeros(rows)
    bias_ih, bias_hh = parts.get("bias_ih", zeros).float(), parts.get("bias_hh", zeros).float()
    if gates != 3:
        return ForeignLayer(parts["weight_ih"], parts["weight_hh"], bias_ih + bias_hh), CELL_OF[
            gates
        ]
    bias = bias_ih + torch.cat([bias_hh[: 2 * hidden], torch.zeros(hidden)])
    return ForeignLayer(parts["weight_ih"], parts["weight_hh"], bias, bias_hh[2 * hidden :]), "gru"


def named(
    tensors: Mapping[str, Tensor], names: "tuple[str, ...] | list[str]", what: str,
    or_tied: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The matrix with one of these names, whatever module it is in.  Raises ``ModelError``."""
    for name in names:
        for key, tensor in tensors.items():
            if (key == name or key.endswith(f".{name}")) and tensor.ndim == 2:
                return tensor
    if or_tied is not None:
        return or_tied
    raise ModelError(
        f"no {what} was found among {', '.join(list(tensors)[:8])}",
        f"rename the {what} to {names[0]}, or import an .npz with a mapping",
    )


def from_tensorflow(tensors: Mapping[str, Tensor], forget_bias: float = 1.0) -> ForeignModel:
    """The model of TensorFlow 1's ``BasicLSTMCell``: kernels (I + H, 4H) with column blocks in the
    order input, candidate, forget, output; ``forget_bias`` is added when the cell runs and is not
    in its bias.

    Raises ``ModelError`` if embedding, cells or softmax are missing.
    """
    cells: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = TF_CELL.fullmatch(name)
        if match:
            part = "kernel" if match[4] in ("weights", "kernel") else "bias"
            cells.setdefault(int(match[2]), {})[part] = tensor.float()
    wanted = {"embedding": None, "softmax_w": None, "softmax_b": None}
    found = {key: tensors[name] for key in wanted for name in tensors if name.split("/")[-1] == key}
    if not cells or len(found) != len(wanted) or any(len(each) != 2 for each in cells.values()):
        raise ModelError(
            f"no embedding, LSTM cells and softmax were found among {', '.join(list(tensors)[:8])}",
            "import arrays under the names of TensorFlow 1's BasicLSTMCell",
        )
    layers = []
    for index in sorted(cells):
        rows = reorder_gates(cells[index]["kernel"].T, (0, 2, 1, 3)).contiguous()
        bias = reorder_gates(cells[index]["bias"], (0, 2, 1, 3)).clone()
        hidden = len(bias) // 4
        bias[hidden : 2 * hidden] += forget_bias
        inputs = rows.shape[1] - hidden
        layers.append(ForeignLayer(rows[:, :inputs], rows[:, inputs:], bias))
    note = f"{forget_bias:g} was added to the forget gates' bias, as BasicLSTMCell does"
    weight, bias = found["softmax_w"].T, found["softmax_b"]
    return ForeignModel("lstm", found["embedding"], tuple(layers), weight, bias, (note,))
