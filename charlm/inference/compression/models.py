"""Which arithmetic a model is computed in, and how two models are told apart."""

import copy
import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import torch

from charlm.inference.adaptation.dynamic import DynamicPredictor
from charlm.inference.adaptation.mixing import Mixed, evaluation_of
from charlm.inference.compression.fixed_point import FixedPointNetwork, fits
from charlm.inference.compression.learning import RoundedSteps
from charlm.inference.loading import Loaded, require_recurrent
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent

__all__ = [
    "Arithmetic",
    "CodingPlan",
    "choose_plan",
    "fingerprint",
    "machine",
    "open_model",
    "repeatable",
]

LANE = 4096
"""Tokens that a lane has at least: beginning without context costs it a few bytes."""

MOST_LANES = 32
"""Lanes that are chosen at most: more gain no time."""

SEGMENT = 16
"""Tokens of each lane between two steps of learning; part of the file format."""


class Arithmetic(IntEnum):
    """How the probabilities are computed; the numbers are part of the file format."""

    WHOLE = 0
    """In whole numbers: equal on every machine."""

    FLOAT = 1
    """In float64: equal on one machine, and elsewhere almost always."""


@dataclass(frozen=True)
class CodingPlan:
    """What encoding and decoding have to do alike.

    ``rate`` is how fast the model learns, in millionths; 0: not at all.
    """

    arithmetic: Arithmetic
    lanes: int
    rate: int = 0


def choose_plan(loaded: Loaded, tokens: int, *, adapt: bool, lanes: int | None) -> CodingPlan:
    """How to code so many tokens.  Raises ``ModelError`` if the model cannot learn."""
    if adapt:
        require_recurrent(loaded)
        return CodingPlan(Arithmetic.FLOAT, lanes or 1)
    whole = isinstance(loaded.model, Recurrent) and fits(loaded.model.network)
    chosen = lanes or min(max(tokens // LANE, 1), MOST_LANES)
    return CodingPlan(Arithmetic.WHOLE if whole else Arithmetic.FLOAT, chosen)


def open_model(loaded: Loaded, plan: CodingPlan) -> Predictor:
    """The model in the arithmetic of ``plan``, which learns if the plan has a rate.

    A model that is no network computes in float64 by itself, and cannot learn.
    """
    if not isinstance(loaded.model, Recurrent) and not plan.rate:
        return loaded.model
    network = require_recurrent(loaded)
    if plan.arithmetic is Arithmetic.WHOLE:
        return FixedPointNetwork(network)
    exact = copy.deepcopy(network).cpu().double().eval()
    if plan.rate:
        return DynamicPredictor(exact, RoundedSteps(SEGMENT, plan.rate), together=True)
    return Recurrent(exact)


def fingerprint(loaded: Loaded) -> bytes:
    """The first 12 bytes of a SHA-256 over the tokenizer and all weights, and over the methods of
    evaluation time and the share of the first run where the model has them.
    """
    found = hashlib.sha256(loaded.tokenizer.digest().encode())
    for run in loaded.parts if isinstance(loaded, Mixed) else (loaded,):
        if isinstance(run.model, Recurrent):
            tensors = run.model.network.tensors()
        else:
            tensors = run.run.checkpoint(run.step).model
        for name, tensor in sorted(tensors.items()):
            found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            found.update(tensor.cpu().numpy().tobytes())
    if loaded.model.mode != "static":
        found.update(repr(evaluation_of(loaded).methods).encode())
    if isinstance(loaded, Mixed):
        found.update(repr(loaded.weight).encode())
    return found.digest()[:12]


def machine() -> str:
    """What computes here, for people."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {platform.machine()} {capability}"


@contextmanager
def repeatable() -> Iterator[None]:
    """One thread and only algorithms whose results are the same each time; then as before."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    # use_deterministic_algorithms would do this too, and import torch._dynamo and sympy for it.
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads)
