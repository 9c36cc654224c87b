"""The page on one run, and the page that compares several."""

from collections.abc import Iterator, Mapping
from html import escape

from charlm.errors import counted
from charlm.explain.run_report import RunReport, TrainedRun
from charlm.inference.demonstration import Sampled
from charlm.inference.scoring.results import PerplexityTable
from charlm.storage.summary import differing_settings
from charlm.web.curves import curve_panels
from charlm.web.explanation import SCRIPTS, STYLES, explanation_section
from charlm.web.page import make_page, table

__all__ = ["comparison_page", "run_page"]


def run_page(report: RunReport) -> str:
    """Everything about one run on a page."""
    summary = report.run.summary
    parts = [
        heading(report.run),
        *(f"<p>Note: {escape(note)}.</p>" for note in report.notes),
        "<h2>Training</h2>",
        curve_panels({summary.run: report.run.curves}) if report.run.curves else NO_CURVES,
        *([] if report.table is None else [scores(report.table)]),
        *([samples(report.samples)] if report.samples else []),
    ]
    if report.passage is not None:
        parts += ["<h2>Inside, while it reads</h2>", *explanation_section(report.passage)]
    settings = table(["setting", "value", "default"], report.run.changed)
    parts += ["<h2>Settings that differ from the defaults</h2>", settings]
    inside = report.passage is not None
    return make_page(
        f"charlm: {summary.run}",
        f"<main>{''.join(parts)}</main>",
        styles=STYLES if inside else (),
        scripts=SCRIPTS if inside else (),
    )


NO_CURVES = "<p>The log of this run holds no curve.</p>"


def heading(run: TrainedRun) -> str:
    """What was trained on what, how long, and how well."""
    summary, settings = run.summary, run.summary.settings
    sources = ", ".join(map(str, settings["data"]["sources"])) or "its text"
    facts = [
        summary.model,
        f"{settings['tokenizer']['kind']} tokens, vocabulary {summary.vocab_size:,}",
        f"trained on {sources}: {summary.progress}, {counted(round(summary.seconds), 'second')}",
    ]
    if summary.valid_nll is not None and summary.valid_bpc is not None:
        facts.append(
            f"validation {summary.valid_nll:.4f} nats per token, {summary.valid_bpc:.3f} bits per "
            "character"
        )
    return f"<h1>{escape(summary.run)}</h1><p>{escape('; '.join(facts))}.</p>"


def scores(found: PerplexityTable) -> str:
    """The figures of the model beside those of baselines, the best first."""
    whole = found.whole
    low, high = whole.perplexity_interval
    rows = {each.name: (each.bpc, each.bpb) for each in found.baselines}
    rows["this model"] = (whole.bpc, whole.bpb)
    ordered = dict(sorted(rows.items(), key=lambda row: row[1]))
    titles = ["", "bits per character", "bits per byte"]
    return (
        f"<h2>Scores on {escape(whole.name)}</h2>"
        f"<p>Perplexity {whole.perplexity:,.3f} per token (95 % interval {low:,.3f} to "
        f"{high:,.3f}) over {counted(whole.tokens, 'token')} that were never used in training.</p>"
        f"{table(titles, ordered, own='this model', digits='.3f')}"
    )


def samples(texts: tuple[Sampled, ...]) -> str:
    """What the model wrote, cautiously and daringly."""
    prompt = texts[0].prompt
    continued = "<details><summary>the text that it continues</summary>"
    before = f"{continued}<pre>{escape(prompt)}</pre></details>" if prompt else ""
    columns = (
        f"<section><h3>temperature {each.temperature:g}</h3><pre>{escape(each.text)}"
        "</pre></section>"
        for each in texts
    )
    return f'<h2>What it writes</h2>{before}<div class="grid">{"".join(columns)}</div>'


def comparison_page(runs: Mapping[str, TrainedRun]) -> str:
    """Several runs: a table of what differs, and their curves in the same pictures."""
    rows = dict(differences(runs))
    curves = {name: run.curves for name, run in runs.items()}
    some = any(curves.values())
    body = (
        f"<h1>{len(runs)} runs</h1><h2>What differs</h2>{table(['', *runs], rows)}"
        f"<h2>Training</h2>{curve_panels(curves) if some else NO_CURVES}"
    )
    return make_page(f"charlm: {', '.join(runs)}", f"<main>{body}</main>")


def differences(runs: Mapping[str, TrainedRun]) -> Iterator[tuple[str, list[object]]]:
    """The settings and figures that are not equal in all runs, with their value in each."""
    summaries = [run.summary for run in runs.values()]
    yield from differing_settings(summaries).items()
    figures: dict[str, list[object]] = {
        "parameters": [each.parameters for each in summaries],
        "steps": [each.step for each in summaries],
        "tokens": [each.tokens for each in summaries],
        "seconds": [each.seconds for each in summaries],
        "validation, nats per token": [each.valid_nll for each in summaries],
        "validation, bits per character": [each.valid_bpc for each in summaries],
    }
    for name, values in figures.items():
        if any(value != values[0] for value in values):
            yield name, values
