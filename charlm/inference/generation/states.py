"""What a recurrent network knows after a text, kept in a file, so that a text can go on later.

The file is safetensors: a tensor for each part of each layer's state, and in its metadata the last
token, which is read again to go on, the end of the text, and the weights that the state belongs to.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch

from charlm.config import BOUNDARY_ID
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.durable import write_bytes
from charlm.errors import ConfigError, ModelError, way_out
from charlm.inference.predictors.decoder import Decoder
from charlm.inference.predictors.predictor import Predictor, State
from charlm.inference.predictors.recurrent import Recurrent
from charlm.storage.integrity import MALFORMED
from charlm.untrusted import parse_json, read_file

__all__ = ["SavedState", "read_state", "state_after", "text_after", "write_state"]

FORMAT = "charlm-state-1"

KEPT = 1 << 16
"""Characters that are kept of a text, for penalties and ``max_copy`` to go on with."""

LARGEST_HEADER = 8 * KEPT
"""Bytes of what is not a state in the file: escaped, a character of the text takes 6."""


class SavedState(NamedTuple):
    """The state of one lane before its last token, that token, and the last characters of the text:
    None from a file of an earlier charlm, which holds none.
    """

    state: State
    last: int
    text: str | None

    def knows(self, characters: int) -> bool:
        """Whether the text, or so many of its last characters, are kept."""
        return self.text is not None and (len(self.text) < KEPT or characters <= KEPT)


def require_recurrent(model: Predictor) -> Recurrent:
    """The model.  Raises ``ConfigError`` where it is more or less than one network."""
    if not isinstance(model, Recurrent):
        raise ConfigError(
            "`state` keeps the state of one recurrent network, and this model is none",
            "leave `state` out, or give the whole text as the `prompt`",
        )
    return model


def text_after(tokenizer: Tokenizer, before: SavedState | None, text: str) -> str:
    """The text so far, as much of it as is kept, after one more ``text``.

    Words, which keep no white space, have a space between them.
    """
    known = (before.text if before else "") or ""
    ends, begins = known[-1:].strip(), text[:1].strip()
    return known + " " * bool(tokenizer.kind == "word" and ends and begins) + text


def state_after(
    model: Predictor, tokenizer: Tokenizer, text: str, before: SavedState | None
) -> SavedState:
    """The state after a ``text``, which follows what ``before`` has read."""
    network = require_recurrent(model)
    ids: list[int] = tokenizer.encode(text).tolist()
    *tokens, last = [before.last if before else BOUNDARY_ID, *ids]
    reader = Decoder(network, before.state if before else network.start())
    if tokens:
        reader.advance(torch.tensor([tokens]))
    kept = None if before and before.text is None else text_after(tokenizer, before, text)[-KEPT:]
    return SavedState(reader.state, last, kept)


def write_state(path: Path, model: Predictor, saved: SavedState) -> None:
    """Write a state, all or nothing.  Raises ``ConfigError`` where that cannot be done."""
    parts = {
        f"layer{layer}.{part}": tensor.detach().cpu().contiguous().clone()
        for layer, tensors in enumerate(saved.state)
        for part, tensor in enumerate(tensors)
    }
    metadata = {"format": FORMAT, "last": str(saved.last), "weights": weights_of(model)}
    if saved.text is not None:
        metadata["text"] = saved.text
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
    start = network.start()
    limit = LARGEST_HEADER + sum(part.nbytes for layer in start for part in layer)
    try:
        content = read_file(path.resolve(), limit)
        metadata = parse_json(content[8:][: int.from_bytes(content[:8], "little")])["__metadata__"]
        if metadata["format"] != FORMAT:
            raise ValueError("a file of another program")
        tensors = safetensors.torch.load(content)
        state = tuple(
            tuple(tensors[f"layer{layer}.{part}"] for part in range(len(parts)))
            for layer, parts in enumerate(start)
        )
        last, text = int(metadata["last"]), metadata.get("text")
        if not 0 <= last < model.vocab_size:
            raise ValueError("the last token is not in the vocabulary")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", way_out(error)) from None
    except MALFORMED:
        raise ModelError(
            f"{path} is damaged, or no state of a text", "give the file of an earlier `state`"
        ) from None
    if metadata.get("weights") != weights_of(model) or shapes_of(state) != shapes_of(start):
        raise ConfigError(
            f"{path} holds the state of another model or checkpoint",
            "give the RUN and `step` that wrote it, or begin a new file",
        )
    device = network.device
    return SavedState(
        tuple(tuple(part.to(device) for part in layer) for layer in state), last, text
    )


def shapes_of(state: State) -> list[list[torch.Size]]:
    """The shape of each part of each layer's state."""
    return [[part.shape for part in layer] for layer in state]


def weights_of(model: Predictor) -> str:
    """A number that tells the weights of networks apart."""
    network = require_recurrent(model).network
    numbers = network.head.bias.detach().float().cpu().numpy().tobytes()
    return hashlib.sha256(numbers).hexdigest()
