"""A plugin of the program ``llm`` (llm.datasette.io): ``llm -m charlm -o run runs/book "It was"``.

Where charlm and llm are installed together, llm finds it by its entry point.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import llm
from pydantic import Field

from charlm.errors import CharlmError
from charlm.inference.loading import Loaded, load_run

__all__ = ["CharlmModel", "register_models"]

loaded_run = lru_cache(maxsize=2)(load_run)
"""Loads a run once for all the prompts of a conversation."""


@llm.hookimpl
def register_models(register: Callable[[Any], None]) -> None:
    """Tell llm of the model "charlm"."""
    register(CharlmModel())


class CharlmModel(llm.Model):
    """A run, which continues the prompt; it does not answer questions."""

    model_id = "charlm"
    can_stream = True

    class Options(llm.Options):
        """What ``-o NAME VALUE`` sets."""

        run: str = Field(default="runs/demo", description="The folder of a run")
        length: int | None = Field(default=None, description="Characters of the continuation")
        temperature: float | None = Field(default=None, description="0: the likeliest token")
        top_k: int | None = Field(default=None, description="Sample from so many tokens")
        top_p: float | None = Field(default=None, description="Sample from this share")
        seed: int | None = Field(default=None, description="The same seed gives the same text")

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """Yield the continuation of a prompt, piece by piece.

        Raises ``llm.ModelError`` with the cause and the way out of an error of charlm.
        """
        from dataclasses import replace

        from charlm.inference.generation import text

        given = {name: value for name, value in prompt.options if value is not None}
        try:
            loaded: Loaded = loaded_run(given.pop("run"))
            seed = given.pop("seed", None)
            config = replace(loaded.run.config.generation, **given)
            yield from text.stream(
                loaded.model, loaded.tokenizer, prompt.prompt or "", config, seed=seed
            )
        except CharlmError as error:
            raise llm.ModelError(f"{error}; try: {error.hint}") from None
