"""Print scores of texts: all figures of one text, a table of several, or JSON."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from charlm.console.adaptation import options_of
from charlm.console.figures import print_pairs, print_sentences
from charlm.console.streams import print_json, print_note, progress_bar
from charlm.console.tables import print_aligned
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import counted
from charlm.inference.adaptation.mixing import evaluation_of
from charlm.inference.generation.text import name_unknown
from charlm.inference.scoring.baselines import Baseline
from charlm.inference.scoring.conventions import ScoringOptions, figures
from charlm.inference.scoring.curve import Bin
from charlm.inference.scoring.perplexity import ScoringProgress
from charlm.inference.scoring.results import PerplexityTable, TextScore, key_of
from charlm.inference.texts import TextSource
from charlm.metrics import Score

__all__ = ["show_scores", "tracked"]

BAR = 24
"""Characters of a curve's longest bar."""

HOW_TO_READ = (
    "A token at position n is predicted from the n - 1 tokens before it in its stream (± s.e.).",
    "Where the nats stop falling, more context no longer helps the model.",
)
"""How to read a curve."""

LITERATURE = "what papers on PTB and WikiText give: line ends (<eos>) count as words"
"""Which perplexity of a word model is comparable with published ones."""


def show_scores(
    records: Iterable[ScoringProgress | PerplexityTable],
    texts: Sequence[TextSource],
    *,
    as_json: bool,
) -> None:
    """Draw progress while texts are scored, then print all figures."""
    table = tracked(records, "scoring")
    if as_json:
        record = table.record()
        if table.static:
            record["evaluation"]["options"] = options_of(evaluation_of(table.loaded))
        print_json(record)
        return
    show_rows(table, texts)
    if table.static:
        gain = f"{table.gain:.4f} nats per token"
        methods = options_of(evaluation_of(table.loaded))
        print_pairs({"methods": methods, "static": in_short(table.static), "gain": gain})
    for name, score in table.alone:
        print_pairs({"alone": f"{name}: {in_short(score)}"})
    for row in table.rows:
        show_unknown(row, table)
    show_baselines(table.baselines, table.whole)
    show_curve(list(table.whole.curve.rows()), table.options)


def in_short(score: Score) -> str:
    """A score in one line."""
    return (
        f"{score.perplexity:,.3f} per token, {score.bpc:.4f} bpc, {score.bpb:.4f} bpb, "
        f"{score.mean_nll:.4f} nats per token"
    )


def tracked(records: Iterable[Any], task: str) -> Any:
    """The last record; those before it are ``ScoringProgress``, drawn as a bar on a terminal."""
    bars, record = dict[str, Any](), None
    with progress_bar() as progress:
        for record in records:
            if isinstance(record, ScoringProgress):
                if record.text not in bars:
                    bars[record.text] = progress.add_task(task, total=record.size)
                progress.advance(bars[record.text], record.read)
    return record


def show_rows(table: PerplexityTable, texts: Sequence[TextSource]) -> None:
    """The figures of one text, or the table of several."""
    loaded, options = table.loaded, table.options
    about = {"model": loaded.name}
    if loaded.model.mode != "static":
        about["mode"] = loaded.model.mode
    if options.note:
        about["convention"] = options.note
    if len(table.rows) > 1:
        print_pairs(about)
        show_table(table)
        return
    whole, names = table.whole, texts[0].names
    shown_names = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    counts = ((whole.chars, "character"), (whole.words, "word"), (whole.tokens, "token"))
    text = ", ".join(counted(number, noun) for number, noun in counts)
    own = {name: shown(value) for name, value in figures(options.convention, whole).items()}
    print_pairs({"text": f"{shown_names}: {text}"} | about)
    print_pairs(own or detailed(whole, loaded.tokenizer))


def detailed(score: TextScore, tokenizer: Tokenizer) -> dict[str, str]:
    """The figures of charlm's own convention, in every unit."""
    error = plus_minus(score.perplexity_se)
    # Words and line ends are the tokens of figures on PTB and WikiText.
    of_literature = tokenizer.kind == "word" and any(b"\n" in each for each in tokenizer.table)
    kind = f"{tokenizer.kind}: {LITERATURE}" if of_literature else tokenizer.kind
    per_word = f"{score.word_perplexity:,.1f} per word"
    found = {
        "perplexity": f"{score.perplexity:,.3f}{error} per token ({kind})",
        "": f"{score.char_perplexity:,.3f} per character, {score.byte_perplexity:,.3f} per byte, "
        + (f"{per_word} (line ends not counted)" if of_literature else per_word),
    }
    low, high = score.perplexity_interval
    if math.isfinite(low):
        found["interval"] = f"{low:,.3f} to {high:,.3f} per token (95 %)"
    return found | {
        "bits": f"{score.bpc:.4f} per character (bpc), {score.bpb:.4f} per byte (bpb)",
        "nats": f"{score.mean_nll:.4f} per token, {score.nll:,.1f} in all",
    }


