"""What clients get for requests that are wrong, too many, too slow, or not allowed."""

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from charlm.api.model import Model
from charlm.web.server.access import Access
from charlm.web.server.application import Application
from tests.web.server.asgi import COMPLETIONS, Reply, ask, complete, serving

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "no JSON"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b'{"prompt": ' + b"[" * 900 + b"]" * 900 + b"}", 400, "`prompt[0][0]` must be a token id"),
        (b'{"seed": ' + b"9" * 5000 + b"}", 400, "no JSON: Exceeds the limit (4300 digits)"),
        (b'"\xff"', 400, "no JSON: not UTF-8; "),
        ([], 400, "no JSON object"),
        ({"promt": "a"}, 400, "did you mean `prompt`"),
        ({"prompt": "\u65e5"}, 400, "never seen"),
        ({"prompt": "\ud800"}, 400, "`prompt` must be"),
        ({"prompt": [5, 10**9]}, 400, "`prompt[1]` must be a token id from 0 to 38, got 1000000"),
        ({"prompt": [5, True]}, 400, "`prompt[1]` must be a token id from 0 to 38, got true;"),
        ({"prompt": [True]}, 400, "`prompt[0]` must be a text, got true;"),
        ({"prompt": ["It", 5]}, 400, "`prompt[1]` must be a text, got 5;"),
        ({"prompt": [[5], [-1]]}, 400, "`prompt[1][0]` must be a token id from 0 to 38, got -1;"),
        ({"prompt": [[5], []]}, 400, "`prompt[1]` must be a list of token ids, got a list of 0;"),
        ({"prompt": []}, 400, "or a list of either, got a list of 0;"),
        ({"prompt": 5}, 400, "`prompt` must be a text, a list of token ids, or a list of either"),
        ({"max_tokens": -1}, 400, "`max_tokens`"),
        ({"prompt": "It " * 9, "max_tokens": 70}, 400, "more than 80 tokens"),
        (b'{"temperature": NaN}', 400, "`temperature`"),
        ({"logit_bias": []}, 400, '`logit_bias` must be an object like {"38": -100}, got a list'),
        ({"logit_bias": {"x": 1}}, 400, "whose names are token ids from 0 to 38, got \"x\";"),
        ({"logit_bias": {"39": 1}}, 400, "whose names are token ids from 0 to 38, got \"39\";"),
        ({"logit_bias": {"5": 101}}, 400, "`logit_bias[5]` must be a number from -100 to 100"),
        ({"logit_bias": {"5": None}}, 400, "`logit_bias[5]` must be a number from -100 to"),
        ({"stop": ""}, 400, '`stop` must be a text that is not empty, or a list of those, got ""'),
        ({"stop": ["a", 5]}, 400, "`stop` must be a text that is not empty, or a list of those"),
        ({"stop": "a" * 99 + "\ud800"}, 400, "got \"" + "a" * 59 + "...;"),
        ({"presence_penalty": 1}, 400, "not supported"),
        ({"model": "gpt"}, 404, "there is no model 'gpt'"),
        ({"prompt": "It", "n": 9}, 400, "more than 4 texts"),
        ({"logprobs": 20, "n": 4, "max_tokens": 10**5}, 400, "are more than 2,097,152 numbers"),
        ({"prompt": ["It"] * 3}, 429, "already, of at most"),
        (b" " * 5000, 413, "larger than 4,096 bytes"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_with_cause_and_way_out(
    model: Model, body: Any, status: int, says: str
) -> None:
    limits = {"lanes": 2, "waiting": 2, "length": 80, "body": 4096 if status == 413 else 1 << 20}
    if "numbers" in says:
        limits["length"] = 10**6
    if status == 429:
        # Texts that do not end by themselves, or the other may come too late.
        limits["length"] = 10**8
        endless = {"n": 3, "max_tokens": 10**7, "logit_bias": {"0": -100}}

        async def use(app: Application) -> Reply:
            busy = asyncio.create_task(ask(app, COMPLETIONS, endless))
            await asyncio.sleep(0)
            while not app.service.inboxes:
                await asyncio.sleep(0)
            refused = await ask(app, COMPLETIONS, body)
            busy.cancel()
            return refused

        reply = serving(model, use, **limits)
    elif says == "more than 4 texts":
        (reply,) = complete(model, {"prompt": ["It"] * 3, "n": 2}, **limits)
    else:
        (reply,) = complete(model, body, **limits)
    error = reply.json["error"]
    assert reply.status == status, error
    assert says in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "; " in error["message"]


def test_time_is_limited(model: Model) -> None:
    body = {"max_tokens": 10**7, "logit_bias": {"0": -100}}
    replies = complete(model, body, body | {"stream": True}, length=10**8, seconds=1)
    assert replies[0].status == 408
    assert "took too long" in replies[1].body.decode().split("\n\n")[-2]


def test_a_vanished_client_frees_its_lane(model: Model) -> None:
    async def use(app: Application) -> int:
        body = json.dumps({"max_tokens": 10**7, "stream": True}).encode()
        messages = [
            {"type": "http.request", "body": body, "more_body": False},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            await asyncio.sleep(3600)  # and it reads nothing

        scope = {"type": "http", "method": "POST", "path": COMPLETIONS, "headers": []}
        await app(scope | {"query_string": b"", "root_path": ""}, receive, send)
        return (await ask(app, COMPLETIONS, {"max_tokens": 2})).status

    assert serving(model, use, lanes=1, waiting=0, length=10**8) == 200


def test_a_client_that_leaves_amid_its_body_is_no_error_of_the_server(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(app: Application) -> Any:
        messages = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            pass

        scope = {"type": "http", "method": "POST", "path": "/tokenize", "headers": []}
        await app(scope | {"query_string": b"", "root_path": ""}, receive, send)
        return dict(app.service.requests)

    assert serving(model, use) == {("/tokenize", 400): 1}
    assert not caplog.records


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        (None, {"host": "127.0.0.1:8000"}, 200),
        (None, {"host": "evil.example"}, 403),
        (None, {"host": "localhost:1", "origin": "http://evil.example"}, 403),
        ("a secret", {"authorization": "Bearer a secret", "host": "evil.example"}, 200),
        ("a secret", {"authorization": "Basic dTphIHNlY3JldA=="}, 200),
        ("a secret", {"authorization": "Bearer another"}, 401),
        ("a secret", {}, 401),
    ],
)
def test_who_may_ask(model: Model, token: str | None, headers: dict[str, str], status: int) -> None:
    async def use(app: Application) -> Reply:
        app.access = Access(token)
        return await ask(app, "/v1/models", **headers)

    assert serving(model, use).status == status


def mutated(source: random.Random) -> bytes:
    """A body of which something is wrong, or everything."""
    values: list[Any] = [
        None, True, -1, 1e308, 10**30, "", "It", "\ud800", "\x00", [], [[]], [-1], ["It", 1], {},
        {"a": 1}, {"1": "x"}, [[1], "a"], 0.5, "日本" * 50,
    ]  # fmt: skip
    names = [
        "prompt", "max_tokens", "n", "stop", "seed", "logprobs", "echo", "logit_bias", "stream",
        "temperature", "top_p", "top_k", "min_p", "model", "stream_options", "text", "by", "top",
        "tokens", "best_of", "suffix", "\ud800",
    ]  # fmt: skip
    body = {name: source.choice(values) for name in source.sample(names, source.randint(1, 4))}
    content = json.dumps(body | {"unknown": 1}).encode()
    if source.random() < 0.3:
        at = source.randrange(len(content))
        content = content[:at] + source.randbytes(2) + content[at + source.randint(0, 9) :]
    return content


def test_malformed_requests_are_refused_and_leave_nothing(model: Model) -> None:
    """CHARLM_MALFORMED says how many; 1,000 unless it does."""
    count, source = int(os.environ.get("CHARLM_MALFORMED", "1000")), random.Random(1)
    paths = [COMPLETIONS, COMPLETIONS, "/v1/score", "/tokenize", "/detokenize", "/nothing", "/"]

    async def use(app: Application) -> tuple[set[int], list[tuple[int, int]]]:
        statuses, used = set(), []
        for number in range(count):
            reply = await ask(app, source.choice(paths), mutated(source))
            statuses.add(reply.status)
            assert set(reply.json["error"]) == {"message", "type", "param", "code"}
            if number % (count // 4) == count // 4 - 1:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                used.append((pages, len(list(Path("/proc/self/fd").iterdir()))))
        assert not app.service.inboxes
        return statuses, used

    if not Path("/proc/self/fd").exists():
        pytest.skip("memory and descriptors are counted in /proc")
    statuses, used = serving(model, use)
    assert statuses <= set(range(400, 500)), statuses
    assert used[-1][1] == used[0][1]
    assert used[-1][0] - used[1][0] < 2000  # pages: 8 MB
