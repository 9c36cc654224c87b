"""Texts that are served together are the texts that each of them is alone."""

import threading
import time
from typing import Any

import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.errors import ModelError
from charlm.inference.predictors.recurrent import Recurrent
from charlm.inference.serving.batching import Batcher
from charlm.inference.serving.engine import Engine, Overloaded
from charlm.inference.serving.texts import Chunk, Prompt, Sampling, ServedText
from charlm.model.language_model import LanguageModel
from tests.inference.generation.generating import generate
from tests.inference.toys import KINDS, model_for, trained

CHAR = trained("char")
MODEL = model_for(CHAR)
ENDLESS = Sampling(bias=((CHAR.boundary_id, -100.0),))


def wanted(prompt: str = "the cat", seed: int = 1, length: int = 20, **how: Any) -> ServedText:
    how.setdefault("sampling", Sampling())
    ids = CHAR.encode(prompt).tolist()
    return ServedText(CHAR, Prompt(CHAR, ids), seed=seed, length=length, **how)


def run(batcher: Batcher, *texts: ServedText) -> dict[ServedText, list[Chunk]]:
    batcher.waiting.extend(texts)
    found: dict[ServedText, list[Chunk]] = {text: [] for text in texts}
    while not batcher.idle:
        for text, chunk in batcher.step():
            found[text].append(chunk)
    return found


def told(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_what_generate_writes(kind: str) -> None:
    tokenizer = trained(kind)
    model = model_for(tokenizer)
    config = GenerationConfig(length=15, unit="tokens", temperature=0.7, top_k=9)
    prompt = Prompt(tokenizer, tokenizer.encode("the cat ").tolist(), text="the cat ")
    text = ServedText(
        tokenizer, prompt, seed=4, length=15, sampling=Sampling(temperature=0.7, top_k=9)
    )
    found = run(Batcher(model, tokenizer, 2), text)[text]
    assert "the cat " + told(found) == generate(model, tokenizer, "the cat ", config, seed=4)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_text_alone_equals_the_text_among_twenty_others(cell: str) -> None:
    network = LanguageModel.create(ModelConfig(hidden_size=12, cell=cell), CHAR.vocab_size, seed=3)
    model = Recurrent(network)
    (alone,) = run(Batcher(model, CHAR, 4), wanted(seed=7)).values()
    others = [
        wanted("dog"[: 1 + n % 3], n, 3 * n, sampling=Sampling(temperature=0.5 + n % 3))
        for n in range(20)
    ]
    own = wanted(seed=7)
    among = run(Batcher(model, CHAR, 6), *others[:9], own, *others[9:])[own]
    assert told(among) == told(alone)
    assert [token.log_prob for chunk in among for token in chunk.tokens] == [
        token.log_prob for chunk in alone for token in chunk.tokens
    ]


def test_a_text_joins_while_another_is_written() -> None:
    batcher = Batcher(MODEL, CHAR, 2)
    first, second = (wanted(seed=seed, length=10**6, sampling=ENDLESS) for seed in (1, 2))
    batcher.waiting.append(first)
    for _ in range(5):
        batcher.step()
    batcher.waiting.append(second)
    batcher.step()
    assert batcher.writing == 2
    assert len(batcher.batches) == 1


def test_a_cancelled_text_frees_its_lane() -> None:
    batcher = Batcher(MODEL, CHAR, 1)
    first, second = (wanted(seed=seed, length=10**6, sampling=ENDLESS) for seed in (1, 2))
    batcher.waiting.extend([first, second])
    batcher.step()
    assert list(batcher.waiting) == [second]
    first.cancelled = True
    batcher.step()
    assert [text for batch in batcher.batches for text in batch.texts] == [second]


def test_a_text_ends_before_its_stop_string() -> None:
    (whole,) = run(Batcher(MODEL, CHAR, 1), wanted(length=60)).values()
    stop = told(whole)[10:12]
    (cut,) = run(Batcher(MODEL, CHAR, 1), wanted(length=60, stop=[stop], streams=True)).values()
    assert told(cut) == told(whole)[: told(whole).index(stop)]
    assert cut[-1].finish == "stop"
    assert "".join(token.text for chunk in cut for token in chunk.tokens) == told(cut)


def test_a_bias_rules_a_token_out_or_in() -> None:
    letter = int(CHAR.encode("t")[0])
    sampling = Sampling(bias=((letter, 100.0),))
    (found,) = run(Batcher(MODEL, CHAR, 1), wanted(length=5, sampling=sampling)).values()
    assert told(found) == "ttttt"


def test_a_long_prompt_is_read_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = run(Batcher(MODEL, CHAR, 1), wanted("the cat sat on the mat")).values()
    monkeypatch.setattr("charlm.inference.serving.batching.PORTION", 5)
    (parts,) = run(Batcher(MODEL, CHAR, 1), wanted("the cat sat on the mat")).values()
    assert told(parts) == told(whole)


def test_a_diverged_model_ends_its_texts_with_the_cause() -> None:
    network = LanguageModel.create(ModelConfig(hidden_size=12), CHAR.vocab_size, seed=3)
    with torch.no_grad():
        network.head.bias.fill_(torch.nan)
    (found,) = run(Batcher(Recurrent(network), CHAR, 1), wanted()).values()
    assert isinstance(found[-1].error, ModelError)


@pytest.mark.timeout(60)
def test_the_engine_refuses_more_texts_than_may_wait_and_goes_on() -> None:
    over, seen = threading.Event(), []

    def deliver(delivered: list[tuple[ServedText, Chunk]]) -> None:
        seen.extend(text for text, chunk in delivered if chunk.finish)
        if last in seen:
            over.set()

    last = wanted(length=3)
    engine = Engine({"m": Batcher(MODEL, CHAR, 1)}, deliver, waiting=1)
    try:
        endless = wanted(length=10**6, sampling=ENDLESS)
        engine.submit("m", [endless, wanted()])
        # One waits, or two where the engine has not begun the first.
        with pytest.raises(Overloaded, match=r"waits? already"):
            engine.submit("m", [wanted(), wanted()])
        engine.cancel([endless])
        while engine.writing or engine.waiting:
            time.sleep(0.001)
        engine.submit("m", [last])
        assert over.wait(20)
    finally:
        engine.close()
