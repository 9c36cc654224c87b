"""From sources, names and files to all settings of a training, and the folder that it is for."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm.config import Config, Tables, lay_over, merge, read_toml, tables_of
from charlm.config.paths import path_of
from charlm.data.catalogue.index import expand, find
from charlm.errors import ConfigError, CorpusError
from charlm.storage.run import Run, open_run
from charlm.training.recipes import read_recipe
from charlm.training.setup.resuming import look_for_run
from charlm.training.transfer.ancestry import inherit

__all__ = ["TrainingRequest", "resolve"]

Sources = str | Path | Iterable[str | Path]

LONGEST_NAME = 50
"""Characters of a run's usual name: file systems take 255 bytes, those of a suffix included."""


@dataclass(frozen=True)
class TrainingRequest:
    """A training that was asked for: its settings, its run folder and, if nothing but that folder
    was named, the ``run`` to go on with.

    ``missing`` says why the text cannot be read yet, where that was allowed.
    """

    config: Config
    folder: Path
    run: Run | None = None
    missing: str = ""


def resolve(
    sources: Sources,
    out: str | Path | None,
    settings: Mapping[str, Any],
    find_run: Callable[[str], Path],
    *,
    need_text: bool = True,
) -> TrainingRequest:
    """All settings of a training.

    Each of these wins over those before it: the suggestions of a corpus card, the ``recipe`` and
    the ``config_file`` that ``settings`` name, the other ``settings`` (see ``tables_of``).  With
    ``out`` alone the settings of that run come first.  What nobody chose stays None.

    ``find_run`` gives the folder of the run ``training.base``, whose shape is taken over.  Raises
    ``ConfigError``, and ``CorpusError`` for a corpus that cannot be used, or, with ``need_text``,
    is not there yet.
    """
    named, folder = listed(sources), None if out is None else path_of("out", out)
    given = gathered(named, settings)
    based = given.get("training", {}).get("base") is not None
    alone = folder and not (named or settings.get("config_file") or settings.get("recipe"))
    if folder and alone and not (based and look_for_run(folder) is None):
        run = open_run(folder)
        config = Config.from_tables(lay_over(run.config.to_tables(), given))
        return TrainingRequest(config, folder, run)
    if not given.get("data", {}).get("sources"):
        raise ConfigError(
            "there is nothing to train on",
            "name a text, like book.txt, or a corpus, like python-docs",
        )
    if based:
        given = inherit(given, folder or usual_folder(given), find_run)
    config = Config.from_tables(given)
    config, missing = with_corpus(config, given, need_text)
    folder = folder or usual_folder(given)
    if (found := look_for_run(folder)) is not None:  # its generation settings, but for those given
        generation = dataclasses.replace(found.config.generation, **given.get("generation", {}))
        config = dataclasses.replace(config, generation=generation)
    return TrainingRequest(config, folder, missing=missing)


def gathered(named: list[str], settings: Mapping[str, Any]) -> Tables:
    """All that was given as section tables: a recipe, over it a file, over it the other settings,
    and the ``named`` sources.
    """
    others = dict(settings)
    recipe, config_file = others.pop("recipe", None), others.pop("config_file", None)
    given = tables_of(others)
    if config_file is not None:
        given = lay_over(read_toml(path_of("config_file", config_file)), given)
    if recipe is not None:
        known = read_recipe(recipe)
        given = lay_over(merge({"data": {"sources": [known.corpus]}}, known.settings), given)
    return merge(given, {"data": {"sources": named}}) if named else given


def listed(sources: Sources) -> list[str]:
    """Sources as a list of names.  Raises ``ConfigError`` for what is no name of a text."""
    if isinstance(sources, str | Path) or not isinstance(sources, Iterable):
        sources = [sources]
    every = list(sources)
    for source in every:
        if not isinstance(source, str | Path):
            raise ConfigError(f"this cannot be a source: {source!r}", "name texts by str or Path")
        if not str(source).strip():
            raise ConfigError("a source must not be empty", "name a file, a folder or a corpus")
        # Other than those of Path, these functions take a long text for no file, not for an error.
        if isinstance(source, str) and "\n" in source and not os.path.exists(source):  # noqa: PTH110
            raise CorpusError(
                f"`sources` names files, but a text was given: {source[:40]!r}...",
                "write the text to a file, and name that",
            )
        if os.path.isfile(Path(source) / "run.toml"):  # noqa: PTH113
            raise ConfigError(
                f"{source} is a run, not a text",
                f"name a text; to go on with a run give `out={str(source)!r}` alone",
            )
    return [str(source) for source in every]


def with_corpus(config: Config, given: Tables, need_text: bool) -> tuple[Config, str]:
    """``config`` with the texts and the suggestions of a corpus that its source names; why its
    texts are missing, or nothing.
    """
    missing = ""
    try:
        data, suggested = expand(config.data)
    except CorpusError as error:
        found = find(config.data.sources[0])
        if need_text or found is None:
            raise
        card, part = found
        data, suggested = config.data if part else card.data(config.data), card.settings
        missing = f"{error} ({error.hint})"
    # What a card suggests may do nothing beside what was given; what was given may not.
    useful = Config.from_tables(lay_over(suggested, given), drop_idle=True).to_tables()
    kept = {
        name: {key: value for key, value in table.items() if useful[name].get(key) == value}
        for name, table in suggested.items()
    }
    return dataclasses.replace(Config.from_tables(lay_over(kept, given)), data=data), missing


def usual_folder(given: Tables) -> Path:
    """``runs/NAME``, NAME made from the first source in ``given``."""
    data = Config.from_tables({"data": given.get("data", {})})
    source = with_corpus(data, {}, need_text=False)[0].data.sources[0]
    stem = Path(source).name.partition(".")[0] if source != "-" else "stdin"
    kept = "".join(char if char.isalnum() or char in "-_" else "-" for char in stem).strip("-")
    return Path("runs") / (kept[:LONGEST_NAME] or "text")
