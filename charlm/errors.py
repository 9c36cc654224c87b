"""The errors that a user can cause, under one root: each has a cause and a way out.

And numbers with their nouns, for messages.
"""

import errno

__all__ = [
    "CharlmError",
    "CharlmWarning",
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "ModelError",
    "TokenizerError",
    "counted",
    "describe",
    "shortened",
    "way_out",
]

SPACE = "free some space on that disk"
REMEDIES = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: "allow larger files: ulimit -f unlimited",
    errno.EACCES: "check the permissions, who may read and write there: ls -l",
    errno.EPERM: "check the permissions, who may read and write there: ls -l",
    errno.EROFS: "choose a place that is not mounted read-only",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    errno.ENFILE: "close other programs: this machine has too many open files",
    errno.EIO: "check the disk: the system cannot read it or write to it",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What can be done about the failures of files and disks, by their number."""


LONGEST = 2000
"""Characters of a cause and of a hint at most; both may quote a file that anybody has written."""


END = 100
"""Characters of the end of a shortened text."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """``text``, or its beginning and its end where it has more than ``longest`` characters."""
    return text if len(text) <= longest else f"{text[: longest - END - 5]} ... {text[-END:]}"


class CharlmError(Exception):
    """An error that names its cause and the way out.

    ``str(error)`` is the cause: the thing, what is allowed, what was received.  ``error.hint`` says
    what to do about it, and the last line of a trace.  Neither ends in a line break.
    """

    def __init__(self, cause: str, hint: str) -> None:
        cause, hint = shortened(cause), shortened(hint)
        super().__init__(cause)
        self.hint = hint
        self.add_note(f"  try: {hint}")

    def __reduce__(self) -> tuple[type["CharlmError"], tuple[str, str]]:
        """Pickle the hint too, so that an error keeps it on the way from a worker process."""
        return type(self), (str(self), self.hint)


class ConfigError(CharlmError):
    """A setting that does not exist, has the wrong type or is out of its range."""


class CorpusError(CharlmError):
    """A text that is missing, empty, unreadable or not what it is said to be."""


class TokenizerError(CharlmError):
    """A tokenizer that cannot be trained, loaded, or applied to the text it was given."""


class ModelError(CharlmError):
    """A model that cannot be built, or whose weights or logits are NaN or infinite."""


class CheckpointError(CharlmError):
    """A run folder or checkpoint that is missing, damaged, in use or from another version."""


class CharlmWarning(UserWarning):
    """Something that a user should know though nothing failed; the command line prints it."""


def describe(error: OSError) -> str:
    """The file that an error of the system is about, where that is known, and what happened."""
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def way_out(error: OSError) -> str:
    """What can be done about an error of the system."""
    return REMEDIES.get(error.errno or 0, "check the path, its permissions and the disk")


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number and its noun, like "1 token" or "1,204 tokens"; ``plural`` if it is not noun + s."""
    shown = f"{number:g}" if isinstance(number, float) else f"{number:,}"
    return f"{shown} {noun if number == 1 else plural or noun + 's'}"
