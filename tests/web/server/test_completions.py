"""What clients get: as OpenAI's server answers, with the numbers of the model."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from charlm.api.model import Model
from charlm.web.server.application import Application
from tests.inference.toys import KINDS, model_for, trained
from tests.web.server.asgi import Reply, ask, complete, serving

PROMPT = "It was the best"

pytestmark = pytest.mark.timeout(120)


def get(model: Model, path: str, body: Any = None) -> Reply:
    reply: Reply = serving(model, lambda app: ask(app, path, body))
    return reply


def test_a_completion_is_the_text_of_generate(model: Model) -> None:
    body = {"prompt": PROMPT, "max_tokens": 25, "seed": 3, "n": 2, "model": "lstm"}
    (reply,) = complete(model, body)
    record = reply.json
    assert reply.status == 200
    assert record["object"] == "text_completion"
    expected = model.generate(PROMPT, samples=2, seed=3, length=25, unit="tokens", temperature=1.0)
    assert [PROMPT + choice["text"] for choice in record["choices"]] == expected
    assert record["usage"] == {"prompt_tokens": 15, "completion_tokens": 50, "total_tokens": 65}


def test_requests_together_get_what_each_gets_alone(model: Model) -> None:
    bodies = [{"prompt": PROMPT[:n], "seed": n, "max_tokens": 5 + n} for n in range(1, 16)]
    together = [reply.json["choices"] for reply in complete(model, *bodies, lanes=4)]
    assert together == [complete(model, body)[0].json["choices"] for body in bodies]


def test_a_stream_joins_to_the_whole_with_its_log_probs(model: Model) -> None:
    body = {"prompt": PROMPT, "max_tokens": 20, "seed": 1, "echo": True, "logprobs": 2, "stop": "s"}
    whole, stream = complete(
        model, body, body | {"stream": True, "stream_options": {"include_usage": True}}
    )
    (choice,) = whole.json["choices"]
    *events, last = stream.events
    assert last["usage"] == whole.json["usage"]
    parts = [event["choices"][0] for event in events]
    assert "".join(part["text"] for part in parts) == choice["text"]
    assert parts[-1]["finish_reason"] == choice["finish_reason"]
    for name, values in choice["logprobs"].items():
        assert [each for part in parts for each in part["logprobs"][name]] == values, name
    offsets, tokens = choice["logprobs"]["text_offset"], choice["logprobs"]["tokens"]
    assert all(
        choice["text"][at:].startswith(token) for at, token in zip(offsets, tokens, strict=True)
    )


def spelled(names: list[str]) -> str:
    """What the names of tokens join to, as OpenAI writes tokens that are parts of characters."""
    parts = [
        bytes.fromhex(name.removeprefix("bytes:").replace("\\x", ""))
        if name.startswith("bytes:") else name.replace("<|boundary|>", "").encode()
        for name in names
    ]  # fmt: skip
    return b"".join(parts).decode(errors="replace")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("stop", [None, ["at ", "t c", "\n\n", "e d"]])
def test_tokens_join_to_the_text_from_the_beginning_of_the_prompt(
    kind: str, echo: bool, stop: Any
) -> None:
    tokenizer = trained(kind)
    toy: Any = SimpleNamespace(
        run=Path("toy"), tokenizer=tokenizer, loaded=SimpleNamespace(model=model_for(tokenizer))
    )
    ids = tokenizer.encode("é日 the dog").tolist()[1:]
    shown = {"max_tokens": 40, "seed": 1, "temperature": 0.5, "logprobs": 2, "echo": echo}
    for prompt in ("the  cat sat", " the cat\n", "", ids):
        body = {"prompt": prompt, "n": 4, "stop": stop, **shown}
        whole, stream = complete(toy, body, body | {"stream": True})
        given = prompt if isinstance(prompt, str) else tokenizer.decode(prompt)
        for choice in whole.json["choices"]:
            check_tokens(choice, "" if echo else given)
            parts = [event["choices"][0] for event in stream.events]
            parts = [part for part in parts if part["index"] == choice["index"]]
            for name, values in choice["logprobs"].items():
                assert [each for part in parts for each in part["logprobs"][name]] == values


def check_tokens(choice: Any, before: str) -> None:
    """Of a choice without the text ``before`` it: names, offsets and the most probable tokens."""
    tokens, offsets = choice["logprobs"]["tokens"], choice["logprobs"]["text_offset"]
    # A length may end amid a character, which is left out.
    assert spelled(tokens) in (choice["text"], choice["text"] + "\ufffd")
    assert offsets[0] == len(before)
    for name, at in zip(tokens, offsets, strict=True):
        special = name.startswith("bytes:") or name == "<|boundary|>"
        assert special or (before + choice["text"])[at:].startswith(name)
    own, best = choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"]
    for name, log_prob, top in zip(tokens, own, best, strict=True):
        assert top[name] == log_prob
        assert len(top) in (2, 3)


def test_lm_evaluation_harness_gets_the_figures_of_scoring(model: Model) -> None:
    """Its requests as it sends them: token ids, one more token, which it leaves out."""
    text = 'It was the age of WISDOM.\n\tSo "he said"'
    ids = get(model, "/tokenize", {"prompt": text, "add_special_tokens": False}).json["tokens"]
    shared = {"model": "lstm", "temperature": 0, "logprobs": 1, "seed": 1234, "echo": True}
    replies = complete(
        model,
        shared | {"prompt": [ids, ids[:5]], "max_tokens": 1},
        shared | {"prompt": [[0, *ids]], "max_tokens": 1},
        shared | {"prompt": ids, "max_tokens": 0},
    )
    whole, short = (choice["logprobs"] for choice in replies[0].json["choices"])
    expected = -model.score(text).nll
    assert sum(whole["token_logprobs"][:-1]) == pytest.approx(expected, abs=1e-6 * len(ids))
    assert whole["token_logprobs"][:5] == pytest.approx(short["token_logprobs"][:-1], abs=1e-6)
    greedy = [max(top.values()) for top in whole["top_logprobs"]]
    assert all(best >= own for best, own in zip(greedy, whole["token_logprobs"], strict=True))
    bounded = replies[1].json["choices"][0]["logprobs"]["token_logprobs"]
    assert bounded[0] is None
    assert sum(bounded[1:-1]) == pytest.approx(expected, abs=1e-6 * len(ids))
    scored = replies[2].json["choices"][0]
    assert (scored["text"], len(scored["logprobs"]["tokens"])) == (text, len(ids))


def test_what_is_tokenized_is_detokenized_and_scored(model: Model) -> None:
    ids = get(model, "/tokenize", {"prompt": PROMPT}).json["tokens"]
    assert get(model, "/detokenize", {"tokens": ids}).json == {"prompt": PROMPT}
    score = get(model, "/v1/score", {"text": PROMPT, "by": "char", "top": 2}).json
    assert score["nll"] == pytest.approx(model.score(PROMPT).nll, abs=1e-4)
    assert [unit["text"] for unit in score["units"]] == list(PROMPT)
    assert score["bpc"] == pytest.approx(score["nll"] / math.log(2) / len(PROMPT))


def test_the_other_paths_answer(model: Model) -> None:
    async def use(app: Application) -> list[Reply]:
        paths = ("/v1/models", "/v1/models/lstm", "/health", "/", "/tokenizer_info", "/metrics")
        return [await ask(app, path) for path in paths]

    models, one, health, page, info, metrics = serving(model, use)
    assert models.json["data"] == [one.json]
    assert one.json["id"] == "lstm"
    assert health.json == {"status": "ok"}
    assert page.body.startswith(b"<!doctype html>")
    assert b"all in this page" not in page.body  # which is true of an exported one
    assert info.json["eos_token"] == "<|boundary|>"
    assert b'charlm_requests_total{path="/health",status="200"} 1\n' in metrics.body
