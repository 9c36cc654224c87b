"""A text that a person and a model write together, without a terminal."""

import dataclasses
import re
from collections.abc import Generator, Iterator
from typing import Any, Literal, NamedTuple, get_args

import torch

from charlm.config import GenerationConfig
from charlm.config.whole import refuse_unknown
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CharlmError, ConfigError
from charlm.inference.generation.constraints.copying import copy_limits
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.lanes import Lanes
from charlm.inference.generation.pieces import Finish, Sample, pieces_of
from charlm.inference.generation.sampling import Start
from charlm.inference.generation.symbols import bias_of
from charlm.inference.generation.text import (
    DEFAULTS,
    check_seeds,
    checked_prompts,
    random_seed,
    rules_for,
)
from charlm.inference.generation.writing.candidates import (
    Candidate,
    likeliest_tokens,
    likeliest_words,
)
from charlm.inference.generation.writing.incremental import IncrementalReader
from charlm.inference.generation.writing.units import LONGEST, TextUnit, check_unit, last_unit
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.predictor import Predictor

__all__ = ["Edit", "WritingSession"]

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""What a keyboard does not write: control characters other than tab and line break, and lone
surrogates."""


class Edit(NamedTuple):
    """A change at the end of a text: from ``start`` on, ``removed`` became ``added``.

    ``unit`` is what the model wrote; None for what a person did, ``typed`` or otherwise.
    """

    start: int
    removed: str
    added: str
    unit: TextUnit | None = None
    typed: bool = False


class WritingSession:
    """A text in the making: a person types at its end, chooses among the likeliest words, or lets
    the model continue; every change can be undone.

    ``text`` is the text so far, ``seed`` that of the next continuation (it grows by 1 with each),
    ``config`` the settings of generation, and ``finish`` says why the last continuation ended.  The
    model reads only what has changed since it was last asked.
    """

    def __init__(
        self,
        model: Predictor,
        tokenizer: Tokenizer,
        config: GenerationConfig = DEFAULTS,
        *,
        text: str = "",
        seed: int | None = None,
        training_text: SuffixIndex | None = None,
    ) -> None:
        """Raises ``ConfigError`` for settings that need a length, for a seed out of range, for a
        ``text`` that is none, and for ``config.max_copy`` without the index of the
        ``training_text``.
        """
        self.tokenizer, self.training_text = tokenizer, training_text
        (self.text,) = checked_prompts(text)
        self.seed = random_seed() if seed is None else seed
        check_seeds([self.seed])
        self.finish: Finish | None = None
        self.done: list[Edit] = []
        self.undone: list[Edit] = []
        self.reader = IncrementalReader(open_decoder(model))
        self.config = config
        self.change()

    def change(self, **settings: Any) -> None:
        """Change settings of generation, such as ``temperature``, from here on.

        Raises ``ConfigError`` for wrong ones, and keeps those of before.
        """
        for name in settings:
            refuse_unknown(GenerationConfig.name, name)
        config = dataclasses.replace(self.config, **settings)
        if config.pattern:
            raise ConfigError(
                "`pattern` is for a whole text, which a writing session does not have",
                "leave `pattern` out",
            )
        copy_limits(self.tokenizer, config, self.training_text)  # raises where it is missing
        for unit in get_args(TextUnit):
            for_unit(config, unit)
        bias_of(self.tokenizer, config)  # raises for what the vocabulary cannot follow
        self.config = config

    @property
    def ids(self) -> list[int]:
        """The token ids of the text, after the boundary that it begins with."""
        return [self.tokenizer.boundary_id, *self.tokenizer.encode(self.text).tolist()]

    @property
    def mark(self) -> int:
        """Where the last continuation begins, which ``regenerate`` replaces; the length of the
        text where something else was done after it.
        """
        last = self.done[-1] if self.done else None
        return last.start if last and last.unit else len(self.text)

    @property
    def unknown(self) -> list[str]:
        """The characters or words of the text that the model has never seen."""
        return list(self.tokenizer.unknown(self.text))

    def type(self, text: str) -> None:
        """Write ``text`` at the end; what no keyboard writes is left out.

        The characters of a word are one change when they are typed one by one.
        """
        added = UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        last = self.done[-1] if self.done else None
        if last and added and goes_on(last, added):
            self.done.pop()
            self.text = self.text[: last.start]
            added = last.added + added
        self.apply(Edit(len(self.text), "", added, typed=True))

    def choose(self, text: str) -> None:
        """Write a candidate at the end, exactly."""
        self.apply(Edit(len(self.text), "", text))

    def take_back(self, unit: TextUnit = "word") -> str:
        """Remove the last character, word, line or paragraph; returns what was removed."""
        removed = last_unit(self.text, check_unit(unit))
        self.apply(Edit(len(self.text) - len(removed), removed, ""))
        return removed

    def extend(self, unit: TextUnit = "word") -> str:
        """Let the model go on by a unit; returns what it wrote, which is empty where it would end
        the text.
        """
        return "".join(self.extending(unit))

    def extending(self, unit: TextUnit = "word") -> Generator[str]:
        """Like ``extend``, piece by piece; closing the iterator keeps what was written so far.

        The text grows with the pieces and must not be changed otherwise meanwhile.
        """
        return self.replacing(len(self.text), check_unit(unit))

    def regenerate(self) -> str:
        """Write the last continuation anew, with another seed; returns what was written.

        Raises ``ConfigError`` where the text does not end with one.
        """
        return "".join(self.regenerating())

    def regenerating(self) -> Generator[str]:
        """Like ``regenerate``, piece by piece, as ``extending`` does."""
        last = self.done[-1] if self.done else None
        if last is None or last.unit is None:
            raise ConfigError(
                "the text does not end with what the model wrote", "let it continue first"
            )
        return self.replacing(last.start, last.unit)

    def undo(self) -> bool:
        """Take back the last change; False where there is none."""
        if not self.done:
            return False
        edit = self.done.pop()
        self.undone.append(edit)
        self.text = self.text[: edit.start] + edit.removed
        return True

    def redo(self) -> bool:
        """Make the change again that was undone last; False where there is none."""
        if not self.undone:
            return False
        edit = self.undone.pop()
        self.done.append(edit)
        self.text = self.text[: edit.start] + edit.added
        return True

    def likeliest(self, count: int = 8, by: Literal["token", "word"] = "token") -> list[Candidate]:
        """What follows most probably, at temperature 1 and without filters, as the model says.

        By ``token``: characters, pieces or words, as the model's tokenizer has them; by ``word``
        as ``likeliest_words`` finds them.
        """
        with torch.inference_mode():
            decoder = self.reader.read(self.ids)
            if by == "word":
                return likeliest_words(decoder, self.tokenizer, self.text, count)
            return likeliest_tokens(decoder.log_probs[0].cpu(), self.tokenizer, self.text, count)

    def reading(self) -> Iterator[int]:
        """Let the model read the text, which all else needs; yields how many tokens it has read,
        now and then.
        """
        return self.reader.reading(self.ids)

    def apply(self, edit: Edit) -> None:
        """Make a change, unless it changes nothing."""
        if edit.removed == edit.added:
            return
        self.text = self.text[: edit.start] + edit.added
        self.done.append(edit)
        self.undone.clear()

    def replacing(self, start: int, unit: TextUnit) -> Generator[str]:
        """Write a unit in place of the text from ``start`` on, piece by piece."""
        removed, self.text = self.text[start:], self.text[:start]
        added = ""
        try:
            for piece in self.sample(unit):
                added += piece
                self.text += piece
                yield piece
        except CharlmError:
            added = removed
            raise
        finally:
            self.text = self.text[:start] + removed
            self.apply(Edit(start, removed, added, unit))

    def sample(self, unit: TextUnit) -> Iterator[str]:
        """The pieces that the model writes after the text; where it would end the text at once, it
        must go on instead.
        """
        text, seed, left = self.text, self.seed, LONGEST[unit]
        self.seed += 1
        for may_end in (True, False):
            sample = self.start(text, seed, unit, may_end=may_end)
            for piece in sample:
                yield piece
                left -= len(piece)
                if left <= 0:
                    sample.close()
                    break
            self.finish = sample.finish
            if left < LONGEST[unit] or sample.finish != "end":
                break

    def start(self, text: str, seed: int, unit: TextUnit, *, may_end: bool) -> Sample:
        """The sample that follows ``text``, as ``generate`` makes it."""
        config = for_unit(self.config, unit)
        rules = rules_for(self.tokenizer, config, [text], self.training_text)
        if not may_end:
            rules.logit_bias[self.tokenizer.boundary_id] = -torch.inf
        states = tuple(limit.start(text) for limit in rules.constraints)
        start = Start(tuple(self.ids), seed, states)
        tokens = Lanes({start.ids: self.reader.read(start.ids)}, rules, [start]).blocks(0)
        pieces = pieces_of(self.tokenizer, (text, start.ids[1:]), tokens, Ending(config))
        return Sample(text, seed, pieces)


def for_unit(config: GenerationConfig, unit: TextUnit) -> GenerationConfig:
    """The settings with which one such unit is written.  Raises ``ConfigError``."""
    return dataclasses.replace(config, length=1, unit=f"{unit}s", whole="none")


def goes_on(last: Edit, added: str) -> bool:
    """Whether typing ``added`` goes on with the word that was typed last."""
    return last.typed and len(added) == 1 and (added.isspace() or not last.added[-1:].isspace())
