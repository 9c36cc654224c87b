"""The answers to HTTP requests, by their paths.

Errors are JSON as OpenAI has it: ``{"error": {"message", "type", "param", "code"}}``.
"""

import asyncio
import logging
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
from charlm.errors import CharlmError, CheckpointError, ModelError
from charlm.inference.serving.engine import Overloaded
from charlm.inference.serving.texts import Chunk
from charlm.web.page import make_page
from charlm.web.server.access import Access
from charlm.web.server.completions import BOUNDARY, Completion, encode_text, json_bytes
from charlm.web.server.requests import Fields, Refused, parse_body, parse_completion
from charlm.web.server.service import Inbox, Service
from charlm.web.writer_page import writer_page

__all__ = ["Application"]

UNITS = ("token", "word", "char", "line")
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

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
        except TimeoutError:
            raise Refused(
                f"the body did not arrive within {limits.patience:g} seconds", "send it faster",
                status=408,
            ) from None  # fmt: skip
        return parse_body(b"".join(parts))

    async def complete(self, request: Request) -> "Answer":
        """Texts that follow prompts."""
        fields = await self.fields(request)
        name, model = self.service.model(fields.text("model"))
        parsed = parse_completion(fields, model.tokenizer.vocab_size, self.limits)
        return Answer(self.service, Completion(name, model, parsed, self.limits))

    async def score(self, request: Request) -> Response:
        """How surprising a text was, in all and unit by unit."""
        fields = await self.fields(request)
        name, model = self.service.model(fields.text("model"))
        text, by = fields.text("text"), fields.text("by", "word")
        top = fields.whole("top", 0, 0, 20)
        fields.refuse_others()
        if not text or by not in UNITS:
            raise fields.wrong(*(("by", ", ".join(UNITS)) if text else ("text", "a text")))
        length = len(await run_in_threadpool(model.tokenizer.encode, text))
        if length > self.limits.length:
            raise Refused(
                f"the text has {length:,} tokens, of at most {self.limits.length:,}",
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
        ids = encode_text(model.tokenizer, prompt)
        ids = [model.tokenizer.boundary_id, *ids] if special else ids
        return show({"tokens": ids, "count": len(ids), "max_model_len": self.limits.length})

    async def detokenize(self, request: Request) -> Response:
        """The text of token ids."""
        fields = await self.fields(request)
        _, model = self.service.model(fields.text("model"))
        ids = fields.ids("tokens", model.tokenizer.vocab_size)
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


class Answer:
    """The answer to a request for completions, whole or as server-sent events.

    It ends when the client is gone or the time is over, which frees the lanes.
    """

    def __init__(self, service: Service, completion: Completion) -> None:
        self.service, self.completion = service, completion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer.  Raises ``Refused``, ``Overloaded`` or what ended a text."""
        completion, seconds = self.completion, self.service.limits.seconds
        with self.service.write(completion.name, completion.texts) as inbox:
            work = self.stream if completion.request.stream else self.whole
            tasks = [asyncio.create_task(work(inbox, send)), asyncio.create_task(gone(receive))]
            try:
                await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                done = [task.done() for task in tasks]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if done[0]:
            tasks[0].result()
        elif not done[1] and not completion.request.stream:
            raise Refused(
                f"the request took longer than {seconds:g} seconds", "ask for less at a time",
                status=408,
            )  # fmt: skip
        elif not done[1]:
            await self.cut(send)

    async def whole(self, inbox: Inbox, send: Send) -> None:
        """All texts in one record."""
        texts = self.completion.texts
        chunks: list[list[Chunk]] = [[] for _ in texts]
        left = len(texts)
        while left:
            number, chunk = await inbox.get()
            if chunk.error is not None:
                raise chunk.error
            chunks[number].append(chunk)
            left -= chunk.finish is not None
        choices = [self.completion.answer(number, each) for number, each in enumerate(chunks)]
        record = self.completion.head | {"choices": choices, "usage": self.completion.usage()}
        await show(record)({"type": "http"}, no_more, send)

    async def stream(self, inbox: Inbox, send: Send) -> None:
        """An event for each piece; pieces that wait for a slow client are sent together."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"),
                   (b"cache-control", b"no-store")]  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        completion, left = self.completion, len(self.completion.texts)
        while left:
            arrived = [await inbox.get()]
            while not inbox.empty():
                arrived.append(inbox.get_nowait())
            for number in sorted({number for number, _ in arrived}):
                chunks = [chunk for other, chunk in arrived if other == number]
                if chunks[-1].error is not None:
                    await self.cut(send, chunks[-1].error)
                    return
                left -= chunks[-1].finish is not None
                await self.event(send, {"choices": [completion.answer(number, chunks)]})
        if completion.request.include_usage:
            await self.event(send, {"choices": [], "usage": completion.usage()})
        await send_part(send, b"data: [DONE]\n\n", last=True)

    async def event(self, send: Send, record: dict[str, Any]) -> None:
        """One event."""
        content = json_bytes(self.completion.head | record)
        await send_part(send, b"data: " + content + b"\n\n")

    async def cut(self, send: Send, error: Exception | None = None) -> None:
        """End a stream before its texts are finished."""
        why = error or Refused("the request took too long", "ask for less", status=408)
        try:
            async with asyncio.timeout(1):
                content = json_bytes(error_record(why)[1])
                await send_part(send, b"data: " + content + b"\n\n", last=True)
        except TimeoutError:
            raise ClientDisconnect from None  # it does not read; the connection is closed


async def send_part(send: Send, content: bytes, *, last: bool = False) -> None:
    """Send a part of a body."""
    await send({"type": "http.response.body", "body": content, "more_body": not last})


async def gone(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def no_more() -> Any:
    """What is received where nothing more comes."""
    return {"type": "http.disconnect"}


def show(record: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A record as JSON."""
    return Response(json_bytes(record), status, headers, media_type="application/json")


def error_record(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status and the record of an error; one of the program itself tells nothing."""
    status, message, param, code = 500, "the server failed; its log says how", None, None
    if isinstance(error, HTTPException):
        status, message = error.status_code, f"{error.detail}; known paths: GET / and POST /v1/..."
    elif isinstance(error, TimeoutError):
        status, message = 408, "the request took too long; ask for less at a time"
    elif isinstance(error, CharlmError):
        status = getattr(error, "status", 400)
        if isinstance(error, Overloaded):
            status = 429
        elif isinstance(error, ModelError | CheckpointError):
            status = 500
        message = f"{error}; {error.hint}"
        param, code = getattr(error, "param", None), getattr(error, "code", None)
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return status, {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(error: Exception) -> Response:
    """The answer to a request that failed."""
    status, record = error_record(error)
    headers = {429: {"retry-after": "1"}, 401: {"www-authenticate": 'Basic realm="charlm"'}}
    given = dict(getattr(error, "headers", None) or {})
    return show(record, status, given | headers.get(status, {}))


async def show_error(request: Request, error: Exception) -> Response:
    """The answer to an error; what should not have happened is logged."""
    response = error_response(error)
    if response.status_code == 500 and not isinstance(error, CharlmError):
        logging.getLogger("charlm.server").error("%s", request.url.path, exc_info=error)
    return response


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
