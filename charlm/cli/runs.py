"""The run that a command loads: the options for its checkpoint, its device and a second run."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.frame import option
from charlm.cli.shared import RunPath, device_option, step_option
from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.data.preparation.store import TokenStore
    from charlm.data.sources.corpora import Corpus
    from charlm.inference.loading import Loaded

__all__ = ["ChosenRun", "model_options"]


@dataclass(frozen=True)
class ChosenRun:
    """What RUN, --step and --device name, and what --mix and --mix-weight mix with it."""

    run: Path
    step: int | None
    device: str
    other: Path | None
    weight: float | None

    def load(self) -> "Loaded":
        """Load RUN alone."""
        from charlm.inference.loading import load_run

        return load_run(self.run, step=self.step, device=self.device)

    def mix(
        self, loaded: "Loaded", scored: "Iterable[Corpus | TokenStore]" = (), *, tell: bool = True
    ) -> "Loaded":
        """Mix ``loaded`` with RUN2; without --mix it is returned.

        A weight is tuned where none was given, which the texts ``scored`` must not overlap; with
        ``tell`` it is printed.
        """
        from charlm.console.streams import print_named, talk
        from charlm.inference.adaptation.mixing import mixed

        mixture = mixed(loaded, self.other, self.weight, scored)
        if self.other and self.weight is None and tell:
            print_named(talk(), "mixture", mixture.name)
        return mixture


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --mix, --mix-weight, --step and --device to a command that has the argument RUN; all of
    them reach it as one ``ChosenRun``, ``chosen``.
    """

    @option(
        "--mix", "other", type=RunPath(), metavar="RUN2", heading="Mixture",
        help="Mix the probabilities of RUN with those of RUN2.",
    )  # fmt: skip
    @option(
        "--mix-weight", "weight", type=click.FloatRange(0, 1), metavar="X", heading="Mixture",
        help="Weight of RUN in the mixture.  [default: tuned on RUN's validation text]",
    )  # fmt: skip
    @step_option
    @device_option
    @functools.wraps(command)
    def with_run(
        run: Path,
        step: int | None,
        device: str,
        other: Path | None,
        weight: float | None,
        **arguments: Any,
    ) -> Any:
        if other and weight is None and arguments.get("part") == "valid":
            raise ConfigError(
                "the weight of --mix would be tuned on the valid part, which is also scored",
                "score another text, or give the weight: --mix-weight 0.5",
            )
        return command(chosen=ChosenRun(run, step, device, other, weight), **arguments)

    return with_run
