"""The model card of a run: what it is, what it was made from, how well it predicts."""

import json
import math

from charlm.inference.loading import Loaded

__all__ = ["model_card"]


UNITS = ("chars", "words", "tokens")


def model_card(loaded: Loaded, name: str, licence: str | None) -> str:
    """The card in Markdown, with the head that the Hub reads."""
    run, model = loaded.run, loaded.run.config.model
    head = [f"license: {json.dumps(licence)}"] if licence else []
    head += ["library_name: charlm", "pipeline_tag: text-generation", "tags: [charlm, lstm]"]
    kind = (
        "n-grams"
        if model.kind == "ngram"
        else f"{model.num_layers} x {model.hidden_size} {model.cell}"
    )
    parts = [
        "---",
        *head,
        "---",
        "",
        f"# {name.split('/')[-1]}",
        "",
        f"A language model of {kind}, trained with charlm; tokenizer {loaded.tokenizer.kind}, "
        f"vocabulary {loaded.tokenizer.vocab_size:,}, step {loaded.step:,}.",
        "",
        "```console",
        "$ pip install charlm-toolkit",
        f"$ charlm generate hf:{name} --prompt 'It was'",
        f"$ charlm pull {name}",
        "```",
        "",
        *scores(loaded),
        *texts(loaded),
        "## Settings",
        "",
        "| setting | value |",
        "|---|---|",
    ]
    for section, values in run.config.to_tables().items():
        if section in ("model", "training", "tokenizer"):
            parts += [f"| {section}.{key} | {cell(value)} |" for key, value in values.items()]
    return "\n".join(parts) + "\n"


def scores(loaded: Loaded) -> list[str]:
    """The figures on the validation text."""
    best = loaded.run.best() or {}
    nll, bpc = best.get("valid_nll"), best.get("valid_bpc")
    if not isinstance(nll, float):
        return []
    figures = f"{nll:.4f} nats per token, perplexity {math.exp(min(nll, 700)):.2f} per token"
    if isinstance(bpc, float):
        figures += f", {bpc:.4f} bits per character"
    return [
        "## Scores",
        "",
        f"On the validation part of its text: {figures}. One stream, the state carried.",
        "",
    ]


def texts(loaded: Loaded) -> list[str]:
    """How much text the run was made from."""
    counts = loaded.run.origin.get("counts", {})
    if not counts:
        return []
    rows = [
        f"| {part} | " + " | ".join(f"{found.get(unit, 0):,}" for unit in UNITS) + " |"
        for part, found in counts.items()
        if isinstance(found, dict)
    ]
    return ["## Text", "", "| part | characters | words | tokens |", "|---|---|---|---|", *rows, ""]


def cell(value: object) -> str:
    """A value for a table of Markdown."""
    return str(value).replace("|", "\\|").replace("\n", " ")
