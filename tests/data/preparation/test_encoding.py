"""Several processes encode what one would, in order, and their failures cost nothing but time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from charlm.config import DataConfig
from charlm.data.preparation import encoding
from charlm.data.preparation.encoding import EncodedPiece, Encoders, encode_documents
from charlm.data.sources.corpora import open_corpus
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.errors import CharlmWarning, TokenizerError

PIECES = [Piece(f"{n} abc\n" * (n + 1), starts=n % 3 == 0) for n in range(40)]
TOKENIZER = CharTokenizer("abc \n0123")


def same(found: EncodedPiece, piece: Piece) -> bool:
    ids = TOKENIZER.encode(piece.text)
    return found.text == piece.text and found.starts == piece.starts and (found.ids == ids).all()


@pytest.mark.timeout(60)
def test_processes_encode_in_order_and_never_run_far_ahead() -> None:
    taken = 0

    def watched() -> Iterator[Piece]:
        nonlocal taken
        for piece in PIECES:
            taken += 1
            yield piece

    with Encoders(TOKENIZER, workers=2) as encoders:
        assert encoders.pool is not None
        for number, found in enumerate(encoders.encode(watched())):
            assert same(found, PIECES[number])
            assert taken <= number + 6
        assert encoders.pool is not None
    assert number == len(PIECES) - 1


@pytest.mark.timeout(60)
def test_killed_workers_are_replaced_by_this_process() -> None:
    with Encoders(TOKENIZER, workers=2) as encoders:
        for number, found in enumerate(encoders.encode(PIECES)):
            assert same(found, PIECES[number])
            if number == 3:
                assert encoders.pool is not None
                for worker in list(encoders.pool._processes):
                    os.kill(worker, signal.SIGKILL)
        assert encoders.pool is None
    assert number == len(PIECES) - 1


@pytest.mark.timeout(60)
def test_an_error_in_a_worker_is_the_error_here() -> None:
    with Encoders(TOKENIZER, workers=2) as encoders, pytest.raises(TokenizerError, match="UTF-8"):
        list(encoders.encode([*PIECES, Piece(b"\xff", starts=False)]))


def test_a_system_without_processes_is_served_by_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(encoding, "ProcessPoolExecutor", refuse)
    with Encoders(TOKENIZER, workers=2) as encoders:
        assert all(map(same, encoders.encode(PIECES), PIECES))


def test_a_worker_that_cannot_be_started_is_replaced_by_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Encoders(TOKENIZER, workers=2) as encoders:
        assert encoders.pool is not None

        def refuse(*_: object) -> None:
            raise OSError("no more processes")

        monkeypatch.setattr(encoders.pool, "submit", refuse)
        assert all(map(same, encoders.encode(PIECES), PIECES))
        assert encoders.pool is None


def test_what_was_left_out_of_a_text_that_is_scored_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfabc\n")
    corpus = open_corpus([str(tmp_path / "a.txt")], DataConfig())
    with pytest.warns(CharlmWarning, match="begins with a byte order mark, left out"):
        (piece,) = encode_documents(TOKENIZER, corpus)
    assert piece.text == "abc\n"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")
@pytest.mark.timeout(60)
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        "from charlm.data.tokenizers.alphabets import ByteTokenizer\n"
        "from charlm.data.preparation.encoding import Encoders\n"
        "from charlm.data.sources.pieces import Piece\n"
        "if __name__ == '__main__':\n"
        "    encoders = Encoders(ByteTokenizer(), 2)\n"
        "    list(encoders.encode([Piece('a', True)] * 9))\n"
        "    print(*encoders.pool._processes, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert workers
    deadline = time.monotonic() + 20
    while any(map(alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Whether a process runs; one that ended but was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("raw", [False, True])
def test_a_corpus_is_encoded_as_it_is_read(tmp_path: Path, raw: bool) -> None:
    (tmp_path / "a.txt").write_bytes("caf\xe9\r\n".encode())
    (tmp_path / "b.txt").write_bytes(b"two\n")
    tokenizer = ByteTokenizer() if raw else CharTokenizer("caf\xe9\r\ntwo")
    corpus = open_corpus([str(tmp_path)], DataConfig(), raw=raw)
    pieces = list(encode_documents(tokenizer, corpus))
    assert [piece.starts for piece in pieces] == [True, True]
    assert [piece.text for piece in pieces] == [piece.text for piece in corpus.pieces()]
    decoded = tokenizer.decode(np.concatenate([piece.ids for piece in pieces]))
    assert decoded == "caf\xe9\r\ntwo\n"


def test_there_are_as_many_workers_as_cores_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert encoding.available_cores() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(999)), raising=False)
    assert encoding.available_cores() == encoding.MOST_WORKERS
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert encoding.available_cores() == 1
