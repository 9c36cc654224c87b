"""The gates and states of a network while it reads a text, beside what it expected.

Shapes: T tokens of the text, L layers and H units that are kept.
"""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from charlm.config import BOUNDARY_ID
from charlm.data.tokenizers.base import Tokenizer
from charlm.durable import check_output, write_output
from charlm.errors import ConfigError, counted
from charlm.explain.observation import ObservedReader, observed_names
from charlm.explain.reading import TokenizedText
from charlm.explain.statistics import GateStatistics, GateSums
from charlm.inference.loading import Loaded, require_recurrent
from charlm.inference.surprisal.measures import Measures, measures
from charlm.inference.surprisal.text import spelled

__all__ = [
    "SEGMENT",
    "Explanation",
    "TokensRead",
    "choose",
    "explain_text",
    "explain_unit",
    "most_varying",
    "save_arrays",
]

SEGMENT = 512
"""Steps whose activations are all held at a time."""

MOST_BYTES = 1 << 29
"""Most bytes of activations that an explanation holds; a larger one is refused."""

Guesses = tuple[tuple[str, float], ...]
"""The likeliest tokens, the best first, with their probabilities."""


@dataclass(frozen=True)
class TokensRead:
    """Progress: so many of all ``tokens`` have been read."""

    read: int
    tokens: int


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explanation:
    """What a network was at each of the T tokens of a text, and what it expected there.

    ``gates`` maps names to arrays (T, L, H) of float32, in the order of the equations: of the
    LSTMs ``input_gate``, ``forget_gate``, ``output_gate``, ``candidate``, ``cell`` and ``hidden``,
    of the GRU ``reset_gate``, ``update_gate``, ``candidate`` and ``hidden``, of the plain network
    ``hidden``; with a mogrifier first ``modulated``, the hidden state before as the gates read it.
    Row t is the step that read token t, so ``hidden[t]`` predicts token t + 1, and the state before
    that step is row t - 1.  The boundary is read before the text: ``initial`` holds
    its step (L, H), which is the state before row 0.

    Axis 1 are the ``layers``, axis 2 the ``units`` that were asked for, by default all; both are
    numbered from 0, layers from the embedding upwards.  ``statistics`` cover each gate of all
    layers and units.

    ``surprisal`` (T,) is that of each token in nats given those before it, ``entropy`` (T,) that of
    the prediction which it met, ``likeliest`` are the tokens that this prediction found most
    probable, and ``rank`` (T,) is the token's place among all, 1 if none was more probable.
    ``following`` are the likeliest after the end of the text.  ``cell`` is the kind of cell.
    """

    text: str
    tokens: tuple[str, ...]
    ids: np.ndarray
    cell: str
    layers: tuple[int, ...]
    units: tuple[int, ...]
    gates: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]
    statistics: dict[str, GateStatistics]
    surprisal: np.ndarray
    entropy: np.ndarray
    rank: np.ndarray
    likeliest: tuple[Guesses, ...]
    following: Guesses

    def __repr__(self) -> str:
        tokens = counted(len(self.tokens), "token")
        shape = f"{tokens}, {len(self.layers)} x {len(self.units)} units"
        return f"Explanation({shape} of {self.cell}: {', '.join(self.gates)})"

    def _repr_html_(self) -> str:
        """The text in the colours of its surprisal, and how open the gates are."""
        from charlm.explain.notebook import as_html

        return as_html(self)


def explain_text(
    loaded: Loaded,
    text: TokenizedText,
    layers: Sequence[int] | None = None,
    units: Sequence[int] | None = None,
    top: int = 5,
) -> Iterator[TokensRead | Explanation]:
    """Read a text with a network that is observed; the last record is the ``Explanation``.

    ``layers`` and ``units``, of each layer the same, are those whose activations are kept, None for
    all, an empty sequence for none.  ``top`` likeliest tokens are given.  Raises ``ModelError`` for
    a model that is no recurrent network, and ``ConfigError`` for layers and units that do not exist
    and for more activations than fit into memory.
    """
    network = require_recurrent(loaded)
    config, count = network.config, len(text.ids)
    yield TokensRead(0, count)
    kept = choose("layers", layers, config.num_layers), choose("units", units, config.hidden_size)
    gates = empty_arrays(observed_names(config), count, *kept)
    reader, sums, met = ObservedReader(network), GateSums(), list[Measures]()
    top = min(top, loaded.tokenizer.vocab_size)
    for begin in range(0, count, SEGMENT):
        ids = text.ids[begin : begin + SEGMENT]
        activations, log_probs = reader.read(ids)
        met += measures(log_probs, ids, top)
        sums.add(activations)
        for name, values in activations.items():
            gates[name][begin : begin + len(ids)] = part_of(values, *kept)
        yield TokensRead(begin + len(ids), count)
    met += measures(reader.expected, np.array([BOUNDARY_ID]), top)
    yield Explanation(
        **vars(text),
        **expectations(loaded.tokenizer, met),
        cell=config.cell, layers=kept[0], units=kept[1], gates=gates,
        initial={name: part_of(values, *kept)[0] for name, values in reader.initial.items()},
        statistics=sums.means(),
    )  # fmt: skip


