"""Write a report: a page, a picture or TensorBoard events on runs, a page on an explanation."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from charlm import durable
from charlm.config.paths import path_of
from charlm.errors import ConfigError
from charlm.explain.activations import Explanation, TokensRead
from charlm.explain.run_report import Reporting, RunReport, describe_run, report_run
from charlm.inference.scoring.perplexity import ScoringProgress
from charlm.storage.curves import read_curves
from charlm.storage.run import Run, open_run
from charlm.web import events, pictures
from charlm.web.explanation import check_tokens, explanation_page
from charlm.web.run_page import comparison_page, run_page

__all__ = ["report", "save_page", "write_report"]

PAGE = ".html"
ENDINGS = (PAGE, *pictures.ENDINGS, events.ENDING)


def report(
    of: str | Path | Sequence[str | Path] | Explanation,
    out: str | Path,
    *,
    force: bool = False,
    device: str = "cpu",
) -> Path:
    """Write a report into the file ``out``, whose ending says of which kind; returns its path.

    ``of`` is a run folder, a list of them, or what ``Model.explain`` has returned.  ".html" is a
    page that needs nothing else: of one run its curves, settings, scores beside baselines, samples
    and gates, of several what differs, of an explanation every unit at every step.  ".png", ".svg"
    and ".pdf" are pictures of the curves (extra ``plot``), and ".tensorboard" is a folder of
    events (extra ``tensorboard``).  ``force`` replaces a file.

    Example::

        charlm.report("runs/book", "book.html")
        charlm.report(model.explain("It was the best of times."), "gates.html")
    """
    path = path_of("out", out)
    if isinstance(of, Explanation):
        list(save_page([of], path, force=force))
        return path
    names = [*of] if isinstance(of, Sequence) and not isinstance(of, str) else [of]
    runs = [open_run(path_of("of", name)) for name in names]
    for _ in write_report(runs, path, force=force, device=device):
        pass
    return path


def save_page(
    records: Iterable[TokensRead | Explanation], out: Path, *, force: bool = False
) -> Iterator[TokensRead | Explanation]:
    """Pass the records on, and write the page on the explanation among them into ``out``.

    Raises ``ConfigError`` for another ending and for more activations than a page should hold, and
    ``CorpusError`` for a file that cannot be written; what can be is said before the first record.
    """
    check_ending(out, (PAGE,))
    durable.check_output(out, force=force)
    for record in records:
        if isinstance(record, Explanation):
            durable.write_output(out, explanation_page(record).encode(), force=force)
        else:
            check_tokens(record.tokens)
        yield record


def write_report(
    runs: Sequence[Run], out: Path, *, force: bool = False, device: str = "cpu"
) -> Iterator[Reporting | ScoringProgress]:
    """Write the report on one run or several into ``out``; yields what is being measured.

    Raises ``ConfigError`` for no run and for another ending, ``CorpusError`` for what cannot be
    written, and ``CharlmError`` where an extra is missing.
    """
    if not runs:
        raise ConfigError("no run was given", "name the folder of a run, such as runs/NAME")
    check_ending(out, ENDINGS)
    curves = {str(run.folder): read_curves(run.log.path) for run in runs}
    if out.suffix == events.ENDING:
        events.write_events(curves, out)
        return
    durable.check_output(out, force=force)
    if out.suffix in pictures.ENDINGS:
        content = pictures.draw_curves(curves, out.suffix)
    elif len(runs) > 1:
        content = comparison_page({str(run.folder): describe_run(run) for run in runs}).encode()
    else:
        for record in report_run(runs[0], device):
            if isinstance(record, RunReport):
                content = run_page(record).encode()
            else:
                yield record
    durable.write_output(out, content, force=force)


def check_ending(out: Path, endings: Sequence[str]) -> None:
    """Raise ``ConfigError`` unless the name of a file has one of the endings."""
    if out.suffix not in endings:
        raise ConfigError(
            f"the name of a report ends in {', '.join(endings)}, got {str(out)!r}",
            f"choose {out.with_suffix(endings[0])}" if out.name else "name a file",
        )
