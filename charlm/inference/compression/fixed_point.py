"""A recurrent network in whole numbers: equal bits on every machine and in every batch.

The decoder must meet exactly the probabilities that the encoder has met, and sums of floating-point
numbers do not promise that: their order, and with it their rounding, differs between processors,
libraries, numbers of threads and lanes.  So every weight, gate and state is rounded to
a whole number of small steps (Balle, Johnston and Minnen, Integer Networks for Data Compression
with Latent-Variable Models, ICLR 2019).  The whole numbers are kept in float64 and stay below 2^53:
no sum is ever rounded, so its order does not matter.  The rest are tables and powers of two.

Letters as in ``language_model``, and I the input size, G the gates.  An array of scale s holds
``round(x * 2**s)``.
"""

import math

import numpy as np
import torch
from torch import Tensor

from charlm.inference.compression.tables import FLAT, GATE, INPUT, LOGIT, tables
from charlm.inference.predictors.predictor import Predictor
from charlm.model.affine import Linear
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import evaluating
from charlm.model.recurrence import RecurrentLayer

__all__ = ["FixedPointNetwork", "fits"]

KINDS = ("lstm", "gru", "rnn")
"""Cells that are computed here; the others are computed in float64."""

CELL = 20
"""The scale of the LSTM's cell state and of what is summed up for it."""

LARGEST_CELL = float(1 << 36)
"""The largest cell state, of scale CELL; beyond, sums of products might be rounded."""

EMBEDDING = 20
"""The scale of the embeddings."""

FINEST = 24
"""The largest scale of a weight matrix."""

EXACT = 51
"""Sums of products stay below 2**EXACT, so that a bias can be added without rounding."""

FEW = 16
"""Tokens of the trial that decides whether a network fits."""

CLOSE = 0.1
"""How far the log-probabilities of that trial may lie off on average, in nats."""

Parts = tuple[np.ndarray, ...]
"""A layer's state, each part (B, H): h of scale GATE, for the LSTM also c of scale CELL."""


class Matrix:
    """W x + b for whole x of a known scale and a known largest size."""

    def __init__(self, weight: Tensor, bias: Tensor | None, scale: int, largest: float) -> None:
        """weight (O, I), bias (O); x has ``scale`` and lies within +-``largest``."""
        numbers = weight.detach().cpu().double().numpy()
        most = float(np.abs(numbers).max(initial=2.0**-64)) * largest * numbers.shape[1]
        finest = min(FINEST, EXACT - math.frexp(most)[1])
        steps = np.rint(np.ldexp(numbers, finest))
        self.weight = torch.from_numpy(np.ascontiguousarray(steps.T))  # (I, O)
        self.scale = scale + finest
        self.bias = to_scale(bias, self.scale) if bias is not None else 0.0

    def times(self, x: np.ndarray) -> np.ndarray:
        """x (B, I) -> (B, O) of the scale ``scale``."""
        product: np.ndarray = torch.mm(torch.from_numpy(x), self.weight).numpy()
        product += self.bias
        return product


class FixedPointLayer:
    """One step of time of a recurrent layer; the equations are those of ``cells``."""

    def __init__(self, layer: RecurrentLayer, embedding: Tensor | None) -> None:
        """``embedding`` (V, I) for the first layer, whose input product is looked up."""
        self.kind = layer.kind
        self.hidden_size = layer.hidden_size
        self.parts = layer.cell.state_parts
        one = float(1 << GATE)
        self.recurrent = Matrix(layer.weight_hh, None, GATE, one)
        if embedding is None:
            self.inputs = Matrix(layer.weight_ih, layer.bias, GATE, one)
        else:
            rows = to_scale(embedding, EMBEDDING)
            self.inputs = Matrix(layer.weight_ih, layer.bias, EMBEDDING, float(np.abs(rows).max()))
            self.table = change(self.inputs.times(rows), self.inputs.scale, CELL)
        self.bias_hn = to_scale(layer.bias_hn, CELL) if self.kind == "gru" else None

    def zero_state(self, lanes: int) -> Parts:
        """Zeros."""
        return tuple(np.zeros((self.parts, lanes, self.hidden_size)))

    def step(self, x: np.ndarray, state: Parts) -> Parts:
        """x (B, I) of scale GATE, or tokens (B,) for the first layer -> the next state."""
        if x.ndim == 1:
            projection = self.table[x]
        else:
            projection = change(self.inputs.times(x), self.inputs.scale, CELL)
        recurrent = change(self.recurrent.times(state[0]), self.recurrent.scale, CELL)
        if self.kind == "gru":
            return self.gru(projection, recurrent, state[0])
        if self.kind == "rnn":
            return (look_up(tables().tanh, projection + recurrent),)
        return self.lstm(projection + recurrent, state[1])

    def lstm(self, gates: np.ndarray, c: np.ndarray) -> Parts:
        """gates (B, 4H) and c -> h, c."""
        size = self.hidden_size
        i_f = look_up(tables().sigmoid, gates[:, : 2 * size])
        g = look_up(tables().tanh, gates[:, 2 * size : 3 * size])
        o = look_up(tables().sigmoid, gates[:, 3 * size :])
        gained = change(i_f[:, :size] * g, 2 * GATE, CELL)
        c = change(i_f[:, size:] * c, GATE + CELL, CELL) + gained
        np.clip(c, -LARGEST_CELL, LARGEST_CELL, out=c)
        return change(o * look_up(tables().tanh, c), 2 * GATE, GATE), c

    def gru(self, projection: np.ndarray, recurrent: np.ndarray, h: np.ndarray) -> Parts:
        """projection and recurrent (B, 3H), h -> h."""
        size = self.hidden_size
        r_z = look_up(tables().sigmoid, (projection + recurrent)[:, : 2 * size])
        r, z = r_z[:, :size], r_z[:, size:]
        kept = change(r * (recurrent[:, 2 * size :] + self.bias_hn), GATE + CELL, CELL)
        n = look_up(tables().tanh, projection[:, 2 * size :] + kept)
        return (change(((1 << GATE) - z) * n + z * h, 2 * GATE, GATE),)


