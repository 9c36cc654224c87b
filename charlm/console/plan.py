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
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.model.language_model import LanguageModel
from charlm.training.reports import Note

__all__ = ["show_plan"]


def show_plan(
    folder: Path, records: Iterable[Preparing | Prepared | Note | Config], *, as_json: bool
) -> None:
    """Print the run folder, the text, the size of the model and all settings; as TOML or JSON."""
    with Display(folder) as display:
        for record in records:
            if isinstance(record, Config):
                config = record
                break
            display.show(record)
            if isinstance(record, Prepared):
                prepared = record
    plan: dict[str, Any] = {"run": str(folder)}
    if config.model.kind == "recurrent":  # n-grams are known when they are counted
        model = LanguageModel(config.model, prepared.tokenizer.vocab_size)
        plan["parameters"] = model.count_parameters()
    plan["text"] = counted(prepared)
    if as_json:
        print_json({"type": "plan", **plan, "settings": config.to_tables()})
    else:
        sys.stdout.write(tomli_w.dumps({**plan, **config.to_tables()}))
