"""Drive a headless Chromium over the DevTools protocol, through a pair of pipes.

``open_page`` collects what a page must not do: errors on the console and requests.
"""

import base64
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

PATIENCE = 60
"""Seconds to wait for an answer of the browser."""

KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Tab": 9, "Home": 36, "End": 35}

MINUS = "\u2212"
"""How pages write a minus."""


def chromium() -> str:
    """The path of a Chromium; the test is skipped where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium is installed (apt-get install chromium)")


class Browser:
    """A running Chromium with one page.

    ``errors`` are what the page wrote to the console and what it threw, ``requests`` the addresses
    it asked for beside its own file and what it holds itself.
    """

    def __init__(self, folder: Path) -> None:
        commands, self.commands = os.pipe()
        self.events, events = os.pipe()
        program = [
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server",
            "--force-prefers-reduced-motion", f"--user-data-dir={folder}",
            "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        silent = os.open(os.devnull, os.O_RDWR)
        # The browser reads commands from descriptor 3 and writes events to 4.
        moved = [(os.POSIX_SPAWN_DUP2, *pair) for pair in ((silent, 0), (silent, 1), (silent, 2))]
        high = [(os.POSIX_SPAWN_DUP2, commands, 13), (os.POSIX_SPAWN_DUP2, events, 14)]
        low = [(os.POSIX_SPAWN_DUP2, 13, 3), (os.POSIX_SPAWN_DUP2, 14, 4)]
        self.process = os.posix_spawn(
            program[0], program, os.environ, file_actions=[*high, *moved, *low], setpgroup=0
        )
        for descriptor in (commands, events, silent):
            os.close(descriptor)
        self.buffer, self.number, self.session = b"", 0, ""
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.loaded = False

    def close(self) -> None:
        """End the browser and all processes that it started."""
        os.killpg(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.commands)
        os.close(self.events)

    def start(self) -> Self:
        """Attach to the only page."""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol, and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            self.note(answer)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def receive(self) -> dict[str, Any]:
        """The next message of the browser."""
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.events], [], [], max(0, end - time.monotonic()))
            block = os.read(self.events, 1 << 20) if ready else b""
            assert block, "the browser does not answer"
            self.buffer += block
        message, _, self.buffer = self.buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def note(self, event: dict[str, Any]) -> None:
        """Keep what a test wants to know of an event."""
        about = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self.loaded = True
            case "Runtime.exceptionThrown":
                self.errors.append(str(about["exceptionDetails"]))
            case "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.errors.append(str(about))
            case "Network.requestWillBeSent" if about["request"]["url"] != self.address:
                self.requests.append(about["request"]["url"])

    def open(self, path: Path) -> None:
        """Load a file, and wait until it is loaded."""
        self.address = path.resolve().as_uri()
        self.loaded, self.errors, self.requests = False, [], []
        self.call("Page.navigate", url=self.address)
        while not self.loaded:
            self.note(self.receive())

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true, for what the page does a moment later."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < end, expression
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """The text of an element, as it is shown."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        box = self.run(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const b = e.getClientRects()[0]; "
            "return [b.x + b.width / 2, b.y + b.height / 2]})()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1],
                button="none" if kind == "mouseMoved" else "left", clickCount=1,
            )  # fmt: skip

    def press(self, key: str) -> None:
        """Press a key of ``KEYS``."""
        code = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
            )  # fmt: skip

    def fill(self, selector: str, value: object) -> None:
        """Give a field or a choice a value, as a user does who then leaves it."""
        self.run(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); "
            f"e.value = {json.dumps(str(value))}; "
            "e.dispatchEvent(new Event('change', {bubbles: true}))})()"
        )

    def view(self, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Choose the width of the page, and its colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write a picture of the whole page, or of what fits into the window, as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A Chromium whose profile is in ``folder``; skips where there is none."""
    browser = Browser(folder)
    try:
        yield browser.start()
    finally:
        browser.close()
