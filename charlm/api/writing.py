"""The methods of ``charlm.Model`` that generate text."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any

from charlm.api.arguments import naming_unknown, require
from charlm.config import GenerationConfig
from charlm.inference.generation import text as generation
from charlm.inference.generation.text import Sample
from charlm.inference.loading import Loaded
from charlm.inference.predictors.recurrent import in_precision

__all__ = ["Writing"]

Prompts = str | list[str] | tuple[str, ...]


class Writing:
    """The part of ``charlm.Model`` that generates text."""

    loaded: Loaded

    @naming_unknown
    def generate(
        self,
        prompt: Prompts = "",
        *,
        samples: int | None = None,
        seed: int | None = None,
        length: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: str | Sequence[str] = (),
        past_end: bool = False,
        replace_unknown: str | None = None,
        precision: str = "float32",
    ) -> Any:
        """Generate text: the prompt and its continuation, as ``charlm generate`` prints them.

        ``length`` (500) counts the characters of the continuation, which ends sooner before a
        ``stop`` text or where the model ends the document, unless ``past_end``.  It and
        ``temperature`` (0.8), ``top_k``, ``top_p``, ``min_p`` are the run's settings unless given.
        The same ``seed`` gives the same text; without one it is random.  ``replace_unknown`` is
        put for characters the model has never seen; ``precision="int8"`` rounds the weights.
        Returns a ``str``; a list of ``samples`` texts, of the seeds ``seed``, ``seed + 1``, ...;
        for a list of prompts a list of such results.

        Example::

            print(model.generate("It was", length=80, temperature=0.5, seed=1))
            first, second = model.generate("It was", length=20, samples=2)
        """
        require("samples", samples, (int, NoneType), "a whole number")
        config = self._settings(seed, length, temperature, top_k, top_p, min_p)
        model = in_precision(self.loaded.model, precision)
        prompts = prompt if isinstance(prompt, list | tuple) else [prompt]
        texts = [self._replaced(text, replace_unknown) for text in prompts]
        return generation.generate(
            model, self.loaded.tokenizer, texts if prompts is prompt else texts[0], config,
            samples=samples, seed=seed, stop=stops(stop), past_end=past_end,
        )  # fmt: skip

    @naming_unknown
    def stream(
        self,
        prompt: str = "",
        *,
        seed: int | None = None,
        length: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: str | Sequence[str] = (),
        past_end: bool = False,
        replace_unknown: str | None = None,
        precision: str = "float32",
    ) -> Sample:
        """Generate text piece by piece: whole characters of the continuation, as they are made.

        The arguments are those of ``generate``.  The prompt is not repeated: the prompt and all
        pieces make the text that ``generate`` returns for the same seed.  A piece is the text of
        one token, or of a few where characters or stop texts need several.  After the end
        ``.finish`` says why the text is over ("length", "stop" or "end"); ``.seed`` is its seed.

        Example::

            for piece in model.stream("It was", length=80):
                print(piece, end="", flush=True)
        """
        config = self._settings(seed, length, temperature, top_k, top_p, min_p)
        model = in_precision(self.loaded.model, precision)
        return generation.stream(
            model, self.loaded.tokenizer, self._replaced(prompt, replace_unknown), config,
            seed=seed, stop=stops(stop), past_end=past_end,
        )  # fmt: skip

    def _settings(self, seed: int | None, *given: float | None) -> GenerationConfig:
        """The run's generation settings with those of ``given`` that are not None.

        Raises ``ConfigError`` for a wrong value, and for a ``seed`` that is no number.
        """
        require("seed", seed, (int, NoneType), "a whole number")
        names = ("length", "temperature", "top_k", "top_p", "min_p")
        chosen: dict[str, Any] = {
            name: value for name, value in zip(names, given, strict=True) if value is not None
        }
        return replace(self.loaded.run.config.generation, **chosen)

    def _replaced(self, prompt: str, replacement: str | None) -> str:
        """``prompt`` with ``replacement`` for what the model has never seen, if there is one."""
        require("prompt", prompt, (str,), "a str, or a list of them")
        return generation.replace_symbols(self.loaded.tokenizer, prompt, replacement)


def stops(stop: str | Sequence[str]) -> list[str]:
    """The texts to end at.  Raises ``ConfigError`` for anything but a str or several."""
    every = [stop] if isinstance(stop, str) or not isinstance(stop, Iterable) else list(stop)
    for each in every:
        require("stop", each, (str,), "a str, or a list of them")
    return every
