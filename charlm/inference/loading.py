"""A trained run, ready to score and to write."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from charlm.data.cache import cache_folder
from charlm.data.preparation.prepared import Prepared, find_prepared, prepare
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus, open_corpus
from charlm.data.suffixes.building import Indexing, index_text
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import (
    CharlmError,
    CharlmWarning,
    CheckpointError,
    ConfigError,
    CorpusError,
    ModelError,
)
from charlm.inference.predictors.mixture import Mixture
from charlm.inference.predictors.ngram import NgramPredictor
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import NetworkPredictor, Recurrent
from charlm.model.devices import choose_device
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.tensors import from_tensors
from charlm.storage.ancestor import (
    Ancestor,
    ancestor_of,
    ancestors_of,
    known_tokenizer_of,
    text_of,
)
from charlm.storage.run import Run, open_run

__all__ = [
    "Loaded",
    "index_training_text",
    "load_part",
    "load_run",
    "open_for",
    "require_recurrent",
]


@dataclass(frozen=True, repr=False)
class Loaded:
    """A run with the model of one of its checkpoints on a device.

    ``tuned_on`` names the texts (files, or ``valid`` for the run's validation part) on which values
    of the model were tuned, so that it cannot be scored on them.
    """

    run: Run
    tokenizer: Tokenizer
    model: Predictor
    step: int
    tuned_on: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def name(self) -> str:
        """The run and its step, for people."""
        return f"{self.run.folder}, step {self.step:,}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}, {self.model.mode}>"


def load_run(folder: str | Path, step: int | None = None, device: str = "cpu") -> Loaded:
    """Load a run with the model of a step; without one, of the step that is best on validation,
    else the newest.

    Raises ``CheckpointError``, ``TokenizerError``, ``ModelError`` or ``ConfigError``.
    """
    run = open_run(Path(folder))
    tokenizer = run.tokenizer()
    chosen = choose_device(device)
    found, size = run.checkpoint(step), tokenizer.vocab_size
    try:
        model: Predictor
        if run.config.model.kind == "ngram":
            model = NgramPredictor(from_tensors(found.model, size))
        else:
            network = LanguageModel.from_tensors(run.config.model, size, found.model)
            model = Recurrent(network.eval().to(chosen))
    except ModelError as error:
        raise ModelError(f"{run.folder}, step {found.step:,}: {error}", error.hint) from None
    return Loaded(run, tokenizer, model, found.step)


def require_recurrent(loaded: Loaded) -> LanguageModel:
    """The network of a run.

    Raises ``ModelError`` for another kind of model, and for a network that methods of evaluation
    time or another run change the predictions of.
    """
    if isinstance(loaded.model, Recurrent):
        return loaded.model.network
    if isinstance(loaded.model, NetworkPredictor | Mixture):
        raise ModelError(
            f"this needs the network of {loaded.run.folder} alone, without methods of evaluation "
            "time and not mixed with another run",
            "use the model as it was loaded",
        )
    raise ModelError(
        f"{loaded.run.folder} holds no recurrent network, and this needs one",
        "name a run that was trained with `model.kind='recurrent'`",
    )


def open_for(
    loaded: Loaded, sources: tuple[str, ...], given: Mapping[str, str] | None = None
) -> Corpus:
    """Open text as the run's tokenizer takes it, with the run's data settings, or those ``given``.

    Raises ``CorpusError``, and ``ConfigError`` for an encoding where bytes are read.
    """
    raw = loaded.tokenizer.kind == "byte"
    given = given or {}
    if raw and "encoding" in given:
        raise ConfigError(
            f"the model of {loaded.run.folder} reads bytes, which have no encoding",
            "leave `encoding` out",
        )
    data = replace(loaded.run.config.data, **given)  # type: ignore[arg-type]
    return open_corpus(sources, data, raw=raw)


def load_part(loaded: Loaded, part: str) -> TokenStore:
    """The tokens of a part (train, valid or test) of the text the run was made from.

    Found in the cache, or prepared again from the text.  Raises ``CorpusError`` if the text has
    changed or was not divided so.
    """
    run = loaded.run
    if part not in run.origin.get("counts", {}):
        raise CorpusError(
            f"the run {run.folder} has no {part} part",
            "choose another part, or name a text to score",
        )
    # Known by its key alone: the text itself may be gone, or was standard input.
    digest = run.origin["digest"]
    kept = find_prepared(cache_folder(), digest)
    prepared = kept or prepare_again(run)
    if prepared.digest != digest:
        raise CorpusError(
            f"the text has changed since the run {run.folder} began",
            "restore the text, or name a text to score",
        )
    stores = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    store = stores[part]
    assert store is not None
    return store


def index_training_text(
    loaded: Loaded, *, folded: bool = False
) -> Iterator[Indexing | SuffixIndex]:
    """The sorted suffixes of the text that a run was trained on, and after it of those of the runs
    that it was begun from; the last record is the ``SuffixIndex``, which is kept in the cache.

    ``folded``: of the text without case and with single spaces.  A warning names the runs whose
    text is not here.  Raises what ``load_part`` and ``index_text`` do, and ``CorpusError`` for a
    run that tells no training text.
    """
    digest = loaded.run.origin.get("digest")
    if not digest or "train" not in loaded.run.origin.get("counts", {}):
        raise CorpusError(
            f"{loaded.run.folder} does not tell the text it was trained on, to compare with",
            "name a run that was trained here, on a text that is still there",
        )
    earlier = earlier_texts(loaded.run)
    return index_text(
        lambda: [load_part(loaded, "train"), *(text.train for text in earlier)],
        loaded.tokenizer,
        " ".join([digest, *(text.digest for text in earlier)]),
        cache_folder(),
        folded=folded,
    )


def earlier_texts(run: Run) -> list[Prepared]:
    """The texts of the runs that ``run`` was begun from, the nearest first, as far as they are
    here; a warning names the other runs.
    """
    base, texts = ancestor_of(run), list[Prepared]()
    missing = [base.run, *base.others] if base else []
    with suppress(CheckpointError):  # a base may be damaged meanwhile
        for each in ancestors_of(run):
            text = find_prepared(cache_folder(), each.digest) or prepared_text_of(each, run)
            if text is not None:
                texts.append(text)
                missing.remove(each.run)
    for name in missing:
        warnings.warn(
            f"{run.folder} was begun from {name}, whose text is not here: copies of it are not "
            "counted",
            CharlmWarning,
            stacklevel=2,
        )
    return texts


def prepared_text_of(base: Ancestor, run: Run) -> Prepared | None:
    """The text of a run that ``run`` was begun from, from its sources; None where it is gone."""
    work = text_of(base, run.tokenizer())
    try:
        while True:
            next(work)
    except StopIteration as end:
        text: Prepared = end.value
        return text
    except CharlmError:
        return None


def prepare_again(run: Run) -> Prepared:
    """The prepared text of a run whose tokens are no longer in the cache."""
    arguments = (run.config.data, run.config.tokenizer, cache_folder())
    try:
        records = list(prepare(*arguments, known=known_tokenizer_of(run)))
    except CorpusError as error:
        raise CorpusError(
            f"the text of the run {run.folder} is not in the cache, and {error}",
            f"{error.hint}, or run this where it was trained",
        ) from error
    prepared = records[-1]
    assert isinstance(prepared, Prepared)
    return prepared
