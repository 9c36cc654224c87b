"""Training on: what a run takes over from the run that it begins from, its base."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charlm.config import Config, Tables, merge
from charlm.config.rules import IdleSettingError
from charlm.data.batches import count_tokens
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.data.tokenizers.base import Tokenizer
from charlm.data.tokenizers.growth import KnownTokenizer, lists_symbols
from charlm.data.tokenizers.words import END_OF_LINE
from charlm.errors import ConfigError, CorpusError, TokenizerError
from charlm.model.devices import choose_device
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.counts import count_grams
from charlm.model.ngram.kneser_ney import NgramModel, model_of
from charlm.model.ngram.merging import merged_counts
from charlm.model.ngram.tensors import from_tensors
from charlm.storage.ancestor import Ancestor, ancestor_of, known_tokenizer_of, text_of
from charlm.storage.checkpoints import Checkpoint
from charlm.storage.run import Run, open_run
from charlm.training.counters import Counters
from charlm.training.reports import Note
from charlm.training.transfer.scores import bits_per_char
from charlm.training.transfer.weights import transferred

__all__ = [
    "Ancestry",
    "FirstModel",
    "base_text",
    "first_model",
    "inherit",
    "look_for_ancestry",
    "vocabulary_notes",
]

UNITS = {"char": "characters", "word": "words"}
MOST_NAMED = 12
"""New symbols that a note names, at most."""

FindRun = Callable[[str], Path]
"""Gives the folder of a run by its name; downloads the run if need be."""


@dataclass(frozen=True)
class Ancestry:
    """What a training takes over: the record of its base and the base's tokenizer.

    ``found`` is the checkpoint to begin with; None once the training has begun, which then needs
    its base no more.
    """

    ancestor: Ancestor
    tokenizer: Tokenizer
    found: Checkpoint | None = None

    @property
    def known(self) -> KnownTokenizer:
        """The vocabulary that the new text is read with, and may add to."""
        return KnownTokenizer(self.tokenizer, self.ancestor.grows)


@dataclass(frozen=True)
class FirstModel:
    """What a run with a base begins with: ``origin`` for its ``run.toml``, and the ``checkpoint``
    of step 0 of a network or the ``ngrams`` to add to.
    """

    origin: dict[str, Any]
    checkpoint: dict[str, Any] | None
    ngrams: NgramModel | None


def inherit(given: Tables, folder: Path, find_run: FindRun) -> Tables:
    """``given`` over the settings that a training takes over from ``training.base``: the shape of
    the model and the tokenizer.

    A run in ``folder`` that was begun from this base knows them itself.  Raises ``ConfigError``
    where ``given`` contradicts them or does nothing with them, and ``CheckpointError`` for a base
    that is no run.
    """
    name = str(given["training"]["base"])
    name = name if name.startswith("hf:") else str(Path(name))
    given = merge(given, {"training": {"base": name}})
    begun = open_run(folder) if (folder / "run.toml").is_file() else None
    if begun is None or begun.blank or begun.config.training.base != name:
        begun = open_base(name, folder, find_run)
    taken = shape_of(begun)
    for section, table in taken.items():
        for key, value in table.items():
            new = given.get(section, {}).get(key, value)
            free = section == "tokenizer" and key in ("vocab_size", "min_count")
            if new != value and not (free and taken["tokenizer"]["kind"] in UNITS):
                raise ConfigError(
                    f"{name} has `{section}.{key}={value!r}`, not {new}, and a model that is "
                    "trained on keeps its shape and its kind of tokens",
                    f"leave `{section}.{key}` out, or leave `training.base` out to train anew",
                )
    merged = merge(taken, given)
    try:
        Config.from_tables(merged)
    except IdleSettingError as error:
        if error.companion.partition(".")[0] not in taken:
            raise
        raise ConfigError(
            f"{error}, which {name} has", "leave it out, or leave `training.base` out to train anew"
        ) from error
    return merged


def open_base(name: str, folder: Path, find_run: FindRun) -> Run:
    """Open the run to begin from.  Raises ``ConfigError`` if it is the one in ``folder``."""
    base = find_run(name)
    if base.resolve() == folder.resolve():
        raise ConfigError(
            f"{folder} cannot begin from itself",
            f"to go on with it give `out={str(folder)!r}` alone; to train it on, another `out`",
        )
    return open_run(base)


def shape_of(run: Run) -> Tables:
    """The settings that a training takes over from its base; dropout is not among them."""
    config = run.config
    model = {key: value for key, value in config.model.to_table().items() if "drop" not in key}
    if config.model.kind == "ngram":
        model["order"] = config.model.order or run.checkpoint().step
    else:
        model["embedding_size"] = config.model.embedding
    return {"model": model, "tokenizer": config.tokenizer.to_table()}


def look_for_ancestry(
    begun: Run | None, config: Config, folder: Path, find_run: FindRun
) -> Ancestry | None:
    """What a training in ``folder`` takes over: as the run ``begun`` tells, else from
    ``training.base``; None without a base.
    """
    if begun is not None:
        base, known = ancestor_of(begun), known_tokenizer_of(begun)
        return Ancestry(base, known.tokenizer) if base and known else None
    if config.training.base is None:
        return None
    run = open_base(config.training.base, folder, find_run)
    tokenizer, found, earlier = run.tokenizer(), run.checkpoint(), ancestor_of(run)
    base = Ancestor(
        run=config.training.base, step=found.step, digest=run.origin["digest"],
        vocab_size=tokenizer.vocab_size,
        grows=lists_symbols(tokenizer) and not config.model.adaptive_softmax,
        known=earlier.vocab_size if earlier else 0, grew=bool(earlier and earlier.grows),
        data=run.config.data, tokenizer=run.config.tokenizer,
        others=(earlier.run, *earlier.others) if earlier else (), before={},
    )  # fmt: skip
    return Ancestry(base, tokenizer, found)


def base_text(
    ancestry: Ancestry, prepared: Prepared, *, required: bool
) -> Generator[Preparing | Note, None, Prepared | None]:
    """The text of the base, from the cache or its sources; None, and a note, if it is not here.

    Where training begins, notes compare its vocabulary with that of the text ``prepared``.  Raises
    ``CorpusError`` for a text that is ``required`` and not here, and ``TokenizerError`` for texts
    without common symbols.
    """
    if ancestry.found is not None:
        yield from vocabulary_notes(ancestry, prepared)
    base = ancestry.ancestor
    try:
        return (yield from text_of(base, ancestry.tokenizer))
    except CorpusError as error:
        if required:
            raise CorpusError(
                f"`training.keep_share` needs the text of {base.run}, which is not here: {error}",
                "restore that text, or train on without `training.keep_share`",
            ) from error
        yield Note(text=f"the text of {base.run} is not here, so how much of it is forgotten "
                   f"cannot be said: {error}")  # fmt: skip
        return None


def vocabulary_notes(ancestry: Ancestry, prepared: Prepared) -> Iterator[Note]:
    """What the vocabularies of the base and of the new text have in common.

    Raises ``TokenizerError`` if that is nothing but white space.
    """
    base, tokenizer = ancestry.ancestor, prepared.tokenizer
    from_base = f"begins with {base.run}, step {base.step:,}"
    if not lists_symbols(tokenizer):
        yield Note(text=f"{from_base}, and its {tokenizer.kind} tokenizer")
        return
    counts = count_tokens(prepared.train.tokens, tokenizer.vocab_size).tolist()
    begin, unit = tokenizer.vocab_size - len(tokenizer.symbols), UNITS[tokenizer.kind]
    known = tokenizer.symbols[: base.vocab_size - begin]
    new = tokenizer.symbols[base.vocab_size - begin :]
    shared = [each for id, each in enumerate(known, begin) if counts[id]]
    if not any(each.strip() and each != END_OF_LINE for each in shared):
        raise TokenizerError(
            f"the text has no {unit} in common with {base.run} but white space",
            "leave `training.base` out to train a model on this text alone",
        )
    named = ", ".join(map(repr, new[:MOST_NAMED])) + ", ..." * (len(new) > MOST_NAMED)
    rest = ", the others stay known" * (len(shared) < len(known))
    yield Note(
        text=f"{from_base}: {len(shared):,} of its {len(known):,} {unit} are in this text{rest}; "
        + (f"{len(new):,} new {unit}: {named}" if new else f"no new {unit}")
    )
    if not ancestry.ancestor.grows:
        yield Note(text=f"an adaptive softmax keeps its vocabulary: new {unit} are unknown")


def first_model(
    ancestry: Ancestry, config: Config, prepared: Prepared, old: Prepared | None
) -> FirstModel:
    """The model that a run begins with, scored on the new text and the ``old`` one.

    Raises ``ModelError`` if the base's weights do not fit its settings.
    """
    base, found = ancestry.ancestor, ancestry.found
    assert found is not None
    size, first, ngrams = prepared.tokenizer.vocab_size, None, None
    model: LanguageModel | NgramModel
    if config.model.kind == "ngram":
        ngrams = from_tensors(found.model, base.vocab_size)
        nothing = count_grams(prepared.train.tokens[:1], size, ngrams.order)
        model = model_of(merged_counts(ngrams, nothing))
    else:
        counts = count_tokens(prepared.train.tokens, size)
        model = transferred(found.model, config.model, base.vocab_size, prepared.tokenizer, counts)
        model.to(choose_device(config.training.device))
        counters = Counters(next_evaluation=1 / config.training.evaluations)
        state = {"counters": counters.to_table(), "best": None}
        first = {"model": model.tensors(), "state": state}
    scores = {
        "new": bits_per_char(model, prepared.valid, config),
        "old": bits_per_char(model, old.valid if old else None, config),
    }
    before = {name: value for name, value in scores.items() if value is not None}
    origin = {"base": replace(base, before=before).to_table()}
    return FirstModel(origin, first, ngrams)
