"""Pieces of text to ids, in order, by this process or by several."""

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from charlm.data.sources.corpora import Corpus
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CharlmWarning, CorpusError

__all__ = ["EncodedPiece", "Encoders", "available_cores", "encode_documents", "refuse_respawn"]

MOST_WORKERS = 16
"""Worker processes at most: more would wait for the one process that counts and writes."""


@dataclass(frozen=True)
class EncodedPiece:
    """A piece of text and its ids (N,); ``starts`` says that a document begins here.

    ``file`` is the number of the file it is from, where somebody asks.
    """

    ids: np.ndarray
    text: str | bytes
    starts: bool
    file: int = 0


def encode_documents(tokenizer: Tokenizer, corpus: Corpus) -> Iterator[EncodedPiece]:
    """Encode a corpus as it is read, to score it without a store.

    The corpus must be opened raw for the byte tokenizer and as text for the others.  Warns at the
    end of what was left out or guessed.  Raises ``CorpusError`` and ``TokenizerError``.
    """
    for number, piece in corpus.numbered():
        yield EncodedPiece(tokenizer.encode(piece.text), piece.text, piece.starts, number)
    for note in corpus.notes:
        warnings.warn(note, CharlmWarning, stacklevel=2)


class Encoders:
    """Worker processes that encode pieces; what they cannot do, this process does.

    A context manager: the workers end with the block, and with this process however it ends.
    """

    def __init__(self, tokenizer: Tokenizer, workers: int) -> None:
        """``workers`` below two start no process: this one encodes then."""
        self.tokenizer = tokenizer
        self.ahead = 2 * workers if workers > 1 else 0
        self.pool = start_pool(tokenizer, workers) if workers > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; later pieces are encoded here."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def encode(self, pieces: Iterable[Piece]) -> Iterator[EncodedPiece]:
        """The pieces in their order with their ids; a bounded number of them is in memory."""
        waiting: deque[tuple[Piece, Future[np.ndarray] | None]] = deque()
        for piece in pieces:
            waiting.append((piece, self.hand_out(piece)))
            if len(waiting) > self.ahead:
                yield self.take_back(*waiting.popleft())
        while waiting:
            yield self.take_back(*waiting.popleft())

    def hand_out(self, piece: Piece) -> Future[np.ndarray] | None:
        """Give a piece to a worker, if there is one."""
        if self.pool is None:
            return None
        try:
            with interrupts_held():  # submitting starts workers
                return self.pool.submit(encode_text, piece.text)
        except (BrokenProcessPool, OSError):
            self.close()
            return None

    def take_back(self, piece: Piece, future: Future[np.ndarray] | None) -> EncodedPiece:
        """A piece with its ids, from its worker or, where that failed, from here."""
        ids = None
        if future is not None:
            try:
                ids = future.result()
            except (BrokenProcessPool, CancelledError):
                self.close()
        if ids is None:
            ids = self.tokenizer.encode(piece.text)
        return EncodedPiece(ids, piece.text, piece.starts)


def available_cores() -> int:
    """How many worker processes this machine can keep busy, ``MOST_WORKERS`` at most."""
    if hasattr(os, "sched_getaffinity"):
        return min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    return min(MOST_WORKERS, os.cpu_count() or 1)


def start_pool(tokenizer: Tokenizer, workers: int) -> ProcessPoolExecutor | None:
    """Worker processes, or None where the system has none to give."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    # Daemons may have no children, and a child must find the script that its parent runs.
    if multiprocessing.current_process().daemon or (script and not Path(script).exists()):
        return None
    try:
        return ProcessPoolExecutor(
            workers,
            # A forked copy of a process with threads (torch has some) can hang.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=begin_work,
            initargs=(tokenizer,),
        )
    except (OSError, ImportError, NotImplementedError):
        return None


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C waiting; processes that are started meanwhile never see it.

    A worker that is interrupted before it can say what to do about it prints its trace.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def refuse_respawn() -> None:
    """Raise ``CorpusError`` in a worker that is running its parent's script once more."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise CorpusError(
            "a script that prepares text runs again in each worker process",
            "put its code under: if __name__ == '__main__':",
        )


worker_tokenizer: Tokenizer
"""The tokenizer with which this process encodes, if it is a worker."""


def begin_work(tokenizer: Tokenizer) -> None:
    """Make this process a worker: leave Ctrl-C to the parent, and end when it ends."""
    global worker_tokenizer
    worker_tokenizer = tokenizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Wait for the parent, which may be killed without a word, and leave."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def encode_text(text: str | bytes) -> np.ndarray:
    """The ids (N,) of a text, by the tokenizer of this worker process."""
    return worker_tokenizer.encode(text)
