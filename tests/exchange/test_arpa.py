"""ARPA files mean to KenLM what the run means to charlm, and come back as they went."""

import itertools
import string
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

import charlm
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.base import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ModelError
from charlm.exchange.arpa import arpa_lines, read_arpa, spelled, unspelled
from charlm.exchange.importing import import_model
from charlm.model.ngram.kneser_ney import NgramModel, train_ngrams
from tests.cli.conftest import call


def written(path: Path, model: NgramModel, tokenizer: Tokenizer) -> list[str]:
    names = spelled(tokenizer)
    path.write_text("".join(arpa_lines(model, names)), encoding="utf-8")
    return names


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return [line for line in "".join(topics.values()).splitlines() if line.strip()]


@pytest.mark.parametrize("kind", ["word", "char"])
def test_kenlm_agrees_on_every_token(kind: str, lines: list[str], tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed")
    train, test = lines[:3000], lines[3000:]
    tokenizer: Tokenizer
    if kind == "word":
        words = sorted(set(itertools.chain.from_iterable(map(str.split, train))) - {"<s>", "</s>"})
        tokenizer, order = WordTokenizer([w for w in words if w != "<unk>"], end_of_line=False), 4
    else:
        tokenizer, order = CharTokenizer(string.printable), 5
    ids = [np.append(tokenizer.encode(line), 0) for line in train]
    model = train_ngrams(np.concatenate([[0], *ids]).astype(np.int64), tokenizer.vocab_size, order)
    names = written(tmp_path / "m.arpa", model, tokenizer)
    theirs_model = kenlm.Model(str(tmp_path / "m.arpa"))
    compared = 0
    for line in test:
        stream = np.concatenate([[0], tokenizer.encode(line), [0]])
        ours = -model.nll(stream) / np.log(10)
        text = " ".join(names[id] for id in stream[1:-1])
        theirs = [each[0] for each in theirs_model.full_scores(text)]
        assert np.abs(ours - theirs).max() < 1e-5
        compared += len(theirs)
        if compared > 10_000:
            break
    assert compared > 10_000


def test_what_is_read_back_predicts_as_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ids = rng.zipf(1.5, 5000) % 19 + 1
    ids[rng.integers(0, len(ids), 200)] = 0
    model = train_ngrams(np.append(0, ids), 20, 4)
    tokenizer = CharTokenizer(string.ascii_letters[:17] + " ")
    names = written(tmp_path / "m.arpa", model, tokenizer)
    again, found = read_arpa(tmp_path / "m.arpa")
    assert [unspelled(name) for name in found] == tokenizer.symbols
    assert names[19] == "<U+0020>"
    stream = np.append(0, rng.integers(0, 20, 3000))
    assert np.abs(again.nll(stream) - model.nll(stream)).max() < 1e-6


def test_pruned_files_back_off(tmp_path: Path) -> None:
    """SRILM leaves out n-grams; then a suffix may be missing, and only the weights remain."""
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=5\nngram 2=2\nngram 3=1\n\n\\1-grams:\n-0.6\t</s>\n-99\t<s>\t-0.2\n"
        "-0.5\ta\t-0.1\n-0.7\tb\t-0.3\n-1.5\t<unk>\n\n\\2-grams:\n-0.4\ta b\t-0.15\n"
        "-0.9\t<s> a\n\n\\3-grams:\n-0.05\ta b a\n\n\\end\\\n"
    )
    model, names = read_arpa(tmp_path / "m.arpa")
    assert names == ["a", "b"]
    a, b, unknown = 2, 3, 1
    stream = np.array([0, a, b, a, b, b, unknown, 0])
    expected = [-0.9, -0.4, -0.05, -0.4, -0.15 - 0.3 - 0.7, -0.3 - 1.5, -0.6]
    assert -model.nll(stream) / np.log(10) == pytest.approx(expected, abs=1e-6)


