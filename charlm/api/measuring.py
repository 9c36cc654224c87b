"""The methods of ``charlm.Model`` that measure how well text is predicted."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.api.arguments import Texts, check_part, last_of, listed, naming_unknown, require, within
from charlm.inference.loading import Loaded

if TYPE_CHECKING:
    from charlm.data.formats.pairs import Pair
    from charlm.data.preparation.streams import Reset
    from charlm.data.sources.corpora import Corpus
    from charlm.exchange.sentences import KenlmScorer, MiniconsScorer
    from charlm.inference.novelty.table import NoveltyTable
    from charlm.inference.rescoring.hypotheses import RankedList
    from charlm.inference.rescoring.summary import RescoringSummary
    from charlm.inference.scoring.conventions import Convention
    from charlm.inference.scoring.results import PerplexityTable, TextScore
    from charlm.inference.surprisal.pairs import PairScore
    from charlm.inference.surprisal.text import Surprisal
    from charlm.inference.texts import TextSource

__all__ = ["Measuring"]


class Measuring:
    """The part of ``charlm.Model`` that measures how well text is predicted.

    Where ``text`` is taken, a ``str`` is the text itself, a ``Path`` a file, folder or corpus, and
    a list several of either; ``part`` ("train", "valid" or "test") is a part of the run's own
    text, given instead of ``text``.  ``reset`` says where the state is reset: "never",
    "file", "document" or "line".  ``encoding`` and ``text_column`` say how files are read, by
    default as in training.
    """

    loaded: Loaded

    @naming_unknown
    def score(
        self, text: Texts | None = None, *, part: str | None = None, reset: "Reset | None" = None,
        encoding: str | None = None, text_column: str | None = None,
    ) -> "TextScore":  # fmt: skip
        """Score text: every token is predicted from all before it, in one stream.

        Of several texts, which are read by themselves, it is the score of all together.  ``.bpc``,
        ``.bpb``, ``.perplexity`` (per token) with ``.perplexity_interval``, ``.nll`` (nats in
        all), ``.tokens``, ``.chars`` and ``.oov`` are in it.

        Example::

            score = model.score("It was the best of times.")
            print(score.bpc, score.perplexity, score.perplexity_interval)
        """
        from charlm.inference.scoring.conventions import ScoringOptions
        from charlm.inference.scoring.perplexity import measure_perplexity
        from charlm.inference.scoring.results import PerplexityTable

        texts = self._texts(listed(text), part, encoding=encoding, text_column=text_column)
        records = measure_perplexity(self.loaded, texts, ScoringOptions(reset=reset))
        return last_of(records, PerplexityTable).whole

    @naming_unknown
    def perplexity(
        self, text: Texts | None = None, *, part: str | None = None, reset: "Reset | None" = None,
        convention: "Convention" = "charlm", window: int | None = None, curve: bool = False,
        baselines: bool = False, encoding: str | None = None, text_column: str | None = None,
    ) -> "PerplexityTable":  # fmt: skip
        """The table of ``charlm perplexity``: a row for each text, and one for all together.

        For comparison it holds the scores of the model without methods of evaluation time, of the
        two runs of a mixture, and of ``baselines``.

        ``convention`` computes as "lm-eval", "kenlm" or "nanogpt" do, the last in windows of
        ``window`` tokens; ``curve`` measures how the nll falls with the tokens read.

        Example::

            table = model.perplexity([Path("book.txt"), "It was the best of times."])
            print([(row.name, row.bpc) for row in table.rows], table.whole.bpc)
        """
        from charlm.inference.scoring.conventions import ScoringOptions
        from charlm.inference.scoring.perplexity import measure_perplexity
        from charlm.inference.scoring.results import PerplexityTable

        options = ScoringOptions(convention=convention, reset=reset, window=window, curve=curve)
        texts = self._texts(listed(text), part, encoding=encoding, text_column=text_column)
        static = getattr(self.loaded, "static", None)
        records = measure_perplexity(
            self.loaded, texts, options, baselines=baselines, static=static
        )
        return last_of(records, PerplexityTable)

    @naming_unknown
    def surprisal(
        self, text: Texts, *, by: str = "word", top: int = 0, more: bool = False,
        reset: "Reset | None" = None, encoding: str | None = None, text_column: str | None = None,
        columns: Sequence[str] = (), join: str = " ",
    ) -> "list[Surprisal]":  # fmt: skip
        """How surprising each word of a text was (or ``by`` "token", "char" or "line").

        ``by="region"`` measures the regions of interest of a table that a ``Path`` names, whose
        ``columns`` may be called otherwise ("text=sentence"); ``join`` is put between two regions.

        Each has ``.text``, ``.bits`` and ``.nll`` (nats), ``.entropy``, ``.rank`` and the ``top``
        ``.guesses``; ``more`` adds ``.unigram``, the surprisal by frequency alone.  The nats of all
        sum to that of the text.  Items of a list and rows of a table are read by themselves.

        Example::

            for word in model.surprisal("It was the best of times.", by="word", top=3):
                print(word.text, word.bits, word.guesses)
        """
        from charlm.inference.surprisal.rows import measure_rows
        from charlm.inference.surprisal.text import Surprisal, Surprisals
        from charlm.inference.texts import natural_reset, take_corpus

        within(0, top=top)
        taken: Path | Corpus
        if by == "region":
            require("text", text, (Path,), "the Path of a table")
            taken = Path(str(text))
        else:
            data = given(encoding=encoding, text_column=text_column)
            taken = take_corpus(self.loaded, listed(text) or (), **data)
            reset = reset or natural_reset(taken)
        how: Any = {"columns": columns, "join": join, "encoding": encoding}
        rows = measure_rows([self.loaded], taken, by, reset=reset, top=top, more=more, **how)
        return Surprisals(row for row in rows if isinstance(row, Surprisal))

    @naming_unknown
    def novelty(
        self, texts: Texts | None = None, *, temperatures: Sequence[float] | None = None,
        samples: int | None = None, length: int | None = None, seed: int | None = None,
        encoding: str | None = None, text_column: str | None = None,
    ) -> "NoveltyTable":  # fmt: skip
        """Measure how much of ``texts`` stands in the run's training text; needs the extra
        ``novelty``.

        Without ``texts`` these are ``samples`` (5) of ``length`` (500) characters at each of the
        ``temperatures`` (0.5, 0.8, 1), of the seeds ``seed`` (1), ``seed + 1``, ...  The table has
        ``.groups``, ``.whole`` for all texts, and ``.human`` for text held out from training.
        Each has ``.longest``, the text with the longest verbatim span (``.exact.longest``, and its
        ``.place``), ``.mean_longest`` in characters, and ``.exact.share(n)``, the share of n-grams
        of 4 to 50 characters that are new; ``.folded`` is without case and with single spaces.

        Example::

            table = model.novelty(samples=2, length=100)
            print(table.whole.exact.share(12), table.whole.longest.exact.longest)
        """
        from charlm.inference.novelty.report import measure_novelty, sampling
        from charlm.inference.novelty.table import NoveltyTable

        how_read = {"encoding": encoding, "text_column": text_column}
        taken = [] if texts is None else self._texts(listed(texts), **how_read)
        chosen = sampling(
            texts=bool(taken), samples=samples, length=length, seed=seed,
            temperatures=None if temperatures is None else tuple(temperatures),
        )  # fmt: skip
        return last_of(measure_novelty(self.loaded, taken, chosen), NoveltyTable)

    @naming_unknown
    def pairs(
        self,
        pairs: "str | Path | Iterable[str | Path | Pair | tuple[str, str]]",
        *,
        encoding: str | None = None,
    ) -> "list[PairScore]":
        """Which sentence of each minimal pair the model finds more probable.

        ``pairs`` are tuples (good, bad), or a file of them named by a ``str`` or ``Path``.  Each
        result has ``.correct``, ``.difference`` (nats), ``.good`` and ``.bad``.

        Example::

            scores = model.pairs([("It was the best of times.", "It was times.")])
            print(sum(score.correct for score in scores) / len(scores))
        """
        from charlm.inference.surprisal.pairs import PairScores, measure_pairs, take_pairs

        require("pairs", pairs, (str, Path, Iterable), "tuples (good, bad), or the name of a file")
        encoding = encoding or self.loaded.run.config.data.encoding
        return PairScores(measure_pairs(self.loaded, take_pairs(pairs, encoding)))

    @naming_unknown
    def rescore(
        self, nbest: str | Path, *, refs: str | Path | None = None, tune: str | Path | None = None,
        lm_weight: float = 1.0, word_bonus: float = 0.0, given: str = "loglik",
        end: str | None = None, input_format: str | None = None,
    ) -> "tuple[list[RankedList], RescoringSummary]":  # fmt: skip
        """Rank the hypotheses in a file of n-best lists by score + ``lm_weight`` * ln p(text) +
        ``word_bonus`` * words; returns the lists and a summary.

        ``tune`` names reference texts on which the weights are found, ``refs`` those against which
        word errors are counted.  ``given`` says what the scores in the file are: "loglik", higher
        is better, or "cost"; ``end`` what is predicted after each text ("line", "boundary",
        "none"), and ``input_format`` is "kaldi", "moses", "plain" or "jsonl".

        Example::

            lists, summary = model.rescore("nbest.txt", lm_weight=0.5)
            print([ranked.rows[ranked.best].hypothesis.text for ranked in lists])
        """
        from charlm.inference.rescoring.hypotheses import RankedList
        from charlm.inference.rescoring.job import open_rescoring, rescore
        from charlm.inference.rescoring.summary import RescoringSummary

        job = open_rescoring(
            self.loaded, nbest, input_format=input_format, given=given, lm_weight=lm_weight,
            word_bonus=word_bonus, end=end, tune=tune, refs=refs,
        )  # fmt: skip
        *records, summary = rescore(self.loaded, job)
        assert isinstance(summary, RescoringSummary)
        return [record for record in records if isinstance(record, RankedList)], summary

    def kenlm(self) -> "KenlmScorer":
        """The run with the methods of ``kenlm.Model``: ``score``, ``full_scores``, ``perplexity``
        in log10, for programs written for KenLM (docs/exchange.md).

        Example::

            print(model.kenlm().score("It was the best of times."))
        """
        from charlm.exchange.sentences import KenlmScorer

        return KenlmScorer(self.loaded)

    def minicons(self) -> "MiniconsScorer":
        """The run with minicons' methods ``token_score`` and ``sequence_score``.

        Example::

            print(model.minicons().sequence_score(["It was the best.", "It was best the."]))
        """
        from charlm.exchange.sentences import MiniconsScorer

        return MiniconsScorer(self.loaded)

    def _texts(
        self,
        text: str | Path | Sequence[str | Path] | None,
        part: str | None = None,
        **data: str | None,
    ) -> "list[TextSource]":
        """The texts that an argument gives; ``data`` says how files are read."""
        from charlm.inference.texts import take_texts

        check_part(part)
        return take_texts(self.loaded, text, part, **given(**data))


def given(**arguments: str | None) -> dict[str, str]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}
