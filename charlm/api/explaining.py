"""The methods of ``charlm.Model`` that show what goes on inside a recurrent network."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.api.arguments import last_of, naming_unknown, several, within
from charlm.inference.loading import Loaded

if TYPE_CHECKING:
    from charlm.explain.activations import Explanation
    from charlm.explain.memory import Memory
    from charlm.explain.reading import TokenizedText
    from charlm.explain.search import FoundUnits

__all__ = ["Explaining"]


class Explaining:
    """The part of ``charlm.Model`` that shows gates, states and units of a recurrent network."""

    loaded: Loaded

    @naming_unknown
    def explain(
        self,
        text: str | Path,
        layers: int | Sequence[int] | None = None,
        units: int | Sequence[int] | None = None,
        top: int = 5,
    ) -> "Explanation":
        """Gates, cell and hidden states of the network at each of the T tokens of a text.

        ``.gates`` maps names like "forget_gate" and "cell" to arrays (T, L, H), and
        ``.surprisal`` (nats), ``.entropy`` and ``.likeliest`` say what was expected; the docstring
        of the result has it all.  ``layers`` and ``units``, numbered from 0, choose what is kept
        of a long text; ``units=[]`` keeps only ``.statistics``.

        Example::

            explanation = model.explain("It was")
            print(explanation.gates["forget_gate"].shape, explanation.statistics["forget_gate"])
        """
        from charlm.explain.activations import Explanation, explain_text

        within(0, top=top)
        records = explain_text(self.loaded, self._read(text), numbers(layers), numbers(units), top)
        return last_of(records, Explanation)

    @naming_unknown
    def find_units(
        self, text: str | Path, feature: str, *, layer: int | None = None, top: int = 5
    ) -> "FoundUnits":
        """The units whose state follows a feature of a text best, and what they are good for.

        ``feature`` is "line-position", "quotes", "brackets", "indentation", "word-length",
        "capitals", or "re:" and a regular expression, for what it matches.  ``.matches`` have
        ``.layer``, ``.unit``, ``.correlation``, ``.held_out`` (on the second half of the text),
        ``.confirmed`` and ``.cost`` (nats per token that the text costs more without the unit);
        ``.chance`` says what chance alone reaches among so many units.

        Example::

            found = model.find_units(Path("book.txt"), "re:[A-Z]+")
            print([(match.unit, match.held_out) for match in found.matches], found.chance)
        """
        from charlm.explain.search import FoundUnits, find_units

        within(1, top=top)
        return last_of(find_units(self.loaded, self._read(text), feature, layer, top), FoundUnits)

    @naming_unknown
    def memory(
        self, text: str | Path, *, against: str | Sequence[str] = (), reach: int = 100
    ) -> "list[Memory]":
        """How much predictions depend on what was read up to ``reach`` tokens before.

        ``.gradient`` and ``.change`` are curves over ``.lags``, with intervals: the norm of the
        gradient with respect to the state so far back, and by how many nats a prediction changes
        if the token there is another.  ``against`` are other cells, like ["rnn", "gru"]: a network
        of each is trained as this run was, into RUN-CELL, and its memory follows the run's own.

        Example::

            (memory,) = model.memory(Path("book.txt"), reach=20)
            print([(lag, each.value) for lag, each in zip(memory.lags, memory.change)])
        """
        from charlm.explain.memory import Memory
        from charlm.explain.rivals import compare_memory

        cells = several("against", against)
        records = compare_memory(self.loaded, self._read(text), cells, reach)
        return [record for record in records if isinstance(record, Memory)]

    def _read(self, text: str | Path) -> "TokenizedText":
        """The tokens of a text."""
        from charlm.explain.reading import read_text
        from charlm.inference.texts import take_corpus

        return read_text(self.loaded.tokenizer, take_corpus(self.loaded, text))


def numbers(given: int | Sequence[int] | None) -> Sequence[int] | None:
    """One number as a sequence; several, or None, as they are."""
    return given if given is None or isinstance(given, Iterable) else [int(given)]
