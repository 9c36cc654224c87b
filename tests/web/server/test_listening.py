"""The server over the loopback interface: OpenAI's client, wrong starts, signals, slow clients."""

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from charlm.errors import ConfigError
from charlm.web.server.opening import OpenServer, ServeLimits, open_server
from tests.cli.conftest import start

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[OpenServer]:
    """A server in a thread, with little patience."""
    found = open_server([runs / "lstm", runs / "gru"], port=0, limits=ServeLimits(patience=0.5))
    over = threading.Event()
    thread = threading.Thread(target=found.run, args=(over.is_set,))
    thread.start()
    yield found
    over.set()
    thread.join(30)
    assert not thread.is_alive()


def address(server: OpenServer) -> tuple[str, int]:
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


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


def test_a_connection_that_sends_nothing_in_time_is_closed(server: OpenServer) -> None:
    with socket.create_connection(address(server), timeout=20) as slow:
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127")
        assert slow.recv(100) == b""


def test_a_body_that_does_not_arrive_in_time_is_refused(server: OpenServer) -> None:
    with socket.create_connection(address(server), timeout=20) as slow:
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
        time.sleep(0.2)
        assert answer.read().endswith(b"data: [DONE]\n\n")
        client.close()
        assert process.wait(60) == 130
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
