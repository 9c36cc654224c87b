"""The server over the loopback interface: OpenAI's client, wrong starts, signals, slow clients."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from charlm.console.serving import announced
from charlm.errors import ConfigError
from charlm.inference.serving.batching import Batcher
from charlm.web.server.opening import OpenServer, ServeLimits, open_server
from tests.cli.conftest import start

pytestmark = pytest.mark.timeout(120)


@contextmanager
def listening(runs: Sequence[Path], **limits: Any) -> Iterator[tuple[OpenServer, threading.Event]]:
    """A server in a thread, which ends when the event is set, or with the block."""
    found = open_server(runs, port=0, limits=ServeLimits(length=10**8, **limits))
    over = threading.Event()
    thread = threading.Thread(target=found.run, args=(over.is_set,))
    thread.start()
    try:
        yield found, over
    finally:
        over.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[OpenServer]:
    with listening([runs / "lstm", runs / "gru"]) as (found, _):
        yield found


@pytest.fixture(scope="module")
def impatient(runs: Path) -> Iterator[OpenServer]:
    with listening([runs / "lstm"], patience=1) as (found, _):
        yield found


def address(server: OpenServer) -> tuple[str, int]:
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


def complete(server: OpenServer, **body: Any) -> Any:
    """Ask for a completion; returns when the head of the answer is there."""
    content = json.dumps(body | {"logit_bias": {"0": -100}}).encode()
    return urlopen(f"{server.url}/v1/completions", content, timeout=60)


def test_the_official_client_completes_and_streams(server: OpenServer) -> None:
    openai = pytest.importorskip("openai", reason="the package openai is not installed")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        assert {model.id for model in client.models.list()} == {"lstm", "gru"}
        asked = {"model": "lstm", "prompt": "It", "seed": 1, "max_tokens": 20, "logprobs": 1}
        whole = client.completions.create(**asked)
        parts = list(client.completions.create(**asked, stream=True))
        assert "".join(part.choices[0].text for part in parts) == whole.choices[0].text
        assert len(whole.choices[0].logprobs.tokens) == 20
        with pytest.raises(openai.NotFoundError, match="there is no model"):
            client.completions.create(model="gpt", prompt="It")
        with pytest.raises(openai.BadRequestError, match="never seen"):
            client.completions.create(model="lstm", prompt="日")


def test_of_several_models_one_must_be_named(server: OpenServer) -> None:
    with pytest.raises(HTTPError) as refused:
        complete(server, prompt="It")
    message = json.loads(refused.value.read())["error"]["message"]
    refused.value.close()
    assert message == "`model` is missing or no text; known: lstm, gru"


def test_a_connection_that_sends_nothing_in_time_is_closed(impatient: OpenServer) -> None:
    slow = socket.create_connection(address(impatient), timeout=60)
    with slow, suppress(ConnectionError):  # as the close looks where it meets what was sent last
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127")
        assert slow.recv(100) == b""


def test_a_body_that_does_not_arrive_in_time_is_refused(impatient: OpenServer) -> None:
    with socket.create_connection(address(impatient), timeout=60) as slow:
        slow.sendall(b"POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_port_in_use_is_refused_with_another(server: OpenServer, runs: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be listened at") as caught:
        open_server([runs / "lstm"], port=address(server)[1])
    assert "`port=" in caught.value.hint


def test_others_are_served_with_a_token_only(runs: Path) -> None:
    with pytest.raises(ConfigError, match="can be reached by others"):
        open_server([runs / "lstm"], host="0.0.0.0", port=0)
    with pytest.raises(ConfigError, match="8 ASCII characters"):
        open_server([runs / "lstm"], port=0, token="short")


def test_running_requests_are_finished_when_the_server_ends(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, over = Batcher.step, threading.Event()

    def step_until_the_end(self: Batcher) -> Any:
        """Write a piece, and the others when the server is ending."""
        if any(text.made for batch in self.batches for text in batch.texts):
            assert over.wait(60)
        return step(self)

    monkeypatch.setattr(Batcher, "step", step_until_the_end)
    with listening([runs / "lstm"], grace=30) as (server, ending):
        answer = complete(server, max_tokens=50, stream=True, logprobs=1)
        assert answer.read(5) == b"data:"
        ending.set()
        while is_listening(server):
            time.sleep(0.01)
        over.set()
        assert answer.read().endswith(b"data: [DONE]\n\n")


def is_listening(server: OpenServer) -> bool:
    try:
        socket.create_connection(address(server), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_requests_that_take_longer_are_told_that_the_server_ends(runs: Path) -> None:
    with listening([runs / "lstm"], grace=1) as (server, ending):
        stream = complete(server, max_tokens=10**7, stream=True)
        with ThreadPoolExecutor() as pool:
            whole = pool.submit(complete, server, max_tokens=10**7)
            while b"charlm_texts_writing 2\n" not in urlopen(f"{server.url}/metrics").read():
                time.sleep(0.01)
            ending.set()
            assert b"the server ends" in stream.read().rpartition(b"data: ")[2]
            with pytest.raises(HTTPError, match="503") as caught:
                whole.result()
            assert b"the server ends" in caught.value.read()


def test_a_signal_ends_the_command_after_running_requests(runs: Path) -> None:
    process = start("serve", runs / "lstm", "--port", "0")
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = next(word for word in line.split() if word.startswith("http")).rstrip(";")
        client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        body = {"max_tokens": 3000, "stream": True, "logit_bias": {"0": -100}}
        client.request("POST", "/v1/completions", json.dumps(body))
        answer = client.getresponse()
        assert answer.read(5) == b"data:"
        process.send_signal(signal.SIGINT)
        assert answer.read().endswith(b"data: [DONE]\n\n")
        client.close()
        assert process.wait(60) == 130
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_the_end_of_a_server_is_said_once_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = os.openpty()
    names = iter([None, "SIGINT", "SIGINT"])
    with os.fdopen(master, "rb", buffering=0) as screen, os.fdopen(slave, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        stderr.write("^C")
        check = announced(lambda: next(names), grace=5)
        assert [check(), check(), check()] == [None, "SIGINT", "SIGINT"]
        stderr.write("over")
        stderr.flush()
        shown = b""
        while not shown.endswith(b"over"):
            shown += screen.read(1000)
        first, *lines, last = shown.removesuffix(b"over").split(b"\r\n")
    assert (first, last) == (b"^C", b"")
    assert b"5 seconds" in lines[0]
    assert sum(line.startswith(b"ending") for line in lines) == 1


def test_the_end_of_a_server_is_not_said_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert announced(lambda: "SIGTERM", grace=5)() == "SIGTERM"
    assert capsys.readouterr().err == ""
