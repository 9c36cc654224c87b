"""An explanation in a notebook: text that is only text, colours, and the gates of each layer."""

import re

import numpy as np

from charlm.explain import notebook
from charlm.explain.activations import Explanation
from charlm.explain.statistics import GateStatistics


def made(tokens: tuple[str, ...], bits: list[float]) -> Explanation:
    """An explanation of two layers of two units with a single gate."""
    openness = np.array([[0.25, 0.75], [1.0, 0.5]], dtype=np.float32)
    statistics = {"forget_gate": GateStatistics(openness, openness / 2, openness * 0)}
    return Explanation(
        text="".join(tokens), tokens=tokens, ids=np.arange(len(tokens)), cell="lstm",
        layers=(0, 1), units=(0, 1), gates={}, initial={}, statistics=statistics,
        surprisal=np.array(bits) * np.log(2), entropy=np.ones(len(tokens)),
        rank=np.ones(len(tokens), dtype=int), likeliest=((),) * len(tokens), following=(),
    )  # fmt: skip


def test_text_is_coloured_by_its_bits_and_escaped() -> None:
    shown = made(("<i>", "\n", "x"), [0.0, 4.0, 99.0])._repr_html_()
    assert "<i>" not in shown
    assert re.findall(r"/ ([\d.]+)\)\" title=\"([\d.]+) bits", shown) == [
        ("0.00", "0.00"), ("0.30", "4.00"), ("0.60", "99.00")
    ]  # fmt: skip


def test_the_table_has_the_mean_of_each_layer() -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", made(("x",), [1.0])._repr_html_())
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    assert cells[1:] == [
        ["0", "forget_gate", "0.5000", "0.2500", "0.0000"],
        ["1", "forget_gate", "0.7500", "0.3750", "0.0000"],
    ]


def test_a_long_text_is_cut_and_says_so() -> None:
    tokens = notebook.SHOWN + 7
    shown = made(("x",) * tokens, [1.0] * tokens)._repr_html_()
    assert shown.count("<span") == notebook.SHOWN
    assert "7 more tokens are not shown" in shown