def explain_unit(
    loaded: Loaded,
    text: TokenizedText,
    layer: int | None = None,
    unit: int | None = None,
    first: int | None = None,
) -> Iterator[TokensRead | Explanation]:
    """Explain a text by one unit of one layer, whose activations are kept.

    ``layer`` is by default the last, ``unit`` the ``most_varying``.  If the text has more than
    ``first`` tokens, these are explained alone, at once, and then the whole text without any unit.
    Raises what ``explain_text`` does.
    """
    network = require_recurrent(loaded)
    config = network.config
    layer = config.num_layers - 1 if layer is None else layer
    choose("layer", [layer], config.num_layers)
    if unit is None:
        begun, _ = ObservedReader(network).read(text.ids[:SEGMENT])
        unit = most_varying(begun["hidden"][:, layer].cpu().numpy())
    choose("unit", [unit], config.hidden_size)
    yield from explain_text(loaded, text.beginning(first), [layer], [unit])
    if first is not None and first < len(text.ids):
        yield from explain_text(loaded, text, units=[], top=0)


def most_varying(hidden: np.ndarray) -> int:
    """The place of the unit that is shown to begin with, in the terminal and on a page: the one
    whose hidden state, of (T, H), has the largest variance over the first ``SEGMENT`` tokens.
    """
    return int(hidden[:SEGMENT].std(axis=0).argmax())


def empty_arrays(
    names: Sequence[str], tokens: int, layers: Sequence[int], units: Sequence[int]
) -> dict[str, np.ndarray]:
    """Arrays (tokens, layers, units).  Raises ``ConfigError`` for more than fit into memory."""
    shape = tokens, len(layers), len(units)
    needed = 4 * len(names) * math.prod(shape)
    if needed > MOST_BYTES:
        raise ConfigError(
            f"the activations of {len(units):,} units in {len(layers):,} layers "
            f"over {tokens:,} tokens take {needed / 1e9:.1f} GB",
            f"choose {MOST_BYTES * len(units) // needed:,} `units` at most, like `units=[0, 1]`, "
            "or a shorter text",
        )
    return {name: np.empty(shape, dtype=np.float32) for name in names}


def part_of(values: Tensor, layers: Sequence[int], units: Sequence[int]) -> np.ndarray:
    """Activations (T, L, H) of all -> those of the chosen layers and units."""
    found: np.ndarray = values.cpu().numpy()[:, list(layers)][:, :, list(units)]
    return found


def expectations(tokenizer: Tokenizer, met: Sequence[Measures]) -> dict[str, Any]:
    """What an ``Explanation`` says of predictions, from their measures (T + 1); the last of them is
    that after the text.
    """
    *likeliest, following = (
        tuple((spelled(tokenizer, token), prob) for token, prob in each.guesses) for each in met
    )
    nll, entropy, rank = map(np.array, zip(*(each[:3] for each in met[:-1]), strict=True))
    return {
        "surprisal": nll,
        "entropy": entropy,
        "rank": rank,
        "likeliest": tuple(likeliest),
        "following": following,
    }


def choose(name: str, given: Sequence[int] | None, existing: int) -> tuple[int, ...]:
    """Numbers of layers or units, all that are ``existing`` for None.  Raises ``ConfigError``."""
    if given is None:
        return tuple(range(existing))
    for number in given:
        whole = isinstance(number, Integral) and not isinstance(number, bool)
        if not whole or not 0 <= number < existing:
            what, allowed = counted(existing, name.rstrip("s")), f"from 0 to {existing - 1}"
            raise ConfigError(
                f"`{name}` must be {allowed if existing > 1 else 0}, got {number!r}",
                f"the model has {what}, numbered from 0",
            )
    return tuple(map(int, given))


def save_arrays(
    records: Iterable[TokensRead | Explanation], path: Path, *, force: bool = False
) -> Iterator[TokensRead | Explanation]:
    """Pass the records on, and write the arrays of the explanation into a file for ``numpy.load``:
    activations by name, those of the boundary's step as ``initial_`` + name, ids, surprisal,
    entropy, and the numbers of layers and units.

    Raises ``CorpusError`` if the file exists, at once, unless ``force`` replaces it, or cannot be
    written.
    """
    check_output(path, force=force)
    names = ("ids", "surprisal", "entropy", "layers", "units")
    for record in records:
        if isinstance(record, Explanation):
            arrays: dict[str, Any] = {name: np.asarray(getattr(record, name)) for name in names}
            arrays |= {f"initial_{name}": values for name, values in record.initial.items()}
            content = io.BytesIO()
            np.savez_compressed(content, **arrays, **record.gates)  # type: ignore[arg-type]
            write_output(path, content.getvalue(), force=force)
        yield record
