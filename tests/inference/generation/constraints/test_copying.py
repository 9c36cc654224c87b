"""No text goes on a copy of the training text for more than ``max_copy`` characters."""

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ConfigError
from charlm.inference.generation import lanes
from charlm.inference.generation.modes import write_texts
from charlm.inference.generation.sampling import Sampler
from charlm.inference.generation.search.filling import fill
from charlm.inference.generation.text import write_samples
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.predictors.decoder import CompiledDecoder
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from charlm.model.language_model import LanguageModel
from tests.data.suffixes.naive import index_of
from tests.inference.toys import ToyTokenizer

torch.set_num_threads(1)
DOCUMENTS = [
    "the cat sat on the mat.\nthe dog é sat on the cat, and that was that.\n",
    "日é and\nthen the mat was on the dog; all the dogs sat on that \ufffd mat\n",
]
ALPHABET = sorted(set("".join(DOCUMENTS)))
PIECES = ToyTokenizer("bpe", [*ALPHABET, "the", " the", " sat on", "at", " th", "é s", ".\nthe d"])
PIECES.table += ["é".encode()[:1], "é".encode()[1:], "日".encode()[:2], "日".encode()[2:]]
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer(ALPHABET),
    "bpe": PIECES,
    "word": WordTokenizer([*sorted(set(" ".join(DOCUMENTS).split())), "<eos>"], end_of_line=True),
    "byte": ByteTokenizer(),
}


