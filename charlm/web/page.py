"""A page: one HTML file with its styles, scripts and data in it, which makes no request.

Its Content-Security-Policy allows the styles and scripts of the page by their hashes and nothing
else, so that text of a model, were it not escaped, could neither run nor load anything.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

__all__ = ["data_block", "figure", "make_page", "resource", "table"]

POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


def make_page(
    title: str,
    body: str,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    rest: str = "",
) -> str:
    """A whole page: ``body`` is HTML, ``title`` text.

    ``styles`` and ``scripts`` name files beside this module, after ``style.css``, which every page
    has.  ``rest`` is HTML that the scripts do not wait for.
    """
    css = "\n".join(map(resource, ("style.css", *styles)))
    code = "\n".join(map(resource, scripts))
    rules = [POLICY, f"style-src {hashed(css)}", *([f"script-src {hashed(code)}"] if code else [])]
    script = f"<script>{code}</script>\n" if code else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{css}</style>\n</head>\n<body>\n{body}\n{script}{rest}</body>\n</html>\n"
    )


def resource(name: str) -> str:
    """The text of a file beside this module."""
    return files("charlm.web").joinpath(name).read_text(encoding="utf-8")


def hashed(content: str) -> str:
    """What names an inline style or script in a Content-Security-Policy."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def data_block(name: str, content: Any) -> str:
    """An element that holds ``content`` as JSON, for a script to read by its id ``name``."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "<" could end it or begin a comment.
    escaped = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">{escaped}</script>'


def table(
    titles: Iterable[str],
    rows: Mapping[str, Iterable[object]],
    *,
    own: str = "",
    digits: str = ".4g",
) -> str:
    """A table of escaped text: a row for each name, whose cells are under all but the first title.

    Rows with numbers are aligned to the right, small floats in the format ``digits``; the row
    ``own`` stands out.
    """
    names = list(map(escape, titles))
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    label = f"table: {', '.join(filter(None, names))}"
    lines = (row(name, [*cells], "own" * (name == own), digits) for name, cells in rows.items())
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def row(name: str, values: Sequence[object], kind: str, digits: str) -> str:
    """A row of a table, of a class ``kind``; None is a dash."""
    if any(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        kind += " number"
    cells = "".join(f"<td>{escape(shown(each, digits))}</td>" for each in values)
    return f'<tr class="{kind}"><th scope="row">{escape(name)}</th>{cells}</tr>'


def shown(value: object, digits: str) -> str:
    """A value in a cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return figure(value, digits)
    return (", ".join(map(str, value)) or "-") if isinstance(value, list | tuple) else str(value)


def figure(value: float, digits: str = ".4g") -> str:
    """A number as it is read: a whole one, or one of 10,000 or more, without decimals."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1e4 else f"{value:{digits}}"
