"""A recurrent model as an ONNX graph: (tokens, states) -> (log-probabilities, states)."""

from typing import Any

import numpy as np
from torch import Tensor

from charlm.errors import ModelError
from charlm.model.affine import Linear
from charlm.model.heads import MixtureHead, ProjectedHead
from charlm.model.language_model import LanguageModel
from charlm.model.recurrence import RecurrentLayer

__all__ = ["onnx_model", "verify_onnx"]

OPSET = 18
IR_VERSION = 9
"""What onnxruntime 1.15 (2023) and later read."""

OPERATORS = {"lstm": "LSTM", "cifg": "LSTM", "gru": "GRU", "rnn": "RNN"}
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""ONNX's order of gates (i, o, f, c; z, r, h) from ours."""

CLOSENESS = 1e-5
"""Nats by which ONNX's log-probabilities may differ from ours."""


class Graph:
    """Collects the nodes and constants of a graph."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: "np.ndarray | Tensor | list[int]") -> str:
        """Add a constant; returns its name."""
        name = f"constant_{len(self.constants)}"
        array = value.detach().numpy() if isinstance(value, Tensor) else np.array(value)
        self.constants.append(self.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(
        self, operator: str, *inputs: str, outputs: int | list[str] = 1, **settings: Any
    ) -> Any:
        """Add a node; returns the name of its output, or a list of several."""
        count = outputs if isinstance(outputs, int) else len(outputs)
        names = outputs if isinstance(outputs, list) else [
            f"{operator.lower()}_{len(self.nodes)}_{index}" for index in range(count)
        ]  # fmt: skip
        self.nodes.append(self.helper.make_node(operator, list(inputs), names, **settings))
        return names[0] if count == 1 else names

    def linear(self, features: str, layer: Linear) -> str:
        """Add ``layer(features)``."""
        product = self.add("MatMul", features, self.constant(layer.weight.T))
        bias = layer.bias
        added: str = product if bias is None else self.add("Add", product, self.constant(bias))
        return added


def onnx_model(network: LanguageModel) -> bytes:
    """The serialised graph of a network.

    Inputs: ``tokens`` (B, T) int64, ``h`` (L, B, H), and ``c`` (L, B, H) for the LSTMs, zeros
    before any token.  Outputs: ``log_probs`` (B, T, V) of the tokens that follow, ``h_after`` and
    ``c_after``.  B and T may be any size.  Raises ``ModelError`` naming the setting that ONNX
    cannot hold, or the missing extra.
    """
    try:
        import onnx
    except ImportError:
        raise missing("onnx") from None
    refuse_unknown_parts(network)
    graph, layers = Graph(), network.recurrent_layers()
    parts = layers[0].cell.state_parts
    states = [split_state(graph, name, len(layers)) for name in "hc"[:parts]]
    embedded = graph.add("Gather", graph.constant(network.embedding.weight), "tokens")
    hidden = graph.add("Transpose", embedded, perm=[1, 0, 2])  # (T, B, E)
    after, total = [], hidden
    for index, layer in enumerate(layers):
        below = hidden
        hidden, *last = add_layer(graph, layer, hidden, [state[index] for state in states])
        after.append(last)
        if network.config.connections == "residual" and index:
            hidden = graph.add("Add", hidden, below)
        total = graph.add("Add", total, hidden) if index else hidden
    features = total if network.config.connections == "skip" else hidden
    add_head(graph, network, graph.add("Transpose", features, perm=[1, 0, 2]))
    for name, each in zip("hc", zip(*after, strict=True), strict=False):
        graph.add("Concat", *each, outputs=[f"{name}_after"], axis=0)
    model = finished(graph, network, parts)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def refuse_unknown_parts(network: LanguageModel) -> None:
    """Raise ``ModelError`` for settings of which ONNX has no operators."""
    config = network.config
    for odd, setting in (
        (config.cell not in OPERATORS, f"model.cell={config.cell!r}"),
        (config.mogrifier_rounds, f"model.mogrifier_rounds={config.mogrifier_rounds}"),
        (config.adaptive_softmax, "model.adaptive_softmax=True"),
    ):
        if odd:
            raise ModelError(
                f"a model with `{setting}` cannot be exported to ONNX", "train one without it"
            )


def split_state(graph: Graph, name: str, layers: int) -> list[str]:
    """The states (1, B, H) of each layer, from the input (L, B, H)."""
    sizes = graph.constant(np.ones(layers, dtype=np.int64))
    found = graph.add("Split", name, sizes, outputs=[f"{name}_{i}" for i in range(layers)], axis=0)
    return found if isinstance(found, list) else [found]


def add_layer(graph: Graph, layer: RecurrentLayer, inputs: str, states: list[str]) -> list[str]:
    """Add a layer on inputs (T, B, I): hidden states (T, B, H), then each last state (1, B, H)."""
    kind, size = layer.kind, layer.hidden_size
    bias = [layer.bias, layer.bias.new_zeros(len(layer.bias))]
    if kind == "gru":
        bias[1][2 * size :] = layer.bias_hn.detach()
    rows = [layer.weight_ih, layer.weight_hh, *bias]
    if kind == "cifg":  # an LSTM whose input gate is 1 - f: its own rows are sigmoid(-x) of f's
        f, g, o = ([each.chunk(3)[i] for each in rows] for i in range(3))
        blocks = [[-x, a, b, c] for x, a, b, c in zip(f, f, g, o, strict=True)]
        order = GATES["lstm"]
    else:
        blocks = [list(each.chunk(layer.cell.gates)) for each in rows]
        order = GATES[kind]
    arrays = [np.concatenate([each[i].detach().numpy() for i in order]) for each in blocks]
    weights = [graph.constant(array[None]) for array in arrays[:2]]
    both = graph.constant(np.concatenate(arrays[2:])[None])
    settings = {"linear_before_reset": 1} if kind == "gru" else {}
    found = graph.add(
        OPERATORS[kind], inputs, *weights, both, "", *states,
        outputs=1 + len(states), hidden_size=size, **settings,
    )  # fmt: skip
    return [graph.add("Squeeze", found[0], graph.constant(np.array([1]))), *found[1:]]


def add_head(graph: Graph, network: LanguageModel, features: str) -> None:
    """Add the head on features (B, T, H): the output ``log_probs`` (B, T, V)."""
    head, outputs = network.head, ["log_probs"]
    if isinstance(head, MixtureHead):
        parts = head.prior.out_features
        latent = graph.add("Tanh", graph.linear(features, head.latent))
        shape = graph.constant(np.array([0, 0, parts, head.in_features]))
        each = graph.add("Reshape", latent, shape)  # (B, T, K, E)
        logits = graph.add("Add", graph.add("MatMul", each, graph.constant(head.weight.T)),
                           graph.constant(head.bias))  # fmt: skip
        prior = graph.add("LogSoftmax", graph.linear(features, head.prior), axis=-1)
        prior = graph.add("Unsqueeze", prior, graph.constant(np.array([3])))
        joint = graph.add("Add", graph.add("LogSoftmax", logits, axis=-1), prior)
        axes = graph.constant(np.array([2]))
        graph.add("ReduceLogSumExp", joint, axes, outputs=outputs, keepdims=0)
        return
    if isinstance(head, ProjectedHead) and isinstance(head.projection, Linear):
        features = graph.linear(features, head.projection)
    logits = graph.add("MatMul", features, graph.constant(head.weight.T))
    logits = graph.add("Add", logits, graph.constant(head.bias))
    graph.add("LogSoftmax", logits, outputs=outputs, axis=-1)


def finished(graph: Graph, network: LanguageModel, parts: int) -> Any:
    """The model with the names, types and shapes of its inputs and outputs."""
    from onnx import TensorProto, helper

    config = network.config
    state: list[str | int | None] = [config.num_layers, "B", config.hidden_size]
    names = "hc"[:parts]
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["B", "T"])]
    shape: list[str | int | None] = ["B", "T", network.vocab_size]
    outputs = [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, shape)]
    for name in names:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, state))
        outputs.append(helper.make_tensor_value_info(f"{name}_after", TensorProto.FLOAT, state))
    made = helper.make_graph(graph.nodes, "charlm", inputs, outputs, graph.constants)
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="charlm",
    )  # fmt: skip


def verify_onnx(content: bytes, network: LanguageModel) -> float:
    """The largest difference in nats between onnxruntime's log-probabilities and ours.

    Raises ``ModelError`` if it is above 1e-5 or onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime") from None
    import torch

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = 0.0
    for lanes, steps in ((1, 1), (2, 7)):
        tokens = torch.arange(lanes * steps).view(lanes, steps) % network.vocab_size
        state = network.zero_state(lanes)
        with torch.inference_mode():
            logits, _ = network(tokens, state)
        given = {"tokens": tokens.numpy()}
        for name, part in zip("hc", zip(*state, strict=True), strict=False):
            given[name] = torch.stack(part).numpy()
        found = session.run(["log_probs"], given)[0]
        worst = max(worst, float(np.abs(found - logits.log_softmax(-1).numpy()).max()))
    if not worst <= CLOSENESS:
        raise ModelError(
            f"onnxruntime's log-probabilities differ from charlm's by {worst:.1e} nats",
            "report this with the model's settings",
        )
    return worst


def missing(package: str) -> ModelError:
    """The error for a package that is not installed."""
    return ModelError(
        f"export to ONNX needs the package {package}, which is not installed",
        "pip install -c constraints.txt -e '.[onnx]'",
    )
