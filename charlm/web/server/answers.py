"""Answers on their way to a client: completions, whole or as a stream, and errors.

Errors are JSON as OpenAI has it: ``{"error": {"message", "type", "param", "code"}}``.
"""

import asyncio
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from charlm.errors import CharlmError, CheckpointError, ModelError, counted
from charlm.inference.serving.engine import Overloaded
from charlm.inference.serving.texts import Chunk
from charlm.web.server.completions import Completion, json_bytes
from charlm.web.server.requests import Refused
from charlm.web.server.service import Inbox, Service

__all__ = ["Answer", "error_response", "show", "show_error"]

PAUSE = 1 / 20
"""Seconds between two events of a stream; to send one takes 0.1 ms, and 64 texts may stream."""

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Answer:
    """The answer to a request for completions, whole or as server-sent events.

    It ends when the client is gone or the time is over, which frees the lanes.
    """

    def __init__(self, service: Service, completion: Completion) -> None:
        self.service, self.completion = service, completion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer.  Raises ``Refused``, ``Overloaded`` or what ended a text."""
        completion, seconds = self.completion, self.service.limits.seconds
        why = Refused(
            f"the request took too long: more than {counted(seconds, 'second')}",
            "ask for less at a time", status=408,
        )  # fmt: skip
        with self.service.write(completion.name, completion.texts) as inbox:
            work = self.stream if completion.request.stream else self.whole
            tasks = [asyncio.create_task(work(inbox, send)), asyncio.create_task(gone(receive))]
            try:
                await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                why = Refused("the server ends", "ask again later", status=503)
            finally:
                done = [task.done() for task in tasks]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if done[0]:
            tasks[0].result()
        elif not done[1] and not completion.request.stream:
            raise why
        elif not done[1]:
            await self.cut(send, why)

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
        """Events with what has come since the last one, for each text."""
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
            if left:
                await asyncio.sleep(PAUSE)
        if completion.request.include_usage:
            await self.event(send, {"choices": [], "usage": completion.usage()})
        await send_part(send, b"data: [DONE]\n\n", last=True)

    async def event(self, send: Send, record: dict[str, Any]) -> None:
        """One event."""
        content = json_bytes(self.completion.head | record)
        await send_part(send, b"data: " + content + b"\n\n")

    async def cut(self, send: Send, why: Exception) -> None:
        """End a stream before its texts are finished."""
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
