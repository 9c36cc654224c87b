"""What a writing session offers to go on with, and what it keeps of a text that it has read."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.inference.generation.writing import incremental
from charlm.inference.generation.writing.incremental import IncrementalReader
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.predictors.decoder import Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor
from tests.inference.generation.writing.sessions import fresh_log_probs, parts, session
from tests.inference.toys import CHARS, KINDS, PIECES, ToyModel, ToyTokenizer

torch.set_num_threads(1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_tokens_have_the_models_probabilities(kind: str) -> None:
    model, tokenizer = parts(kind)
    writing = session(kind, "the cat")
    probabilities = fresh_log_probs(writing, model).exp()
    found = writing.likeliest(1000)
    wanted: dict[str, float] = {}
    shown = {each.text.removeprefix(" " if kind == "word" else ""): each for each in found}
    for id, content in enumerate(tokenizer.table):
        try:
            text = content.decode()
        except UnicodeDecodeError:
            continue  # a part of a character
        if id not in (tokenizer.boundary_id, tokenizer.unknown_id):
            # A byte and a character may be one text.
            wanted[text] = max(wanted.get(text, 0), float(probabilities[id]))
    assert {text: each.probability for text, each in shown.items()} == pytest.approx(wanted, 1e-4)
    assert [each.probability for each in found] == sorted(
        (each.probability for each in found), reverse=True
    )


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_chosen_candidate_is_the_next_token(kind: str) -> None:
    writing = session(kind, "the cat")
    before = writing.ids
    for candidate in writing.likeliest(5):
        writing.choose(candidate.text)
        assert writing.text == "the cat" + candidate.text
        assert writing.ids[:-1] == before
        writing.undo()


@pytest.mark.parametrize(
    ("tokenizer", "text"),
    [(CHARS, ""), (CHARS, "ab"), (CHARS, "ab "), (PIECES, ""), (PIECES, "ab")],
)
def test_the_likeliest_words_equal_enumeration(tokenizer: ToyTokenizer, text: str) -> None:
    model = ToyModel(tokenizer.vocab_size)
    ids = (0, *tokenizer.encode(text).tolist())
    words: dict[str, float] = {}
    for length in range(1, 7):
        for tokens in product(range(1, tokenizer.vocab_size), repeat=length):
            content = b"".join(tokenizer.table[token] for token in tokens).decode()
            if content.strip() and not any(char.isspace() for char in content.lstrip()):
                p, history = 1.0, ids
                for token in tokens:
                    p *= probabilities_after(model, history)[token]
                    history = (*history, token)
                after = probabilities_after(model, history)
                ends = [n for n, each in enumerate(tokenizer.table) if not each or each[:1] == b" "]
                words[content] = words.get(content, 0) + p * sum(after[n] for n in ends)
    best = sorted(words.items(), key=lambda each: -each[1])[:3]
    found = WritingSession(model, tokenizer, text=text).likeliest(3, by="word")
    assert [each.text for each in found] == [word for word, _ in best]
    np.testing.assert_allclose([each.probability for each in found], [p for _, p in best])


@cache
def probabilities_after(model: ToyModel, history: tuple[int, ...]) -> np.ndarray:
    log_probs, _ = model.advance(torch.tensor([history]), model.start())
    return log_probs[0, -1].exp().numpy()


def test_what_is_kept_of_a_long_text_gives_what_a_fresh_read_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incremental, "STRIDE", 4)
    monkeypatch.setattr(incremental, "MOST", 6)
    source, model = np.random.default_rng(1), parts("char")[0]
    read = 0

    class Counting(Decoder):
        def advance(self, tokens: Tensor) -> Tensor:
            nonlocal read
            read += tokens.shape[1]
            return super().advance(tokens)

    reader = IncrementalReader(Counting(model, model.start()))
    ids = [0, *source.integers(2, 9, 60).tolist()]
    for change in (0, 1, 3, 10, 1, 40, 2, 59):
        ids = ids[: len(ids) - change] + source.integers(2, 9, 3).tolist()
        found = reader.read(ids).log_probs
        expected = open_decoder(model).advance(torch.tensor([ids]))
        torch.testing.assert_close(found, expected)
        assert len(reader.kept) <= 6 + 1
    read = 0
    reader.read([*ids, 2])
    assert read == 1  # one more token is one step


class Ending(Predictor):
    """A model that would end every text at once."""

    vocab_size = 4

    def start(self, lanes: int = 1) -> int:
        return lanes

    def advance(self, tokens: Tensor, state: int) -> tuple[Tensor, int]:
        row = torch.tensor([0.97, 0.01, 0.01, 0.01]).log()
        return row.expand(*tokens.shape, 4), state

    def select(self, state: int, lanes: Tensor) -> int:
        return len(lanes)


def test_where_the_model_would_end_it_goes_on_when_it_is_asked_to() -> None:
    writing = WritingSession(Ending(), CHARS, text="ab", seed=1)
    assert writing.extend("word")
    assert all(each.text for each in writing.likeliest(5))
