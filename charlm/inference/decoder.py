"""One step of time after the other, weights prepared once: what sampling stands on."""

from torch import Tensor

from charlm.model.language_model import LanguageModel, State
from charlm.model.likelihood import evaluating

__all__ = ["Decoder"]

LARGEST_TABLE = 1 << 25
"""Most numbers in the input table (128 MiB of float32)."""


class Decoder:
    """Reads tokens into a state and gives the logits of the next; equal to the model's forward.

    The first layer's input product depends on the token alone, so it is computed once for the
    whole vocabulary and then looked up, while that table (V, G*H) stays small.
    """

    def __init__(self, model: LanguageModel, lanes: int = 1) -> None:
        self.model = model
        self.layers = model.recurrent_layers()
        self.table: Tensor | None = None
        with evaluating(self.model):
            first = self.layers[0]
            if model.vocab_size * first.bias.numel() <= LARGEST_TABLE:
                self.table = first.project(model.embedding.weight)
            self.state: State = model.zero_state(lanes)

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> logits (B, V) of what follows; advances the state."""
        if not self.model.plain:
            return self.read(tokens[:, None])
        with evaluating(self.model):
            if self.table is not None:
                projection = self.table[tokens]
            else:
                projection = self.layers[0].project(self.model.embedding(tokens))
            state = [self.layers[0].step(projection, self.state[0])]
            for layer, before in zip(self.layers[1:], self.state[1:], strict=True):
                state.append(layer.step(layer.project(state[-1][0]), before))
            self.state = tuple(state)
            logits: Tensor = self.model.head(state[-1][0])
            return logits

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> logits (B, V) after the last; a prompt, read at once."""
        with evaluating(self.model):
            features, self.state = self.model.features(tokens, self.state)
            logits: Tensor = self.model.head(features[:, -1])
            return logits

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        with evaluating(self.model):
            self.state = tuple(tuple(part[lanes] for part in layer) for layer in self.state)