def test_an_order_of_which_there_are_no_ngrams_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=3\nngram 2=1\nngram 3=0\n\n\\1-grams:\n-0.6\t</s>\n-99\t<s>\t-0.2\n"
        "-0.5\ta\t-0.1\n\n\\2-grams:\n-0.4\t<s> a\n\n\\3-grams:\n\n\\end\\\n"
    )
    assert import_model(tmp_path / "m.arpa", tmp_path / "run").sizes == (2,)


def test_bytes_and_white_space_have_names() -> None:
    names = spelled(ByteTokenizer())
    assert len(set(names)) == 257
    assert not any(set(name) & set(" \n\t\r\x0b\x0c\x1c\x85") or not name for name in names)
    assert names[1 + 0xFF] == "<0xFF>"


def test_a_run_goes_out_and_comes_back(tmp_path: Path) -> None:
    text = "It was the best of times, it was the worst of times.\n" * 30
    (tmp_path / "t.txt").write_text(text)
    settings = ("--out", str(tmp_path / "run"), "--model", "ngram", "--order", "4")
    done = call("train", str(tmp_path / "t.txt"), *settings)
    assert done.code == 0, done.err
    done = call("export", str(tmp_path / "run"), "--to", "arpa", "--out", str(tmp_path / "m.arpa"))
    assert done.code == 0, done.err
    about = import_model(tmp_path / "m.arpa", tmp_path / "back", on=tmp_path / "t.txt")
    before, after = charlm.load(tmp_path / "run"), charlm.load(tmp_path / "back")
    assert after.generate("It was", seed=3) == before.generate("It was", seed=3)
    expected = before.perplexity(text, convention="kenlm").whole
    assert about.nll == pytest.approx(expected.mean_nll, abs=1e-6)
    assert about.tokens == expected.tokens
    shown = call("info", str(tmp_path / "back")).out
    assert f"n-grams of up to 4 tokens, {about.parameters:,} in all" in shown
    assert "imported" in shown


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("hello\n", "counts no n-grams"),
        ("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\nx b\n", "could not convert"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a b c\n", "line 5 is no 1-gram"),
        ("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n-2 a\n", "line 6 repeats 'a'"),
        (
            "\\data\\\nngram 1=1\nngram 2=1\n\n\\1-grams:\n-1 a\n\n\\2-grams:\n-1 a c\n\\end\\\n",
            "has 'c'",
        ),
        ("\\data\\\nngram 1=x\n", "line 2 is 'ngram 1=x'"),
        ("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n", "ends after 1 of 2 1-grams"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a\n", "after the 1-grams comes 'nothing'"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a\n-1 b\n\\end\\", "comes '-1.b', not"),
        (
            "\\data\\\nngram 1=3\nngram 2=2\n\n\\1-grams:\n-1 a\n-1 <s>\n-1 </s>\n\n"
            "\\2-grams:\n-1 <s> a\n-2 </s> a\n\n\\end\\\n",
            "'</s> a' is there with <s> and with </s>",
        ),
        ("\\data\\\nngram 1=99999999999\n\n\\1-grams:\n", "or too many"),
    ],
)
def test_what_is_no_arpa_file_is_refused(content: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(content)
    with pytest.raises(ModelError, match=cause):
        read_arpa(tmp_path / "m.arpa")


def test_line_breaks_of_a_run_of_words_come_back(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the king\nking the\n" * 50)
    for _ in charlm.train(
        text, out=tmp_path / "run", tokenizer="word", model={"kind": "ngram", "order": 2}
    ):
        pass
    charlm.export_model(tmp_path / "run", "arpa", tmp_path / "m.arpa")
    import_model(tmp_path / "m.arpa", tmp_path / "again")
    before, after = (
        charlm.load(tmp_path / name).score("the king\nking the\n") for name in ("run", "again")
    )
    assert not after.unknown
    assert after.nll == pytest.approx(before.nll, rel=1e-5)
