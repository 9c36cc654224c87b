"""The options ``--mix`` and ``--mix-weight``."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from charlm.cli.frame import option
from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.data.preparation.store import TokenStore
    from charlm.data.sources.corpora import Corpus
    from charlm.inference.loading import Loaded

__all__ = ["Mix", "mix_options"]

Mix: TypeAlias = "Callable[..., Loaded]"
"""A function (run, texts that will be scored) -> the run mixed with another one, or the run itself
without ``--mix``.  It prints a weight that was tuned."""


other_option = option(
    "--mix", "other", type=click.Path(path_type=Path), metavar="RUN2", heading="Mixture",
    help="Mix the probabilities of RUN with those of RUN2.",
)  # fmt: skip

weight_option = option(
    "--mix-weight", "weight", type=click.FloatRange(0, 1), metavar="X", heading="Mixture",
    help="Weight of RUN in the mixture.  [default: tuned on RUN's validation text]",
)  # fmt: skip


def mix_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--mix`` and ``--mix-weight``; they reach the command as one function, ``mix``."""

    @other_option
    @weight_option
    @functools.wraps(command)
    def with_mix(other: Path | None, weight: float | None, **arguments: Any) -> Any:
        if other and weight is None and arguments.get("part") == "valid":
            raise ConfigError(
                "the weight of --mix would be tuned on the valid part, which is also scored",
                "score another text, or give the weight: --mix-weight 0.5",
            )

        def mix(
            loaded: "Loaded", scored: "Iterable[Corpus | TokenStore]" = (), *, tell: bool = True
        ) -> "Loaded":
            from charlm.console.streams import print_named, talk
            from charlm.inference.adaptation.mixing import mixed

            mixture = mixed(loaded, other, weight, scored)
            if other and weight is None and tell:
                print_named(talk(), "mixture", mixture.name)
            return mixture

        return command(mix=mix, **arguments)

    return with_mix