def plus_minus(error: float) -> str:
    """A standard error, where there is one."""
    return f" ± {error:,.3f} s.e." if math.isfinite(error) else ""


def show_table(table: PerplexityTable) -> None:
    """A line for each text, then for all of them; names come last, so that they may be long."""
    convention, rows = table.options.convention, (*table.rows, table.whole)
    own = figures(convention, table.whole)
    keys = [key_of(name) for name in own] or ["chars", "tokens", "perplexity", "bpc", "bpb"]
    titles = [name.removeprefix("Perplexity ") for name in own] or keys
    records = [*(row.record(convention) for row in rows), table.macro]
    names = [*(row.name for row in rows), "mean (macro)"]
    titles = ["perplexity ± s.e." if title == "perplexity" else title for title in titles]
    cells = ([cell(record, key) for key in keys] for record in records)
    lines = ([*row, name] for row, name in zip(cells, names, strict=True))
    print_aligned([[*titles, "source"], *lines], left=[len(titles)])


def cell(record: Mapping[str, Any], key: str) -> str:
    """A figure of a row; nothing for one that the row has not."""
    value: Any = record.get(key)
    if key == "perplexity":
        error = record["perplexity_se"]
        return short(value) + (f" ± {short(error)}" if math.isfinite(error) else "")
    return "" if value is None else shown(value)


def short(value: float) -> str:
    """A perplexity or its error in at most 10 characters, so that a table's rows stay on a line."""
    return f"{value:,.3f}" if value < 100_000 else f"{value:.3e}"


def shown(value: float) -> str:
    """A number, counts without decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def show_unknown(row: TextScore, table: PerplexityTable) -> None:
    """The tokens of a text that were scored as the unknown symbol, and why they were.

    A perplexity without them is given only where none of them is a word of the text itself:
    figures on tokenized corpora count ``<unk>`` as a word like others.
    """
    if not row.oov:
        return
    of = f" of {row.name}" if len(table.rows) > 1 else ""
    tokens = f"of {counted(row.tokens, 'token')}{of}"
    named = f": {name_unknown(row.unknown)}" if row.unknown else ""
    written = row.oov - row.never_seen
    if written and table.loaded.tokenizer.kind == "word":
        what = f"{counted(written, f'{tokens} is', f'{tokens} are')} <unk>, a word of this text"
        if row.never_seen:
            what += f"; {counted(row.never_seen, 'was', 'were')} never seen in training{named}"
        print_pairs({"unknown": what})
        return
    unknown = counted(row.oov, f"{tokens} was", f"{tokens} were")
    rows = {"unknown": f"{unknown} never seen in training{named}"}
    if row.oov < row.tokens:
        them = "it" if row.oov == 1 else "them"
        rows[""] = f"perplexity without {them} {row.perplexity_without_oov:,.3f}"
    print_pairs(rows)


def show_baselines(measured: Sequence[Baseline], whole: TextScore) -> None:
    """The baselines, then the model."""
    if not measured:
        return
    sys.stdout.write("\n")
    rows = [*measured, Baseline("this model", whole.bpc, whole.bpb)]
    cells = ([each.name, f"{each.bpc:.4f}", f"{each.bpb:.4f}"] for each in rows)
    print_aligned([["", "bpc", "bpb"], *cells], left=[0])


def show_curve(bins: Sequence[Bin], options: ScoringOptions) -> None:
    """The mean nll of tokens by how far they are from the start."""
    if not bins:
        return
    if options.starts == "never":
        print_note(
            "one stream has each position only once; to average over more tokens, reset the state: "
            "--reset line or document, or --convention nanogpt --window N"
        )
    most = max(each.nll for each in bins)
    sys.stdout.write(f"\n{'position':>15}  {'tokens':>11}  nats per token\n")
    for each in bins:
        where = f"{each.first:,}-{each.last:,}" if each.last > each.first else f"{each.first:,}"
        error = f" ± {each.nll_se:.3f}" if math.isfinite(each.nll_se) else ""
        bar = "█" * round(BAR * each.nll / most) if most > 0 else ""
        sys.stdout.write(f"{where:>15}  {each.tokens:>11,}  {each.nll:6.3f}{error:<8}  {bar}\n")
    sys.stdout.write("\n")
    for sentence in HOW_TO_READ:
        print_sentences(sentence)
