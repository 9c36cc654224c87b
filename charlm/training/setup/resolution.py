"""From sources, names and files to all settings of a training, and the folder that it is for."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm.config import Config, Tables, lay_over, merge, read_toml, tables_of
from charlm.data.catalogue.index import expand, find
from charlm.errors import ConfigError, CorpusError
from charlm.storage.run import Run, open_run
from charlm.training.recipes import read_recipe
from charlm.training.setup.resuming import look_for_run
from charlm.training.transfer.ancestry import inherit

__all__ = ["TrainingRequest", "default_folder", "resolve"]

Sources = str | Path | Iterable[str | Path]


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


NAME_A_TEXT = "name a text, like book.txt, or a corpus, like python-docs"


def resolve(
    sources: Sources,
    out: str | Path | None,
    settings: Mapping[str, Any],
    *,
    recipe: str | None = None,
    config_file: str | Path | None = None,
    need_text: bool = True,
    find_run: Callable[[str], Path] = Path,
) -> TrainingRequest:
    """All settings of a training.

    Each of these wins over those before it: the suggestions of a corpus card, the recipe, the
    file, ``settings`` (see ``tables_of``).  With ``out`` alone the settings of that run come
    first.  What nobody chose stays None.

    ``find_run`` gives the folder of the run ``training.base``, whose shape is taken over.  Raises
    ``ConfigError``, and ``CorpusError`` for a corpus that cannot be used, or, with ``need_text``,
    is not there yet.
    """
    named, given = listed(sources), tables_of(settings)
    if config_file is not None:
        given = lay_over(read_toml(Path(config_file)), given)
    if recipe is not None:
        known = read_recipe(recipe)
        given = lay_over(merge({"data": {"sources": [known.corpus]}}, known.settings), given)
    if named:
        given = merge(given, {"data": {"sources": named}})
    if out is not None and not (named or config_file or recipe):
        run = open_run(Path(out))
        config = Config.from_tables(lay_over(run.config.to_tables(), given))
        return TrainingRequest(config, Path(out), run)
    if given.get("training", {}).get("base") is not None:
        given = inherit(given, folder_for(out, given), find_run)
    config = Config.from_tables(given)
    if not config.data.sources:
        raise ConfigError("there is nothing to train on", NAME_A_TEXT)
    config, missing = with_corpus(config, given, need_text)
    folder = folder_for(out, given)
    return TrainingRequest(with_generation(config, given, folder), folder, missing=missing)


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
        if (Path(source) / "run.toml").is_file():
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


def with_generation(config: Config, given: Tables, folder: Path) -> Config:
    """``config`` with the generation settings of the run in ``folder`` that were not given now."""
    run = look_for_run(folder)
    if run is None:
        return config
    generation = run.config.generation.to_table() | given.get("generation", {})
    return dataclasses.replace(config, generation=type(config.generation).from_table(generation))


def folder_for(out: str | Path | None, given: Tables) -> Path:
    """The run folder: ``out``, else one that is named after the text in ``given``."""
    if out is not None:
        return Path(out)
    data = Config.from_tables({"data": given.get("data", {})})
    return default_folder(with_corpus(data, {}, need_text=False)[0])


def default_folder(config: Config) -> Path:
    """``runs/NAME``, NAME made from the first source."""
    source = config.data.sources[0]
    stem = Path(source).name.partition(".")[0] if source != "-" else "stdin"
    kept = "".join(char if char.isalnum() or char in "-_" else "-" for char in stem).strip("-")
    return Path("runs") / (kept or "text")
