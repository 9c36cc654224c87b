"""A recurrent language model of another tool in one form, and how it becomes ours.

Letters: V vocabulary, E embedding size, H hidden size of a layer, I input size of a layer, G gates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID, Config, ModelConfig, TokenizerConfig
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.data.tokenizers.base import UNKNOWN, UNKNOWN_ID
from charlm.data.tokenizers.words import END_OF_LINE, WordTokenizer
from charlm.errors import ModelError, counted
from charlm.model.cells import CELLS

__all__ = ["Converted", "ForeignLayer", "ForeignModel", "convert", "reorder_gates"]

NEVER = -1e4
"""Bias of a symbol that the other tool does not know: its probability is 0 in float32."""

UNKNOWN_NAMES = ("<unk>", "<UNK>", "<oov>", "[UNK]", "UNK")
OTHER_CHECKPOINT = "use another checkpoint, or convert it in the tool that wrote it"
END_NAMES = ("<eos>", "</s>", "<EOS>", "<eol>")


@dataclass(frozen=True)
class ForeignLayer:
    """A layer: ``weight_ih`` (G*H, I), ``weight_hh`` (G*H, H), ``bias`` (G*H), gates in the order
    of ``charlm.model.cells``; for the GRU also ``bias_hn`` (H).
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor
    bias_hn: Tensor | None = None


@dataclass(frozen=True)
class ForeignModel:
    """Embedding (V, E), layers, and a head of ``weight`` (V, H) and ``bias`` (V).

    ``notes`` say what was assumed, for example a forget bias.
    """

    cell: str
    embedding: Tensor
    layers: tuple[ForeignLayer, ...]
    weight: Tensor
    bias: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Converted:
    """Settings, tokenizer and parameters of a run, and what should be known of them."""

    config: Config
    tokenizer: CharTokenizer | WordTokenizer
    tensors: dict[str, Tensor] = field(repr=False)
    notes: tuple[str, ...]


def convert(foreign: ForeignModel, symbols: Sequence[str], kind: str) -> Converted:
    """Make a run's contents of a foreign model whose id i stands for ``symbols[i]``.

    ``kind`` is "char" or "word".  Ids 0 and 1 of the result are the boundary and the unknown
    symbol.  The boundary is read as the end of a line where the model has one, and never
    predicted.  Layers of different sizes are filled up with units that stay zero.  Raises
    ``ModelError`` for shapes that do not fit each other or the vocabulary.
    """
    check_shapes(foreign, len(symbols))
    names, ends, notes = readable(symbols, kind)
    tokenizer, ids = tokenizer_of(names, kind, line_end=ends is not None)
    hidden = max(layer.weight_hh.shape[1] for layer in foreign.layers)
    config = settings_of(foreign, tokenizer, hidden)
    rows, size = torch.tensor(ids), (tokenizer.vocab_size, foreign.embedding.shape[1])
    embedding = torch.zeros(size).index_copy(0, rows, foreign.embedding.float())
    if ends is not None:
        embedding[BOUNDARY_ID] = embedding[ids[ends]]
    bias = torch.full(size[:1], NEVER).index_copy(0, rows, foreign.bias.float())
    tensors = {"embedding.weight": embedding, "head.bias": bias}
    tensors |= head_tensors(foreign, rows, tokenizer.vocab_size, hidden, config.model.tie_weights)
    below = size[1]
    for index, layer in enumerate(foreign.layers):
        for name, value in padded(layer, CELLS[foreign.cell].gates, below, hidden).items():
            tensors[f"layers.{index}.{name}"] = value
        below = hidden
    return Converted(config, tokenizer, tensors, (*foreign.notes, *notes))


def tokenizer_of(
    names: list[str], kind: str, *, line_end: bool
) -> tuple[CharTokenizer | WordTokenizer, list[int]]:
    """The tokenizer of these symbols, and for each of them its id there."""
    others = [i for i, name in enumerate(names) if name != UNKNOWN]
    ids = [UNKNOWN_ID] * len(names)
    for new, old in enumerate(others, UNKNOWN_ID + 1):
        ids[old] = new
    known = [names[i] for i in others]
    if kind == "char":
        return CharTokenizer(known), ids
    return WordTokenizer(known, end_of_line=line_end), ids


def settings_of(
    foreign: ForeignModel, tokenizer: CharTokenizer | WordTokenizer, hidden: int
) -> Config:
    """The settings of a run with this model."""
    line_end = {}
    if isinstance(tokenizer, WordTokenizer):
        line_end["end_of_line"] = tokenizer.end_of_line
    same = foreign.embedding.shape == foreign.weight.shape
    model = ModelConfig(
        cell=foreign.cell,
        hidden_size=hidden,
        num_layers=len(foreign.layers),
        embedding_size=foreign.embedding.shape[1],
        tie_weights=same and torch.equal(foreign.embedding, foreign.weight),
        dropout=0.0,
    )
    return Config(
        tokenizer=TokenizerConfig(kind=tokenizer.kind, **line_end), model=model
    ).with_defaults()


