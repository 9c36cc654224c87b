"""A run answers as KenLM and minicons do."""

import math
from pathlib import Path

import pytest

import charlm
from charlm import Model
from charlm.errors import ConfigError

TEXT = "the cat sat on the mat\nthe dog sat on the cat\na cat and a dog met\n" * 20
SENTENCES = ["the cat sat on a dog", "a zebra met the mat", "dog", ""]


@pytest.fixture(scope="module")
def ngrams(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("ngrams")
    (folder / "text.txt").write_text(TEXT)
    settings = {"tokenizer": "word", "model": {"kind": "ngram", "order": 3}}
    for _ in charlm.train(folder / "text.txt", out=folder / "run", **settings):
        pass
    return charlm.load(folder / "run")


def test_sentences_score_as_kenlm_scores_them(ngrams: Model, tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed")
    charlm.export_model(ngrams.run, "arpa", tmp_path / "m.arpa")
    theirs, ours = kenlm.Model(str(tmp_path / "m.arpa")), ngrams.kenlm()
    assert ours.order == theirs.order
    for sentence in SENTENCES:
        for eos in (True, False):
            assert ours.score(sentence, eos=eos) == pytest.approx(
                theirs.score(sentence, eos=eos), abs=1e-5
            )
        found, expected = list(ours.full_scores(sentence)), list(theirs.full_scores(sentence))
        assert [oov for _, _, oov in found] == [oov for _, _, oov in expected]
        assert all(own >= other for (_, own, _), (_, other, _) in zip(found, expected, strict=True))
        assert ours.perplexity(sentence) == pytest.approx(theirs.perplexity(sentence), rel=1e-5)
    assert [word in ours for word in ("cat", "zebra")] == [
        word in theirs for word in ("cat", "zebra")
    ]
    with pytest.raises(ConfigError, match="follows a boundary"):
        ours.score("the cat", bos=False)


def test_minicons_methods_give_the_surprisal_of_each_token(ngrams: Model) -> None:
    scorer, text = ngrams.minicons(), SENTENCES[0]
    tokens = ngrams.surprisal(text, by="token")
    (scores,) = scorer.token_score(text, surprisal=True, base_two=True, rank=True)
    assert [name for name, *_ in scores] == text.split()
    assert [score for _, score, _ in scores] == pytest.approx([each.bits for each in tokens])
    assert [rank for *_, rank in scores] == [each.rank for each in tokens]
    assert [p for _, p in scorer.token_score(text, prob=True)[0]] == pytest.approx(
        [math.exp(-each.nll) for each in tokens]
    )
    sums = scorer.sequence_score(SENTENCES[:3], reduction=lambda own: own.sum().item())
    assert sums == pytest.approx([-ngrams.score(each).nll for each in SENTENCES[:3]])
    assert scorer.sequence_score(text)[0] == pytest.approx(sums[0] / len(tokens))
    assert scorer.sequence_score("", reduction=lambda own: own.sum().item()) == [0]
    with pytest.raises(ConfigError, match="an empty text has no mean"):
        scorer.sequence_score([text, ""])
