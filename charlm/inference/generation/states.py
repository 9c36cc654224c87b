"""What a recurrent network knows after a text, kept in a file, so that a text can go on later.

The file is safetensors: a tensor for each part of each layer's state, and in its metadata the last
token, which is read again to go on, and the weights that the state belongs to.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
import torch

from charlm.config import BOUNDARY_ID
from charlm.durable import write_bytes
from charlm.errors import ConfigError, ModelError
from charlm.inference.predictors.decoder import Decoder
from charlm.inference.predictors.predictor import Predictor, State
from charlm.inference.predictors.recurrent import Recurrent

__all__ = ["SavedState", "read_state", "state_after", "write_state"]

FORMAT = "charlm-state-1"


class SavedState(NamedTuple):
    """The state of one lane before its last token, and that token."""

    state: State
    last: int


def require_recurrent(model: Predictor) -> Recurrent:
    """The model.  Raises ``ConfigError`` where it is more or less than one network."""
    if not isinstance(model, Recurrent):
        raise ConfigError(
            "`state` keeps the state of one recurrent network, and this model is none",
            "leave `state` out, or give the whole text as the `prompt`",
        )
    return model


def state_after(model: Predictor, ids: list[int], before: SavedState | None) -> SavedState:
    """The state after the ``ids`` of a text, which follows what ``before`` has read."""
    network = require_recurrent(model)
    *tokens, last = [before.last if before else BOUNDARY_ID, *ids]
    reader = Decoder(network, before.state if before else network.start())
    if tokens:
        reader.advance(torch.tensor([tokens]))
    return SavedState(reader.state, last)


def write_state(path: Path, model: Predictor, saved: SavedState) -> None:
    """Write a state, all or nothing.  Raises ``ConfigError`` where that cannot be done."""
    parts = {
        f"layer{layer}.{part}": tensor.detach().cpu().contiguous().clone()
        for layer, tensors in enumerate(saved.state)
        for part, tensor in enumerate(tensors)
    }
    metadata = {"format": FORMAT, "last": str(saved.last), "weights": weights_of(model)}
    try:
        write_bytes(path, safetensors.torch.save(parts, metadata))
    except OSError as error:
        cause = f"{path} cannot be written: {error.strerror}"
        raise ConfigError(cause, "give another file for `state`") from None


def read_state(path: Path, model: Predictor) -> SavedState | None:
    """The state in a file; None where there is no file yet.

    Raises ``ConfigError`` for another model, and ``ModelError`` for what is no state.
    """
    network = require_recurrent(model)
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError("no state of charlm")
            state = tuple(
                tuple(file.get_tensor(f"layer{layer}.{part}") for part in range(len(tensors)))
                for layer, tensors in enumerate(network.start())
            )
        last = int(metadata["last"])
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            f"{path} is no state of a text: {error}", "give the file of an earlier `state`"
        ) from None
    if metadata.get("weights") != weights_of(model):
        raise ConfigError(
            f"{path} holds the state of another model or checkpoint",
            "give the RUN and `step` that wrote it, or begin a new file",
        )
    device = network.device
    return SavedState(tuple(tuple(part.to(device) for part in layer) for layer in state), last)


def weights_of(model: Predictor) -> str:
    """A number that tells the weights of networks apart."""
    network = require_recurrent(model).network
    numbers = network.head.bias.detach().float().cpu().numpy().tobytes()
    return hashlib.sha256(numbers).hexdigest()
