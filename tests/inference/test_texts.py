"""A str is a text, a Path is a file, and several of them stay apart."""

import math
from pathlib import Path

import pytest

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.errors import ConfigError, CorpusError
from charlm.inference.loading import Loaded
from charlm.inference.scoring.perplexity import measure_perplexity
from charlm.inference.scoring.results import PerplexityTable
from charlm.inference.surprisal.text import measure_surprisal
from charlm.inference.texts import TextSource, open_texts, take_corpus, take_texts
from tests.data.tokenizers.trained import train
from tests.inference.fixed import fixed_run


def perplexity_table(loaded: Loaded, texts: list[TextSource]) -> PerplexityTable:
    *_, table = measure_perplexity(loaded, texts)
    assert isinstance(table, PerplexityTable)
    return table


@pytest.fixture
def loaded() -> Loaded:
    """A run that gives each of seven tokens, boundary and unknown among them, the same share."""
    tokenizer, _ = train(TokenizerConfig(kind="char"), [Piece("ab c\n", True)])
    return fixed_run(tokenizer, {})


def test_a_str_is_a_text_and_a_path_is_a_file(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ab ab\n")
    given, file = take_texts(loaded, ["ab ab\n", tmp_path / "a.txt"])
    assert (given.size, file.size) == (6, 6)
    assert file.name == str(tmp_path / "a.txt")
    table = perplexity_table(loaded, [given, file])
    assert table.rows[0].nll == pytest.approx(6 * math.log(7), rel=1e-6)
    assert table.rows[0].nll == table.rows[1].nll
    assert table.whole.tokens == 12
    assert len(repr(table).splitlines()) == 3
    by_name = open_texts(loaded, [str(tmp_path / "a.txt")])
    assert perplexity_table(loaded, by_name).whole.nll == table.rows[1].nll


def test_a_score_has_a_short_repr_and_its_figures_as_attributes(loaded: Loaded) -> None:
    score = perplexity_table(loaded, take_texts(loaded, "ab " * 500)).whole
    assert repr(score) == "TextScore(2.8074 bpc, perplexity 7.000 per token, 1,500 tokens)"
    low, high = score.perplexity_interval
    assert low <= score.perplexity <= high
    assert score.perplexity_se == pytest.approx(0, abs=1e-5)
    assert (score.chars, score.bpb) == (1500, score.bpc)


def test_texts_of_a_list_are_read_by_themselves(loaded: Loaded) -> None:
    rows = list(measure_surprisal(loaded, take_corpus(loaded, ["ab c", "ab"])))
    assert [(row.document, row.position, row.text) for row in rows] == [
        (0, 0, "ab "), (0, 1, "c"), (1, 0, "ab"),
    ]  # fmt: skip
    assert rows[2].previous is None
    assert rows[0].bits == pytest.approx(3 * math.log2(7), rel=1e-6)
    assert repr(rows[0]) == f"Surprisal('ab ', {rows[0].bits:.2f} bits)"


@pytest.mark.parametrize("text", [3, [3], b"ab", []])
def test_anything_else_is_refused(text: object, loaded: Loaded) -> None:
    with pytest.raises(ConfigError, match=r"a text must be|no text was given"):
        take_texts(loaded, text)  # type: ignore[arg-type]


def test_a_text_or_a_part_is_needed_and_not_both(loaded: Loaded) -> None:
    for text, part in ((None, None), ("ab", "test")):
        with pytest.raises(ConfigError, match="give either a text or a `part`"):
            take_texts(loaded, text, part)
    with pytest.raises(ConfigError, match="read as in training"):
        open_texts(loaded, (), "test", encoding="latin-1")


def test_a_run_in_place_of_a_text_is_named(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "run.toml").touch()
    for text in (tmp_path, [tmp_path]):
        with pytest.raises(ConfigError, match="is a run, not a text"):
            take_texts(loaded, text)


def test_an_empty_text_is_refused(loaded: Loaded) -> None:
    with pytest.raises(CorpusError, match="the text is empty"):
        perplexity_table(loaded, take_texts(loaded, ""))


def test_what_is_not_allowed_is_said_with_what_is(loaded: Loaded) -> None:
    corpus = take_corpus(loaded, "ab")
    with pytest.raises(ConfigError, match="`by` must be one of token, char, word, line") as caught:
        list(measure_surprisal(loaded, corpus, "words"))
    assert caught.value.hint == "`by='word'`"
    with pytest.raises(ConfigError, match="`reset` must be one of never, file, document, line"):
        list(measure_surprisal(loaded, corpus, reset="lines"))  # type: ignore[arg-type]
