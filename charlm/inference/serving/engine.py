"""The thread that owns the models and writes the texts of all callers."""

import threading
from collections.abc import Callable, Mapping, Sequence

from charlm.errors import CharlmError, counted
from charlm.inference.serving.batching import Batcher
from charlm.inference.serving.texts import Chunk, ServedText

__all__ = ["Engine", "Overloaded"]

Deliver = Callable[[list[tuple[ServedText, Chunk]]], None]


class Overloaded(CharlmError):
    """More texts were asked for than may wait."""


class Engine:
    """Writes texts in a thread of its own.

    ``deliver`` is called in that thread with what a step has made.  All methods may be called from
    any thread.
    """

    def __init__(self, batchers: Mapping[str, Batcher], deliver: Deliver, waiting: int) -> None:
        """At most ``waiting`` texts wait for a lane."""
        self.batchers, self.deliver = dict(batchers), deliver
        self.most = waiting
        self.changed = threading.Condition()
        self.submitted: list[tuple[str, ServedText]] = []
        self.closed = False
        self.thread = threading.Thread(target=self.run, name="charlm-engine", daemon=True)
        self.thread.start()

    @property
    def waiting(self) -> int:
        """How many texts wait for a lane."""
        texts = [text for _, text in list(self.submitted)]
        for batcher in self.batchers.values():
            texts += batcher.waiting  # the engine's thread may change it: copied in one go
        return sum(not text.cancelled for text in texts)

    @property
    def writing(self) -> int:
        """How many texts are written now."""
        return sum(each.writing for each in self.batchers.values())

    def submit(self, model: str, texts: Sequence[ServedText]) -> None:
        """Have texts written.  Raises ``Overloaded`` where too many wait."""
        with self.changed:
            free = max(0, self.batchers[model].lanes - self.writing)
            if self.closed or self.waiting + len(texts) > self.most + free:
                waiting = counted(self.waiting, "text waits", "texts wait")
                raise Overloaded(
                    f"{waiting} already, of at most {self.most}",
                    "try again later, with fewer texts",
                )
            self.submitted += [(model, text) for text in texts]
            self.changed.notify()

    def cancel(self, texts: Sequence[ServedText]) -> None:
        """Free the lanes of texts that nobody wants any more; finished ones do not matter."""
        for text in texts:
            text.cancelled = True

    def close(self) -> None:
        """Stop; texts that are not finished get no further chunks."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        self.thread.join()

    def run(self) -> None:
        """Step while there is something to do, else wait."""
        while True:
            with self.changed:
                while not (self.closed or self.submitted or self.busy()):
                    self.changed.wait()
                if self.closed:
                    return
                for model, text in self.submitted:
                    self.batchers[model].waiting.append(text)
                self.submitted.clear()
            for batcher in self.busy():
                delivered = attempt(batcher)
                if delivered:
                    self.deliver(delivered)

    def busy(self) -> list[Batcher]:
        """The models that have something to do."""
        return [batcher for batcher in self.batchers.values() if not batcher.idle]


def attempt(batcher: Batcher) -> list[tuple[ServedText, Chunk]]:
    """A step; where it fails, all texts of the model end with the error, and others can follow."""
    try:
        return batcher.step()
    except Exception as error:
        return [(text, Chunk("", error=error)) for text in batcher.clear()]
