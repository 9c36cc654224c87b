"""The methods of ``charlm.Model`` that generate text."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from charlm.api.arguments import last_of, naming_unknown, require, several, within
from charlm.config import GenerationConfig
from charlm.config.paths import path_of
from charlm.data.suffixes.index import SuffixIndex
from charlm.inference.generation import text as generation
from charlm.inference.generation.modes import refuse_idle, write_texts
from charlm.inference.generation.pieces import Sample
from charlm.inference.generation.search.filling import fill
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.loading import Loaded, index_training_text
from charlm.inference.predictors.recurrent import in_precision

__all__ = ["Writing"]

Prompts = str | list[str] | tuple[str, ...]


class Writing:
    """The part of ``charlm.Model`` that generates text."""

    loaded: Loaded

    @naming_unknown
    def generate(
        self, prompt: Prompts = "", *, samples: int | None = None, seed: int | None = None,
        stop: str | Sequence[str] = (), past_end: bool = False, best_of: int = 1,
        beam: int | None = None, state: str | Path | None = None,
        replace_unknown: str | None = None, precision: str = "float32", **settings: Any,
    ) -> Any:  # fmt: skip
        """Generate text: the prompt and its continuation, as ``charlm generate`` prints them.

        ``settings`` are those of ``generation`` (docs/settings.md): ``length`` (500, characters of
        the continuation), ``temperature`` (0.8), ``top_k``, ``top_p``, ``min_p``, ``pattern``,
        ``max_copy`` (most characters in a row from the training text) and others; the run's
        settings unless given.  A text ends sooner before a ``stop`` text or where
        the model ends the document, unless ``past_end``.  The same ``seed`` gives the same text;
        without one it is random.  ``best_of`` keeps the most probable of so many texts, ``beam``
        searches for the most probable one; ``state`` is a file that keeps what the model knows
        after the text, to go on later.  ``replace_unknown`` is put for characters the model has
        never seen; ``precision="int8"`` rounds the weights.
        Returns a ``str``; a list of ``samples`` texts, of the seeds ``seed``, ``seed + 1``, ...;
        for a list of prompts a list of such results.

        Example::

            print(model.generate("It was", length=80, temperature=0.5, seed=1))
            first, second = model.generate("It was", length=20, samples=2)
            print(model.generate("It was", pattern="It was [a-z ]{5,30}", repetition_penalty=1.1))
        """
        within(1, best_of=best_of, beam=beam)
        config = self._settings(settings, "beam" if beam else None)
        model = in_precision(self.loaded.model, precision)
        given = prompt if isinstance(prompt, list | tuple) else [prompt]
        prompts = [self._replaced(text, replace_unknown) for text in given]
        written = write_texts(
            model, self.loaded.tokenizer, prompts, config,
            seeds=generation.seeds_for(seed, samples), best_of=best_of, beam=beam or 0,
            state=None if state is None else path_of("state", state),
            stop=several("stop", stop), past_end=past_end,
            training_text=self._training_text(config),
        )  # fmt: skip
        results = generation.grouped(written, samples)
        return results if given is prompt else results[0]

    @naming_unknown
    def stream(
        self, prompt: str = "", *, seed: int | None = None, stop: str | Sequence[str] = (),
        past_end: bool = False, replace_unknown: str | None = None, precision: str = "float32",
        **settings: Any,
    ) -> Sample:  # fmt: skip
        """Generate text piece by piece: whole characters of the continuation, as they are made.

        The arguments are those of ``generate``.  The prompt is not repeated: the prompt and all
        pieces make the text that ``generate`` returns for the same seed.  A piece is the text of
        one token, or of a few where characters or stop texts need several.  After the end
        ``.finish`` says why the text is over ("length", "stop" or "end"); ``.seed`` is its seed,
        and ``.written`` are its tokens, each with ``text`` and ``log_prob`` in nats.

        Example::

            for piece in model.stream("It was", length=80):
                print(piece, end="", flush=True)
        """
        config, texts = self._settings(settings), several("stop", stop)
        model = in_precision(self.loaded.model, precision)
        generation.warn_of_stops(self.loaded.tokenizer, texts)
        return generation.stream(
            model, self.loaded.tokenizer, self._replaced(prompt, replace_unknown), config,
            seed=seed, stop=texts, past_end=past_end, training_text=self._training_text(config),
        )  # fmt: skip

    @naming_unknown
    def fill(
        self, text: str, *, samples: int | None = None, gap_length: int = 20, beam: int = 50,
        replace_unknown: str | None = None, **settings: Any,
    ) -> Any:  # fmt: skip
        """Fill the gaps of a text, ``___``, with what makes the whole most probable.

        A gap takes 1 to ``gap_length`` characters; ``beam`` beginnings are followed at each length.
        ``settings`` may be ``banned`` or ``allowed`` characters, and ``max_copy``.  Returns the
        text; with ``samples`` a list of so many, which differ in the last gap, the best first.

        Example::

            print(model.fill("It was the ___ of times."))
        """
        config = self._settings(settings, "fill")
        found = fill(
            self.loaded.model, self.loaded.tokenizer, self._replaced(text, replace_unknown),
            config, gap_length=gap_length, width=beam, count=generation.check_count(samples),
            training_text=self._training_text(config),
        )  # fmt: skip
        return found[0].text if samples is None else [each.text for each in found]

    @naming_unknown
    def write_session(
        self, text: str = "", *, seed: int | None = None, **settings: Any
    ) -> WritingSession:
        """A text to write together with the model, as ``charlm write`` does in the terminal.

        It begins with ``text``; ``settings`` are those of ``generation``.  The first continuation
        has the ``seed``, each further one the next.

        Example::

            session = model.write_session("It was", seed=1, temperature=0.7)
            session.extend("word")
            print(session.likeliest(5, by="word"))
            session.regenerate()
            session.undo()
            print(session.text)
        """
        config = self._settings(settings)
        return WritingSession(
            self.loaded.model, self.loaded.tokenizer, config, text=text, seed=seed,
            training_text=self._training_text(config),
        )  # fmt: skip

    def _settings(self, given: Mapping[str, Any], mode: str | None = None) -> GenerationConfig:
        """The run's generation settings with those of ``given`` that are not None.

        Raises ``ConfigError`` for a wrong value, and for one that does nothing with ``mode``.
        """
        chosen = {name: value for name, value in given.items() if value is not None}
        refuse_idle(mode, chosen)
        return replace(self.loaded.run.config.generation, **chosen)

    def _training_text(self, config: GenerationConfig) -> SuffixIndex | None:
        """The index of the run's training text, if ``max_copy`` needs it."""
        return last_of(index_training_text(self.loaded), SuffixIndex) if config.max_copy else None

    def _replaced(self, prompt: str, replacement: str | None) -> str:
        """``prompt`` with ``replacement`` for what the model has never seen, if there is one."""
        require("prompt", prompt, (str,), "a str, or a list of them")
        return generation.replace_symbols(self.loaded.tokenizer, prompt, replacement)
