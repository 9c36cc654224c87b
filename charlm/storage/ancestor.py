"""The run that another run was begun from, as that one's ``run.toml`` records it."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.cache import cache_folder
from charlm.data.preparation.prepared import Prepared, Preparing, find_prepared, prepare_again
from charlm.data.tokenizers.base import Tokenizer
from charlm.data.tokenizers.growth import KnownTokenizer, shortened
from charlm.errors import CharlmError, CheckpointError, CorpusError
from charlm.storage.run import Run, open_run

__all__ = ["Ancestor", "ancestor_of", "ancestors_of", "known_tokenizer_of", "text_of"]


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """The base ``run`` and the ``step`` of the checkpoint that was taken over.

    ``digest``, ``data`` and ``tokenizer`` say what its text is; its vocabulary has ``vocab_size``
    ids, the first ``known`` of which it took over itself (0: none).  ``grows``: the new text added
    symbols to it, and ``grew``: so did the text of the base.  ``before``: bits per character of
    the model as it was taken over, on the validation text that is ``new`` and on the ``old`` one.
    ``others`` are the runs that the base was made from, the nearest first.
    """

    run: str
    step: int
    digest: str
    vocab_size: int
    grows: bool
    known: int
    grew: bool
    data: DataConfig
    tokenizer: TokenizerConfig
    others: tuple[str, ...]
    before: Mapping[str, float]

    def to_table(self) -> dict[str, Any]:
        """The record as a TOML table."""
        sections = {"data": self.data.to_table(), "tokenizer": self.tokenizer.to_table()}
        return asdict(self) | sections | {"others": list(self.others), "before": dict(self.before)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Read the table.  Raises ``KeyError``, ``TypeError``, ``ValueError``, ``ConfigError``."""
        record = cls(
            **{
                **table,
                "data": DataConfig.from_table(table["data"]),
                "tokenizer": TokenizerConfig.from_table(table["tokenizer"]),
                "others": tuple(map(str, table["others"])),
                "before": {str(name): float(value) for name, value in table["before"].items()},
            }
        )
        kinds = {"run": str, "digest": str, "grows": bool, "grew": bool}
        kinds |= dict.fromkeys(("step", "vocab_size", "known"), int)
        for name, kind in kinds.items():
            if type(getattr(record, name)) is not kind:
                raise TypeError(f"{name} is {getattr(record, name)!r}")
        return record


def ancestor_of(run: Run) -> Ancestor | None:
    """The run that ``run`` was begun from, if there is one.  Raises ``CheckpointError``."""
    if "base" not in run.origin:
        return None
    try:
        return Ancestor.from_table(run.origin["base"])
    except (AttributeError, KeyError, TypeError, ValueError, CharlmError) as error:
        raise CheckpointError(
            f"{run.folder / 'run.toml'}: [origin.base] cannot be read: {error}",
            "restore the file, or train anew into another `out=FOLDER`",
        ) from error


def known_tokenizer_of(run: Run) -> KnownTokenizer | None:
    """The tokenizer that ``run`` took over from its base; None without a base.

    Raises ``TokenizerError`` or ``CheckpointError``.
    """
    base = ancestor_of(run)
    if base is None:
        return None
    return KnownTokenizer(shortened(run.tokenizer(), base.vocab_size), base.grows)


def ancestors_of(run: Run) -> Iterator[Ancestor]:
    """The runs that ``run`` descends from, the nearest first, as far as they are here."""
    base = ancestor_of(run)
    while base is not None:
        yield base
        if not base.others or not (Path(base.run) / "run.toml").is_file():
            return
        run = open_run(Path(base.run))
        base = ancestor_of(run) if run.origin.get("digest") == base.digest else None


def text_of(base: Ancestor, tokenizer: Tokenizer) -> Generator[Preparing, None, Prepared]:
    """The text of a base, from the cache or its sources.

    ``tokenizer`` is the base's, or that of a run that descends from it.  Raises ``CorpusError`` for
    a text that is not here.
    """
    known = KnownTokenizer(shortened(tokenizer, base.known), base.grew) if base.known else None
    every = (*base.data.sources, *base.data.valid, *base.data.test)
    if every and "-" not in every:
        text = prepare_again(base.digest, base.data, base.tokenizer, cache_folder(), known)
        return (yield from text)
    kept = find_prepared(cache_folder(), base.digest, whole=True)
    if kept is None:
        raise CorpusError("it was no file, and is no longer in the cache", "name a text")
    return kept
