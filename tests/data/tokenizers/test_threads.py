"""A long call of compiled code neither delays signals nor changes what comes out."""

import signal
import threading
import time

import pytest

from charlm.config import TokenizerConfig
from charlm.data.tokenizers.kinds import tokenizer_trainer
from charlm.data.tokenizers.threads import in_thread


def test_results_and_errors_come_back() -> None:
    assert in_thread(lambda _: 3) == 3
    with pytest.raises(RuntimeError, match="no pieces"):
        in_thread(lambda _: (_ for _ in ()).throw(RuntimeError("no pieces")))


@pytest.mark.timeout(30)
def test_a_signal_is_answered_at_once_and_the_work_is_told() -> None:
    told: list[threading.Event] = []

    def work(abandoned: threading.Event) -> None:
        told.append(abandoned)
        signal.raise_signal(signal.SIGINT)
        abandoned.wait(20)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_thread(work)
    assert told[0].is_set()
    assert time.monotonic() - began < 10


@pytest.mark.timeout(60)
def test_learning_pieces_can_be_interrupted() -> None:
    trainer = tokenizer_trainer(TokenizerConfig(kind="unigram", vocab_size=4000))
    trainer.add("".join(f"{n * 7919 % 104729:x} word{n % 977}\n" for n in range(300_000)))
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        trainer.finish()
    assert time.monotonic() - began < 3
