"""Small recurrent language models as other tools define them, written for these tests."""

import itertools

import torch
from torch import Tensor, nn


class RNNModel(nn.Module):
    """Encoder, torch's own stack, decoder: the attributes of pytorch/examples."""

    def __init__(self, kind: str, vocab: int, embedding: int, hidden: int, layers: int, tie: bool):
        super().__init__()
        self.encoder = nn.Embedding(vocab, embedding)
        self.drop = nn.Dropout(0.1)
        self.rnn = getattr(nn, kind)(
            embedding, hidden, layers, **({"dropout": 0.1} if layers > 1 else {})
        )
        self.decoder = nn.Linear(hidden, vocab)
        if tie:
            self.decoder.weight = self.encoder.weight
        self.rnn_type, self.nhid, self.nlayers = kind, hidden, layers

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (T,) -> logits (T, V)."""
        return self.decoder(self.rnn(self.encoder(tokens))[0])


class CharRNN(nn.Module):
    """The attributes of char-rnn.pytorch."""

    def __init__(self, vocab: int, hidden: int, kind: str, layers: int):
        super().__init__()
        self.model = kind.lower()
        self.encoder = nn.Embedding(vocab, hidden)
        self.rnn = getattr(nn, kind)(hidden, hidden, layers)
        self.decoder = nn.Linear(hidden, vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (T,) -> logits (T, V)."""
        return self.decoder(self.rnn(self.encoder(tokens))[0])


class WeightDrop(nn.Module):
    """A layer whose recurrent weights are kept under another name; a stale copy stands beside."""

    def __init__(self, module: nn.LSTM):
        super().__init__()
        self.module = module
        raw = module.weight_hh_l0
        del module._parameters["weight_hh_l0"]
        self.module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))
        self.module.weight_hh_l0 = nn.Parameter(raw.data * 0.5)


class AWDModel(nn.Module):
    """Layers of their own sizes and tied weights: the attributes of awd-lstm-lm."""

    def __init__(self, vocab: int, embedding: int, hidden: int):
        super().__init__()
        sizes = [embedding, hidden, hidden, embedding]
        self.encoder = nn.Embedding(vocab, embedding)
        layers = [nn.LSTM(a, b) for a, b in itertools.pairwise(sizes)]
        self.rnns = nn.ModuleList(WeightDrop(layer) for layer in layers)
        self.decoder = nn.Linear(embedding, vocab)
        self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (T,) -> logits (T, V), with all recurrent weights."""
        hidden = self.encoder(tokens)
        for wrapped in self.rnns:
            layer = nn.LSTM(wrapped.module.input_size, wrapped.module.hidden_size)
            state = {k: v for k, v in wrapped.module.state_dict().items() if not k.endswith("_l0")}
            state |= {
                k: v
                for k, v in wrapped.module.state_dict().items()
                if "weight_ih" in k or "bias" in k
            }
            state["weight_hh_l0"] = state.pop("weight_hh_l0_raw")
            layer.load_state_dict(state)
            hidden = layer(hidden)[0]
        return self.decoder(hidden)


AWDModel.__name__ = AWDModel.__qualname__ = "RNNModel"


def mean_nll(model: nn.Module, tokens: list[int]) -> float:
    """Nats per token of all tokens but the first, from a state of zeros."""
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(tokens[:-1]))
    return float(nn.functional.cross_entropy(logits.double(), torch.tensor(tokens[1:])))
