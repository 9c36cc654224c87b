"""Write docs/pictures/session.svg: a real session of the program, drawn as a terminal.

It trains for a minute, so run it on a machine that does nothing else.  Run it again when what the
commands print has changed.
"""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "session.svg"
COLUMNS = 80
SHOWN = 3
"""From this report of a training on, all but the last are left out."""

SESSION = (
    "charlm demo",
    'charlm generate runs/demo --prompt "The " --length 200 --seed 4',
)
SEQUENCE = re.compile(r"(\x1b\[\??([0-9;]*)([A-Za-z]))|([\s\S])")
"""A control sequence with its number and its action, or a character."""

FONTS = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"


class Screen:
    """The lines of a terminal after what a program has written, styles left out."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = [[]]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Obey line breaks, carriage returns, and moving and erasing as progress bars do it."""
        for control, count, action, char in SEQUENCE.findall(text):
            if not control:
                self.put(char)
            elif action == "A":
                self.row = max(0, self.row - int(count or 1))
            elif action == "K":
                self.lines[self.row] = []

    def put(self, char: str) -> None:
        """Write one character where the cursor is."""
        if char == "\r":
            self.column = 0
            return
        if char == "\n" or self.column == COLUMNS:
            self.row, self.column = self.row + 1, 0
        while self.row >= len(self.lines):
            self.lines.append([])
        if char != "\n":
            line = self.lines[self.row]
            line += " " * (self.column + 1 - len(line))
            line[self.column] = char
            self.column += 1

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join("".join(line).rstrip() for line in self.lines)


def run(command: str, folder: Path) -> str:
    """What a command line leaves on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    program = f"charlm() {{ '{sys.executable}' -m charlm \"$@\"; }}; "
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        ["bash", "-c", program + command],
        cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while block := os.read(ours, 1 << 16):
            written += block
    if process.wait():
        raise SystemExit(written.decode())
    screen = Screen()
    screen.feed(written.decode().expandtabs(8))
    return screen.text


def shortened(output: str) -> str:
    """What a command printed, without what training said between its first and its last report."""
    lines = output.split("\n")
    reports = [number for number, line in enumerate(lines) if line.startswith("step ")]
    if len(reports) < SHOWN:
        return output
    return "\n".join([*lines[: reports[SHOWN - 1]], "...", *lines[reports[-1] :]])


def draw(outputs: dict[str, str]) -> str:
    """Commands and what they printed as an SVG that needs no fonts from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    for command, output in outputs.items():
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text(shortened(output.strip("\n"))))
        console.print()
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("<svg ", '<svg xml:space="preserve" ', 1)  # for leading spaces
    template = re.sub(r"font-family: [^;]+;", f"font-family: {FONTS};", template)
    return console.export_svg(title="charlm", theme=MONOKAI, code_format=template)


def main() -> None:
    """Run the session in an empty folder and write the picture."""
    with tempfile.TemporaryDirectory() as name:
        picture = draw({command: run(command, Path(name)) for command in SESSION})
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
