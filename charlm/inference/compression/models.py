"""Which arithmetic a model is computed in, and how two models are told apart."""

import hashlib
import platform
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch

from charlm.inference.compression.coder import Steps
from charlm.inference.compression.fixed_point import FixedPointNetwork, fits
from charlm.inference.compression.floating import FloatNetwork, Learning
from charlm.inference.loading import Loaded, require_recurrent
from charlm.inference.predictors.decoder import Decoder, open_decoder
from charlm.inference.predictors.recurrent import Recurrent

__all__ = ["Arithmetic", "Plan", "at_rates", "choose_plan", "fingerprint", "machine", "make_steps"]

LANE = 4096
"""Tokens that a lane has at least: beginning without context costs it a few bytes."""

MOST_LANES = 32
"""More gain no time."""

SEGMENT = 16
RATES = (500, 1000, 2000, 4000)
"""From text like the model's own to text quite unlike it: the best on an excerpt of Dickens, on
Wikipedia's XML and on Python's documentation, by a model of English."""

NONE = Learning(0, 0)


class Arithmetic(IntEnum):
    """How the probabilities are computed; the numbers are part of the file format."""

    WHOLE = 0
    """In whole numbers: the same on every machine."""

    FLOAT = 1
    """In float64: the same on one machine, and elsewhere almost always."""

    OWN = 2
    """By the model's own decoder: the same on one machine."""


@dataclass(frozen=True)
class Plan:
    """What encoding and decoding have to do alike."""

    arithmetic: Arithmetic
    lanes: int
    learning: Learning


def choose_plan(loaded: Loaded, tokens: int, *, adapt: bool, lanes: int | None) -> Plan:
    """How to code so many tokens.  Raises ``ModelError`` if the model cannot learn."""
    if adapt:
        require_recurrent(loaded)
        return Plan(Arithmetic.FLOAT, lanes or 1, Learning(SEGMENT, RATES[0]))
    chosen = lanes or min(max(tokens // LANE, 1), MOST_LANES)
    if not isinstance(loaded.model, Recurrent):
        return Plan(Arithmetic.OWN, chosen, NONE)
    whole = fits(loaded.model.network)
    return Plan(Arithmetic.WHOLE if whole else Arithmetic.FLOAT, chosen, NONE)


def at_rates(plan: Plan) -> list[Plan]:
    """The plan with each rate of learning, from the slowest on."""
    return [replace(plan, learning=replace(plan.learning, rate=rate)) for rate in RATES]


def make_steps(loaded: Loaded, plan: Plan) -> Steps:
    """The model at the start of a stream in each lane."""
    if plan.arithmetic is Arithmetic.OWN:
        return OwnSteps(open_decoder(loaded.model, plan.lanes))
    network = require_recurrent(loaded)
    if plan.arithmetic is Arithmetic.FLOAT:
        return FloatNetwork(network, plan.lanes, plan.learning)
    return FixedPointNetwork(network, plan.lanes)


class OwnSteps:
    """Any predictor's decoder."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """tokens (B,) -> logits (B, V)."""
        log_probs = self.decoder.advance(torch.from_numpy(tokens.copy())[:, None])
        found: np.ndarray = log_probs.double().cpu().numpy()
        return found


def fingerprint(loaded: Loaded) -> bytes:
    """The first half of a SHA-256 over the tokenizer and all weights."""
    found = hashlib.sha256(loaded.tokenizer.digest().encode())
    if isinstance(loaded.model, Recurrent):
        tensors = loaded.model.network.tensors()
    else:
        tensors = loaded.run.checkpoint(loaded.step).model
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        found.update(tensor.cpu().numpy().tobytes())
    return found.digest()[:16]


def machine() -> str:
    """What computes here, for people."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {platform.machine()} {capability}"
