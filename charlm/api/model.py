"""The class ``charlm.Model``: a trained model in Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.api.arguments import last_of, naming_unknown, within
from charlm.api.explaining import Explaining
from charlm.api.measuring import Measuring
from charlm.api.writing import Writing
from charlm.config import Config
from charlm.config.paths import path_of
from charlm.inference.adaptation.mixing import Mixed, mixed
from charlm.inference.loading import Loaded, require_recurrent
from charlm.notebook import html_table

if TYPE_CHECKING:
    from charlm.data.tokenizers.kinds import Tokenizer
    from charlm.inference.compression.codec import Compressed
    from charlm.model.language_model import LanguageModel

__all__ = ["Model"]


class Model(Writing, Measuring, Explaining):
    """A trained model, ready to write and to score; made by ``charlm.load``.

    It does not change: several threads may use it at a time, and no two generations share state.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def __repr__(self) -> str:
        run, *about = self._about().values()
        return f"<charlm.Model {run}: {', '.join(about)}>"

    def _repr_html_(self) -> str:
        """What the model is, as a table for notebooks."""
        text = ", ".join(self.config.data.sources)
        return html_table("charlm.Model", [*self._about().items(), ("text", text)])

    def _about(self) -> dict[str, str]:
        """The run, or the runs of a mixture, and what kind of model this is."""
        model, mode = self.config.model, self.loaded.model.mode
        size = f"{model.cell} {model.num_layers}x{model.hidden_size}"
        is_mixture = isinstance(self.loaded, Mixed)
        return {
            "run": self.name if is_mixture else str(self.run),
            "model": "n-grams" if model.kind == "ngram" else size,
            "tokens": f"{self.tokenizer.kind}, vocabulary {self.tokenizer.vocab_size:,}",
            **({} if is_mixture else {"step": f"step {self.step:,}"}),
            **({} if mode == "static" else {"methods": mode}),
        }

    @property
    def name(self) -> str:
        """The run and its step; of a mixture both runs with their shares."""
        return self.loaded.name

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.loaded.run.folder

    @property
    def step(self) -> int:
        """The step of the checkpoint that was loaded."""
        return self.loaded.step

    @property
    def config(self) -> Config:
        """All settings of the run."""
        return self.loaded.run.config

    @property
    def tokenizer(self) -> "Tokenizer":
        """What makes token ids of text: ``encode``, ``decode``, ``vocab_size``."""
        return self.loaded.tokenizer

    @property
    def network(self) -> "LanguageModel":
        """The torch module.  Raises ``ModelError`` for a model that only counts n-grams."""
        return require_recurrent(self.loaded)

    @naming_unknown
    def mix(self, other: "Model | str | Path", weight: float | None = None) -> "Model":
        """The mixture ``weight * this model + (1 - weight) * other``, of two runs with the same
        tokenizer.

        Without a ``weight`` the one that is best on this run's validation text is found.

        Example::

            print(model.mix("runs/other", weight=0.7).generate("It was", length=20))
        """
        folder = other.run if isinstance(other, Model) else path_of("other", other)
        return Model(mixed(self.loaded, folder, weight))

    @naming_unknown
    def adapt(
        self, *, temperature: float | bool = False, dynamic: Mapping[str, float] | bool = False,
        cache: Mapping[str, float] | bool = False, tune_on: str | Path | Sequence[str | Path] = (),
    ) -> "Model":  # fmt: skip
        """A new model: this one with methods of evaluation time (docs/evaluation.md).

        ``temperature`` divides the logits; ``dynamic=True`` trains the model on the text it has
        read; ``cache=True`` makes what followed similar states more probable.  Values are given as
        ``dynamic={"lr": 0.002}``.  Those left open, and ``temperature=True``, are chosen on
        ``tune_on``: ``"valid"``, the run's validation part, or a ``Path``; to score that text is
        then refused.

        Example::

            adapted = model.adapt(temperature=1.05, cache=True)
            print(adapted)
        """
        from charlm.inference.adaptation.adapter import Adapted
        from charlm.inference.adaptation.methods import make_evaluation
        from charlm.inference.adaptation.tuning import adapt_run

        given = {"temperature": temperature, "dynamic": dynamic, "cache": cache}
        texts = [tune_on] if isinstance(tune_on, str | Path) else tune_on
        evaluation = make_evaluation(given, tuple(map(str, texts)))
        return Model(last_of(adapt_run(self.loaded, evaluation), Adapted))

    @naming_unknown
    def compress(
        self, content: bytes | Path, *, adapt: bool = False, lanes: int | None = None
    ) -> "Compressed":
        """Compress bytes or a file, losslessly; needs the extra ``compress``.

        ``.content`` are the compressed bytes, which have been decompressed and compared, and
        ``.bits_per_byte`` their size.  ``adapt`` lets the model learn as it codes; ``lanes`` parts
        are coded side by side, faster and a little larger.

        Example::

            print(model.compress(Path("book.txt")).bits_per_byte)
        """
        from charlm.inference.compression.codec import Compressed, compress

        within(1, 1024, lanes=lanes)
        records = compress(self.loaded, bytes_of(content), adapt=adapt, lanes=lanes)
        return last_of(records, Compressed)

    @naming_unknown
    def decompress(self, content: bytes | Path) -> bytes:
        """Restore the bytes that ``compress`` of the same model was given.

        Example::

            assert model.decompress(model.compress(b"It was").content) == b"It was"
        """
        from charlm.inference.compression.codec import Decompressed, decompress

        name = str(content) if isinstance(content, Path) else "the content"
        return last_of(decompress(self.loaded, bytes_of(content), name), Decompressed).content


def bytes_of(content: bytes | Path) -> bytes:
    """The bytes, or those of a file.  Raises ``CorpusError``."""
    from charlm.inference.compression.files import read_input

    return content if isinstance(content, bytes) else read_input(content)
