"""The answers to HTTP requests, by their paths.

Errors are JSON as OpenAI has it: ``{"error": {"message", "type", "param", "code"}}``.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from html import escape
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from charlm.api.model import Model
from charlm.errors import CharlmError, counted
from charlm.web.page import make_page
from charlm.web.server.access import Access
from charlm.web.server.answers import Answer, error_response, show, show_error
from charlm.web.server.completions import BOUNDARY, Completion, encode_text
from charlm.web.server.requests import (
    Fields,
    Refused,
    check_ids,
    parse_body,
    parse_completion,
)
from charlm.web.server.service import Service
from charlm.web.writer_page import writer_page

__all__ = ["Application"]

UNITS = ("token", "word", "char", "line")

Handler = Callable[[Request], Awaitable[Any]]


class Application:
    """The ASGI application: checks who asks, answers, and counts."""

    def __init__(self, service: Service, access: Access) -> None:
        self.service, self.access = service, access
        self.limits = service.limits
        routes = {
            ("GET", "/"): self.page,
            ("GET", "/health"): self.health,
            ("GET", "/metrics"): self.metrics,
            ("GET", "/tokenizer_info"): self.tokenizer_info,
            ("GET", "/v1/models"): self.list_models,
            ("GET", "/v1/models/{name}"): self.show_model,
            ("POST", "/v1/completions"): self.complete,
            ("POST", "/v1/score"): self.score,
            ("POST", "/tokenize"): self.tokenize,
            ("POST", "/detokenize"): self.detokenize,
        }
        self.paths = {path for _, path in routes}
        self.starlette = Starlette(
            routes=[Route(path, call, methods=[method]) for (method, path), call in routes.items()],
            exception_handlers={
                CharlmError: show_error, HTTPException: show_error, Exception: show_error,
            },
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; those that are not allowed are refused before anything is read."""
        if scope["type"] != "http":
            return
        begin, path = time.monotonic(), scope["path"]
        path = path if path in self.paths else "other"

        async def counting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.service.requests[path, message["status"]] += 1
            await send(message)

        try:
            refused = self.access.check(path, scope["headers"])
            if refused is not None:
                await error_response(refused)(scope, receive, counting)
            else:
                await self.starlette(scope, receive, counting)
        except ClientDisconnect:
            pass
        finally:
            self.service.seconds[path] += time.monotonic() - begin

    async def fields(self, request: Request) -> Fields:
        """The fields of the body, of limited size and time.  Raises ``Refused``."""
        limits, parts, size = self.limits, [], 0
        try:
            async with asyncio.timeout(limits.patience):
                async for part in request.stream():
                    size += len(part)
                    if size > limits.body:
                        raise Refused(
                            f"the body is larger than {limits.body:,} bytes",
                            "send less at a time", status=413,
                        )  # fmt: skip
                    parts.append(part)
        except ClientDisconnect:
            raise Refused("the client is gone", "send the whole body") from None  # nobody reads it
        except TimeoutError:
            raise Refused(
                f"the body did not arrive within {counted(limits.patience, 'second')}",
                "send it faster", status=408,
            ) from None  # fmt: skip
        return parse_body(b"".join(parts))

    async def complete(self, request: Request) -> Answer:
        """Texts that follow prompts."""
        fields = await self.fields(request)
        name, model = self.service.model(fields.text("model"))
        parsed = parse_completion(fields, model.tokenizer.vocab_size, self.limits)
        # In a thread: to encode a long prompt takes a second, in which others are answered.
        completion = await run_in_threadpool(Completion, name, model, parsed, self.limits)
        return Answer(self.service, completion)

    async def score(self, request: Request) -> Response:
        """How surprising a text was, in all and unit by unit."""
        fields = await self.fields(request)
        name, model = self.service.model(fields.text("model"))
        text, by = fields.text("text"), fields.text("by", "word")
        top = fields.whole("top", 0, 0, 20)
        fields.refuse_others()
        if not text:
            raise fields.wrong("text", "a text that is not empty")
        if by not in UNITS:
            raise fields.wrong("by", f"one of {', '.join(UNITS)}")
        length = len(await run_in_threadpool(model.tokenizer.encode, text))
        if length > self.limits.length:
            raise Refused(
                f"the text has {counted(length, 'token')}, of at most {self.limits.length:,}",
                "send it in parts", param="text", code="context_length_exceeded",
            )  # fmt: skip
        async with asyncio.timeout(self.limits.seconds), self.service.scoring:
            units = await run_in_threadpool(model.surprisal, text, by=by, top=top)
        nll = sum(unit.nll for unit in units)
        return show({
            "object": "score", "model": name, "nll": nll, "bits": nll / math.log(2),
            "tokens": length, "chars": len(text), "bpc": nll / math.log(2) / len(text),
            "units": [
                {"text": unit.text, "nll": unit.nll, "bits": unit.bits, "entropy": unit.entropy,
                 "rank": unit.rank, "tokens": unit.tokens,
                 **({"guesses": [list(guess) for guess in unit.guesses]} if top else {})}
                for unit in units
            ],
        })  # fmt: skip

    async def tokenize(self, request: Request) -> Response:
        """The token ids of a text."""
        fields = await self.fields(request)
        _, model = self.service.model(fields.text("model"))
        prompt, special = fields.text("prompt"), fields.flag("add_special_tokens")
        fields.refuse_others()
        if prompt is None:
            raise fields.wrong("prompt", "a text")
        ids = await run_in_threadpool(encode_text, model.tokenizer, prompt)
        ids = [model.tokenizer.boundary_id, *ids] if special else ids
        return show({"tokens": ids, "count": len(ids), "max_model_len": self.limits.length})

    async def detokenize(self, request: Request) -> Response:
        """The text of token ids."""
        fields = await self.fields(request)
        _, model = self.service.model(fields.text("model"))
        ids = check_ids("tokens", fields.take("tokens"), model.tokenizer.vocab_size)
        fields.refuse_others()
        named = ids == [model.tokenizer.boundary_id]
        return show({"prompt": BOUNDARY if named else model.tokenizer.decode(ids)})

    async def tokenizer_info(self, request: Request) -> Response:
        """What lm-evaluation-harness asks before it tokenizes here."""
        _, model = self.service.model(request.query_params.get("model"))
        special = {"eos_token": BOUNDARY, "bos_token": BOUNDARY, "pad_token": None}
        size = model.tokenizer.vocab_size
        return show({"kind": model.tokenizer.kind, "vocab_size": size, **special})

    async def list_models(self, request: Request) -> Response:
        """The models by name."""
        data = [self.about(name) for name in self.service.models]
        return show({"object": "list", "data": data})

    async def show_model(self, request: Request) -> Response:
        """One model."""
        name, _ = self.service.model(request.path_params["name"])
        return show(self.about(name))

    def about(self, name: str) -> dict[str, Any]:
        """A model as OpenAI's clients know it."""
        created = int(self.service.started)
        return {"id": name, "object": "model", "created": created, "owned_by": "charlm"}

    async def health(self, request: Request) -> Response:
        """That the server lives."""
        return show({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """What was counted, as Prometheus reads it."""
        return PlainTextResponse(self.service.metrics(), media_type="text/plain; version=0.0.4")

    async def page(self, request: Request) -> Response:
        """The page that writes, of the ``model`` of the query; else what there is."""
        asked = request.query_params.get("model")
        if asked is None and len(self.service.models) > 1:
            return HTMLResponse(index_page(self.service, ""))
        _, model = self.service.model(asked)
        return HTMLResponse(await run_in_threadpool(model_page, self.service, model))


def index_page(service: Service, why: str) -> str:
    """A page that says what there is."""
    rows = "".join(
        f'<li><a href="/?model={escape(name)}">{escape(name)}</a></li>' for name in service.models
    )
    return make_page(
        "charlm",
        f"<main><h1>charlm</h1>{f'<p>{escape(why)}</p>' if why else ''}<ul>{rows}</ul>"
        "<p>Programs ask <code>POST /v1/completions</code>, as OpenAI's clients do, and "
        "<code>POST /v1/score</code>.</p></main>",
    )


@lru_cache(maxsize=4)
def model_page(service: Service, model: Model) -> str:
    """The page that writes with a model in the browser, or why there is none."""
    try:
        return writer_page(model.loaded)
    except CharlmError as error:
        return index_page(service, str(error))