class FixedPointNetwork(Predictor):
    """A network in whole numbers.

    It gives logits, whole multiples of 2**-LOGIT, where other predictors give log-probabilities:
    a logarithm is not equal on every machine.
    """

    def __init__(self, network: LanguageModel) -> None:
        self.vocab_size = network.vocab_size
        embedding = network.embedding.weight
        layers = network.recurrent_layers()
        self.layers = [
            FixedPointLayer(layer, None if number else embedding)
            for number, layer in enumerate(layers)
        ]
        self.head = Matrix(network.head.weight, network.head.bias, GATE, float(1 << GATE))

    def start(self, lanes: int = 1) -> tuple[Parts, ...]:
        """Zeros for every layer."""
        return tuple(layer.zero_state(lanes) for layer in self.layers)

    def advance(self, tokens: Tensor, state: tuple[Parts, ...]) -> tuple[Tensor, tuple[Parts, ...]]:
        """tokens (B, 1) -> logits (B, 1, V) of what follows, and the state of every layer."""
        x, after = tokens.squeeze(1).numpy(), []
        for layer, before in zip(self.layers, state, strict=True):
            after.append(layer.step(x, before))
            x = after[-1][0]
        logits = np.ldexp(change(self.head.times(x), self.head.scale, LOGIT), -LOGIT)
        return torch.from_numpy(logits).unsqueeze(1), tuple(after)

    def select(self, state: tuple[Parts, ...], lanes: Tensor) -> tuple[Parts, ...]:
        """See ``Predictor``."""
        return tuple(tuple(part[lanes.numpy()] for part in layer) for layer in state)


def fits(network: LanguageModel) -> bool:
    """Whether a network is made of nothing but what is computed here, as a trial confirms."""
    known = all(type(x) is RecurrentLayer and x.kind in KINDS for x in network.layers)
    if not known or type(network.head) is not Linear or network.config.connections != "plain":
        return False
    tokens = np.arange(FEW) % network.vocab_size
    fixed, found = FixedPointNetwork(network), []
    state = fixed.start(1)
    for token in tokens[:, None, None]:
        logits, state = fixed.advance(torch.from_numpy(token), state)
        found.append(logits[0])
    with evaluating(network):
        wanted = network(torch.from_numpy(tokens)[None].to(network.head.bias.device))[0][0].cpu()
    differences = torch.cat(found).log_softmax(1) - wanted.double().log_softmax(1)
    # Weighed by probability: tokens that hardly ever come may differ more.
    return bool((differences.abs() * wanted.double().softmax(1)).sum(1).max() < CLOSE)


def to_scale(numbers: Tensor, scale: int) -> np.ndarray:
    """float32 numbers in whole steps of 2**-scale."""
    steps: np.ndarray = np.rint(np.ldexp(numbers.detach().cpu().double().numpy(), scale))
    return steps


def change(numbers: np.ndarray, scale: int, wanted: int) -> np.ndarray:
    """``numbers`` of ``scale``, rounded to the scale ``wanted``."""
    if wanted >= scale:
        return numbers * 2.0 ** (wanted - scale)
    numbers = numbers * 2.0 ** (wanted - scale)
    return np.rint(numbers, out=numbers)


def look_up(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The table at ``numbers`` of scale CELL."""
    places = numbers * 2.0 ** (INPUT - CELL)
    np.rint(places, out=places)
    places += FLAT << INPUT
    return table.take(places.astype(np.intp), mode="clip")