def head_tensors(
    foreign: ForeignModel, rows: Tensor, vocab_size: int, hidden: int, tied: bool
) -> dict[str, Tensor]:
    """The weights of the head beside its bias, for a last layer filled up to ``hidden`` units."""
    last = foreign.weight.shape[1]
    if tied and last == hidden:
        return {}
    if tied:  # the projection picks the units that are not filled up
        return {"head.projection.weight": torch.eye(last, hidden)}
    weight = torch.zeros(vocab_size, hidden)
    weight[rows, :last] = foreign.weight.float()
    return {"head.weight": weight}


def padded(layer: ForeignLayer, gates: int, below: int, hidden: int) -> dict[str, Tensor]:
    """The parameters of a layer with ``below`` inputs and ``hidden`` units.

    A unit that is added has zero weights and biases, so its candidate and its state stay zero.
    """
    size, inputs = layer.weight_hh.shape[1], layer.weight_ih.shape[1]

    def fill(matrix: Tensor, columns: int) -> Tensor:
        block = torch.zeros(gates, hidden, columns)
        block[:, :size, : matrix.shape[-1]] = matrix.float().view(gates, size, -1)
        return block.view(gates * hidden, columns)

    tensors = {
        "weight_ih": fill(layer.weight_ih, below if inputs <= below else inputs),
        "weight_hh": fill(layer.weight_hh, hidden),
        "bias": fill(layer.bias[:, None], 1)[:, 0].contiguous(),
    }
    if layer.bias_hn is not None:
        tensors["bias_hn"] = torch.zeros(hidden).index_copy(
            0, torch.arange(size), layer.bias_hn.float()
        )
    return tensors


def check_shapes(foreign: ForeignModel, vocab_size: int) -> None:
    """Raise ``ModelError`` unless all tensors of a model fit together and are finite."""
    gates, below = CELLS[foreign.cell].gates, foreign.embedding.shape[-1]
    expected: dict[str, tuple[Tensor, tuple[int, ...]]] = {}
    expected["the embedding"] = (foreign.embedding, (vocab_size, below))
    for index, layer in enumerate(foreign.layers):
        hidden = layer.weight_hh.shape[-1]
        name = f"layer {index}"
        expected[f"{name}'s input weights"] = (layer.weight_ih, (gates * hidden, below))
        expected[f"{name}'s recurrent weights"] = (layer.weight_hh, (gates * hidden, hidden))
        expected[f"{name}'s bias"] = (layer.bias, (gates * hidden,))
        if layer.bias_hn is not None:
            expected[f"{name}'s bias of the candidate"] = (layer.bias_hn, (hidden,))
        below = hidden
    expected["the head's weights"] = (foreign.weight, (vocab_size, below))
    expected["the head's bias"] = (foreign.bias, (vocab_size,))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ModelError(
                f"the vocabulary has {vocab_size:,} symbols, for which the shape of {name} would "
                f"be {shape}, but it is {tuple(tensor.shape)}",
                "give the vocabulary file that belongs to this model",
            )
        if not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ModelError(f"{name} are {kind}, where weights are floats", OTHER_CHECKPOINT)
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{name} has numbers that are NaN or infinite", OTHER_CHECKPOINT)


def readable(symbols: Sequence[str], kind: str) -> tuple[list[str], int | None, tuple[str, ...]]:
    """Symbols as our tokenizers take them, the index of the one that ends a line, and notes.

    A symbol that no text can contain (one that stands twice, is empty, or has white space in a
    word) gets a name of its own, so that the others keep their probabilities.
    """
    names, seen, odd = [], set[str](), 0
    ends = next((symbols.index(name) for name in END_NAMES if name in symbols), None)
    if ends is None and "\n" in symbols:
        ends = list(symbols).index("\n")
    unknown = next((name for name in UNKNOWN_NAMES if name in symbols), None)
    spare = iter(map(chr, range(0xF0000, 0xFFFFE)))  # private characters, which no text has
    for index, symbol in enumerate(symbols):
        name = UNKNOWN if symbol == unknown else symbol
        if kind == "word" and index == ends:
            name = END_OF_LINE
        fits = len(name) == 1 if kind == "char" and name != UNKNOWN else name.split() == [name]
        if not fits or name in seen:
            name, odd = next(spare), odd + 1
        names.append(name)
        seen.add(name)
    what = "character" if kind == "char" else "word"
    notes = []
    if odd:
        are = "is" if odd == 1 else "are"
        symbols = f"{counted(odd, 'symbol')} of the vocabulary"
        notes.append(f"{symbols} {are} no {what} of a text and {are} never met")
    if unknown is None:
        notes.append(f"the vocabulary has no <unk>: any other {what} has a probability of 0")
    return names, ends, tuple(notes)


def reorder_gates(rows: Tensor, order: Sequence[int]) -> Tensor:
    """Blocks of gates along the first dimension in another order: ours from theirs."""
    blocks = rows.chunk(len(order))
    return torch.cat([blocks[index] for index in order])
