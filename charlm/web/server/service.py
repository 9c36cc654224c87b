"""The runs that a server offers, what it counts, and the way from the engine to its coroutines."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from charlm.api.model import Model
from charlm.errors import ConfigError
from charlm.inference.serving.batching import Batcher
from charlm.inference.serving.engine import Engine
from charlm.inference.serving.texts import Chunk, ServedText
from charlm.web.server.requests import Refused, ServeLimits

__all__ = ["Service", "named"]

Inbox = asyncio.Queue[tuple[int, Chunk]]


def named(models: Sequence[Model]) -> dict[str, Model]:
    """The models by the names of their folders.  Raises ``ConfigError`` for two of one name."""
    found: dict[str, Model] = {}
    for model in models:
        name = model.run.resolve().name
        if name in found:
            raise ConfigError(
                f"two runs are called {name}: {found[name].run} and {model.run}",
                "copy one to a folder with another name, or serve one of them",
            )
        found[name] = model
    return found


class Service:
    """Models with the engine that writes their texts; must be made in the server's event loop."""

    def __init__(self, models: Mapping[str, Model], limits: ServeLimits) -> None:
        self.models, self.limits = dict(models), limits
        self.started = time.time()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.finished: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.seconds: dict[str, float] = defaultdict(float)
        self.inboxes: dict[ServedText, tuple[Inbox, int]] = {}
        self.scoring = asyncio.Semaphore(1)
        """Held while a text is scored, in a thread of its own."""
        self.loop = asyncio.get_running_loop()
        batchers = {
            name: Batcher(model.loaded.model, model.tokenizer, limits.lanes)
            for name, model in self.models.items()
        }
        self.engine = Engine(batchers, self.deliver, limits.waiting)

    def model(self, name: Any) -> tuple[str, Model]:
        """The model of a name; without one, the only model.  Raises ``Refused``."""
        if name is None and len(self.models) == 1:
            return next(iter(self.models.items()))
        if not isinstance(name, str) or name not in self.models:
            named = isinstance(name, str)
            cause = f"there is no model {name[:60]!r}" if named else "`model` is missing or no text"
            raise Refused(
                cause, f"known: {', '.join(self.models)}",
                status=404 if name is not None else 400, param="model", code="model_not_found",
            )  # fmt: skip
        return name, self.models[name]

    @contextmanager
    def write(self, model: str, texts: Sequence[ServedText]) -> Iterator[Inbox]:
        """Have texts written while the block runs; yields where their chunks arrive, each with the
        number of its text.  Raises ``Overloaded``.
        """
        inbox: Inbox = asyncio.Queue()
        self.inboxes |= {text: (inbox, number) for number, text in enumerate(texts)}
        try:
            self.engine.submit(model, texts)
            yield inbox
        finally:
            self.engine.cancel(texts)
            for text in texts:
                self.inboxes.pop(text, None)
                self.tokens["completion"] += text.made
            for prompt in {text.prompt for text in texts}:
                self.tokens["prompt"] += len(prompt.ids)

    def deliver(self, delivered: list[tuple[ServedText, Chunk]]) -> None:
        """Hand chunks from the engine's thread to the event loop, which may have ended."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.spread, delivered)

    def spread(self, delivered: list[tuple[ServedText, Chunk]]) -> None:
        """Put chunks into the inboxes of those who still want them."""
        for text, chunk in delivered:
            if text in self.inboxes:
                inbox, number = self.inboxes[text]
                inbox.put_nowait((number, chunk))
                if chunk.finish:
                    self.finished[chunk.finish] += 1

    def metrics(self) -> str:
        """What was counted, as Prometheus reads it."""
        engine = self.engine
        lines = [
            *metric("charlm_requests_total", "counter", "Answered requests.", {
                f'path="{path}",status="{status}"': count
                for (path, status), count in sorted(self.requests.items())
            }),
            *metric("charlm_request_seconds_total", "counter", "Time of answered requests.", {
                f'path="{path}"': round(spent, 3) for path, spent in sorted(self.seconds.items())
            }),
            *metric("charlm_texts_total", "counter", "Texts by why they ended.", {
                f'finish="{finish}"': count for finish, count in sorted(self.finished.items())
            }),
            *metric("charlm_tokens_total", "counter", "Tokens read and written.", {
                f'kind="{kind}"': count for kind, count in sorted(self.tokens.items())
            }),
            *metric("charlm_texts_writing", "gauge", "Texts in the batch.", {"": engine.writing}),
            *metric("charlm_texts_waiting", "gauge", "Texts in the queue.", {"": engine.waiting}),
            *metric("charlm_start_time_seconds", "gauge", "When the server started, Unix time.", {
                "": round(self.started, 3)
            }),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def close(self) -> None:
        """End the engine."""
        self.engine.close()


def metric(name: str, kind: str, about: str, values: Mapping[str, float]) -> Iterator[str]:
    """The lines of a metric with its values by their labels."""
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"
