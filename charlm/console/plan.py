"""What would be trained."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w

from charlm.config import Config
from charlm.console.reports import counted
from charlm.console.streams import print_json
from charlm.console.training import Display
from charlm.data.preparation import Prepared, Preparing
from charlm.model.language_model import LanguageModel

__all__ = ["show_plan"]


def show_plan(
    config: Config, folder: Path, records: Iterable[Preparing | Prepared], *, as_json: bool
) -> None:
    """Print the run folder, the text, the size of the model and all settings; as TOML or JSON."""
    prepared = None
    with Display(folder) as display:
        for record in records:
            display.show(record)
            prepared = record
    assert isinstance(prepared, Prepared)
    plan: dict[str, Any] = {"run": str(folder)}
    if (
        config.model.kind == "recurrent"
    ):  # how many n-grams there are is known when they are counted
        model = LanguageModel(config.model, prepared.tokenizer.vocab_size)
        plan["parameters"] = model.count_parameters()
    plan["text"] = counted(prepared)
    if as_json:
        print_json({"type": "plan", **plan, "settings": config.to_tables()})
    else:
        sys.stdout.write(tomli_w.dumps({**plan, **config.to_tables()}))