class Parrot(Predictor):
    """Says what followed the last token in the training text, and now and then something else."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocab_size = tokenizer.vocab_size
        following: dict[int, list[int]] = defaultdict(list)
        for document in DOCUMENTS:
            ids = [0, *tokenizer.encode(document).tolist(), 0]
            for before, after in pairwise(ids):
                following[before].append(after)
        self.log_probs = torch.full((self.vocab_size, self.vocab_size), -6.0)
        for before, tokens in following.items():
            self.log_probs[before, tokens] = 0
        self.log_probs = self.log_probs.log_softmax(dim=-1)

    def start(self, lanes: int = 1) -> None:
        return None

    def advance(self, tokens: Tensor, state: None) -> tuple[Tensor, None]:
        return self.log_probs[tokens], None

    def select(self, state: None, lanes: Tensor) -> None:
        return None


MODELS = {kind: Parrot(tokenizer) for kind, tokenizer in TOKENIZERS.items()}
INDEX = index_of(*DOCUMENTS)


def copies(text: str, prompt: str, most: int) -> list[str]:
    """Spans of ``most`` + 1 characters of the training text that end after the prompt."""
    ends = range(max(len(prompt), most) + 1, len(text) + 1)
    windows = (text[end - most - 1 : end] for end in ends)
    return [window for window in windows if any(window in each for each in DOCUMENTS)]


@pytest.mark.parametrize("past_end", [False, True])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_no_copy_is_longer(kind: str, past_end: bool) -> None:
    source, free = random.Random(kind), 0
    for most in (3, 4, 6, 9, 15) if kind != "word" else (7, 9, 15):
        prompt = source.choice(
            ["", "the cat", "the cat ", "on the mat.\n", "the dog é sat on the "]
        )
        if kind == "word":
            prompt = prompt.replace(".", " ")
            prompt = "" if TOKENIZERS[kind].unknown(prompt) else prompt
        how = {"prompt": prompt, "seeds": range(12), "past_end": past_end}
        for max_copy in (most, 0):
            config = GenerationConfig(length=25, temperature=1.0, max_copy=max_copy)
            samples = write_samples(
                MODELS[kind], TOKENIZERS[kind], config=config, training_text=INDEX, **how
            )
            for sample in samples:
                found = copies(prompt + "".join(sample), prompt, most)
                assert not (max_copy and found), (most, prompt, found)
                free += bool(found)
    assert free > 10  # without the limit there are copies


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_only_what_would_go_on_a_copy_is_ruled_out(kind: str) -> None:
    from charlm.inference.generation.constraints.copying import CopyLimit

    tokenizer, source = TOKENIZERS[kind], random.Random(kind)
    for _ in range(30):
        most = source.choice([1, 2, 3, 5, 8])
        limit = CopyLimit(tokenizer, INDEX, most)
        state, text = limit.start(""), ""
        stream = tokenizer.stream()
        for token in source.choices(range(2, tokenizer.vocab_size), k=3):
            text += stream.push(token)
            state = limit.advance(state, token)
        allowed = limit.allowed(state)
        for token in range(2, tokenizer.vocab_size):
            after = tokenizer.stream()
            after.decoder.decode(state.waiting)
            if kind == "word":
                after.after_word = text[-1:] not in ("", "\n")  # type: ignore[attr-defined]
            whole = text + after.push(token)
            is_copy = bool(copies(whole, text, most))
            assert (allowed is None or bool(allowed[token])) == (not is_copy), (text, token, most)


@pytest.mark.parametrize("how", [{"beam": 3}, {"best_of": 3}, {"temperatures": [0.0, 0.5]}])
def test_the_limit_holds_for_every_way_to_write(how: dict[str, object]) -> None:
    config = GenerationConfig(length=20, max_copy=5)
    written = write_texts(
        MODELS["char"], TOKENIZERS["char"], ["the "], config, seeds=[1],
        training_text=INDEX, **how,  # type: ignore[arg-type]
    )  # fmt: skip
    for sample in written:
        text = "the " + "".join(sample)
        assert len(text) > 4
        assert not copies(text, "the ", 5)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_limit_holds_in_a_writing_session(kind: str) -> None:
    free, limit = 0, 7 if kind == "word" else 4
    for most in (limit, 0):
        config = GenerationConfig(temperature=1.0, max_copy=most)
        session = WritingSession(
            MODELS[kind], TOKENIZERS[kind], config, text="the ", seed=1, training_text=INDEX
        )
        for _ in range(6):
            before = session.text
            session.extend("line")
            assert session.text != before
            found = copies(session.text, before, limit)
            assert not (most and found)
            free += bool(found)
        before = session.text[: session.mark]
        session.regenerate()
        assert not (most and copies(session.text, before, limit))
    assert free


@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
@pytest.mark.parametrize("text", ["the cat ___", "the ___ on the mat", "___ cat s___ mat"])
def test_the_limit_holds_where_gaps_are_filled(kind: str, text: str) -> None:
    first, *others = text.split("___")
    for most in (0, 5):
        config = GenerationConfig(max_copy=most)
        filled = fill(
            MODELS[kind], TOKENIZERS[kind], text, config, gap_length=6, width=8, count=3,
            training_text=INDEX,
        )  # fmt: skip
        for each in filled:
            start, found = len(first), list[str]()
            for content, after in zip(each.fills, others, strict=True):
                end = start + len(content)
                assert each.text[start:end] == content
                ends = range(max(start + 1, 6), min(end + 5, len(each.text)) + 1)
                windows = [each.text[at - 6 : at] for at in ends]
                found += [w for w in windows if any(w in document for document in DOCUMENTS)]
                start = end + len(after)
            assert bool(found) == (not most) or not most


def test_a_pattern_and_the_limit_hold_together() -> None:
    config = GenerationConfig(length=20, max_copy=5, pattern="the [a-z ]{8}", temperature=1.0)
    (sample,) = write_samples(
        MODELS["char"], TOKENIZERS["char"], "the ", config, seeds=[1], training_text=INDEX
    )
    text = "the " + "".join(sample)
    assert len(text) == 12
    assert not copies(text, "the ", 5)


def test_without_the_training_text_the_limit_is_refused_not_forgotten() -> None:
    config = GenerationConfig(max_copy=5)
    with pytest.raises(ConfigError, match="`max_copy` needs the training text"):
        write_samples(MODELS["char"], TOKENIZERS["char"], "", config, seeds=[1])


@pytest.mark.parametrize("past_end", [False, True])
@pytest.mark.parametrize("kind", ["char", "bpe", "word", "byte"])
def test_sampling_ahead_in_the_compiled_decoder_changes_no_text(
    kind: str, past_end: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if native.kernels() is None:
        pytest.skip(f"the compiled decoder is not there: {native.status()}")
    tokenizers = {
        "char": CharTokenizer(list("abcdé \n")),
        "bpe": ToyTokenizer("bpe", [*"abcdé \n", "ab", "d é"]),
        "word": WordTokenizer(["a", "b", "é", "d"], end_of_line=False),
        "byte": ByteTokenizer(),
    }
    tokenizer = tokenizers[kind]
    network = LanguageModel.create(ModelConfig(hidden_size=8), tokenizer.vocab_size, seed=1)
    index = index_of("".join(random.Random(1).choices("abcdé \n", k=300)), "a b é d a d b a")
    ahead: list[int] = []
    sample_block = lanes.Lanes.sample_block

    def counted(self: lanes.Lanes, decoder: CompiledDecoder, numbers: Tensor) -> object:
        ahead.append(numbers.shape[1])
        return sample_block(self, decoder, numbers)

    def written(seeds: Sequence[int], **settings: Any) -> list[str]:
        config = GenerationConfig(length=80, temperature=1.3, **settings)
        samples = write_samples(
            Recurrent(network), tokenizer, ["", "a"], config, seeds=seeds, training_text=index,
            past_end=past_end,
        )  # fmt: skip
        try:
            return ["".join(sample) for sample in samples]
        except ConfigError as error:  # no token is left
            return [str(error)]

    monkeypatch.setattr(lanes.Lanes, "sample_block", counted)
    penalties = {"repetition_penalty": 1.2, "dry_multiplier": 0.5, "mirostat_tau": 2.5}
    pattern = {} if past_end else {"pattern": r"(\S+\s)*\S+"}
    for settings in ({}, {"penalty_window": 20, **penalties}, pattern):
        for most in (4, 8):
            for seeds in ([3], range(3)):
                found = written(seeds, max_copy=most, **settings)
                with monkeypatch.context() as patch:
                    patch.setattr(Sampler, "free", lambda *_: 0)
                    assert written(seeds, max_copy=most, **settings) == found
    assert any(after < before for before, after in pairwise(ahead))  # some were taken back
