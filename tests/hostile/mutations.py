"""Wrong files out of right ones: mutations that know what the format looks like."""

import copy
import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.numpy

Mutation = Callable[[random.Random, bytes], bytes]

TOKENS = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1b]0;x\x07", b"\r", b"\n", b"\t", b'"',
    b"|||", b",", b"{", b"}", b"[", b"]", b"-1", b"0", b"1e999", b"nan", b"inf", b"9" * 30,
    b"9" * 5000, b"null", b"true", b"[[[[", b"\\ud800", b"\\", b"=", b"#", b"..", b"/", b"'",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308,
    float("inf"), float("nan"), "", " ", "a", "é", "\0", "../../etc/passwd", "/dev/zero", "x" * 300,
    "\ud800", "\x1b[31m", [], [1], ["a"], [[]], {}, {"a": 1}, {"step": 1}, "<unk>", "char", "bpe",
    [None], [0, "a"], "1", "9" * 5000,
]  # fmt: skip


def mutate_bytes(source: random.Random, content: bytes) -> bytes:
    """Flip, drop, repeat, insert and exchange bytes, one to four times."""
    found = bytearray(content)
    for _ in range(source.randint(1, 4)):
        at, other = (source.randint(0, len(found)) for _ in range(2))
        size = source.choice((1, 1, 2, 4, 8, 40))
        match source.randrange(7):
            case 0 if found:
                found[at % len(found)] ^= 1 << source.randrange(8)
            case 1:
                del found[at : at + size]
            case 2:
                found[at:at] = found[other : other + size]
            case 3:
                found[at:at] = source.choice(TOKENS)
            case 4:
                found[at : at + size] = source.randbytes(size)
            case 5 if not source.randrange(4):
                del found[at:]
            case 6:
                found[at : at + size] = found[other : other + size]
    return bytes(found)


def mutate_json(source: random.Random, content: bytes) -> bytes:
    """Exchange, drop or add a value anywhere in a JSON text; now and then, bytes of it."""
    if not source.randrange(4):
        return mutate_bytes(source, content)
    root = [json.loads(content)]
    for _ in range(source.randint(1, 3)):
        change_value(source, root)
    return json.dumps(root[0], ensure_ascii=source.random() < 0.5).encode("utf-8", "surrogatepass")


def mutate_lines(source: random.Random, content: bytes) -> bytes:
    """Mutate JSON in one of the lines, repeat a line, or mutate bytes."""
    lines = content.split(b"\n")
    at = source.randrange(len(lines))
    if lines[at].startswith(b"{") and source.random() < 0.7:
        lines[at] = mutate_json(source, lines[at])
    elif source.random() < 0.5:
        lines[at:at] = [source.choice(lines)]
    else:
        return mutate_bytes(source, content)
    return b"\n".join(lines)


def change_value(source: random.Random, root: list[Any]) -> None:
    """Change one value of a tree of lists and dictionaries in place."""
    at: Any = root
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = source.choice(keys)
        if not isinstance(at[key], dict | list) or not at[key] or not source.randrange(4):
            break
        at = at[key]
    match source.randrange(5):
        case 0 if at is not root:
            del at[key]
        case 1 if isinstance(at, dict):
            at[source.choice(("", "format", "step", "\x1b", "a.b"))] = copy.deepcopy(source.choice(VALUES))
        case 2 if isinstance(at[key], int) and not isinstance(at[key], bool):
            at[key] += source.choice((-1, 1, -1000, 2**32, -(2**64)))
        case _:
            at[key] = copy.deepcopy(source.choice(VALUES))


TOML_VALUES = [
    b"", b"-1", b"0", b"1e400", b"nan", b"inf", b"0x" + b"f" * 5000, b"9" * 5000, b'""',
    b"[]", b"[[]]", b"{}", b"{a.b.c = 1}", b"true", b"1979-05-27", b"12:00:00", b'"""',
    b'["a", 1]', b'"recurrent"', b'"word"', b"[1, 2]", b'"../../x"', b'"\\ud800"',
    b"[" * 2000, b"9" * 11, b'"\\u0000"',
]  # fmt: skip
ASSIGNMENT = re.compile(rb"^([\w\"'-]+ *= *)(.*)$", re.MULTILINE)


def mutate_toml(source: random.Random, content: bytes) -> bytes:
    """Exchange values, drop, repeat and rename lines of TOML; now and then, bytes of it."""
    if not source.randrange(4):
        return mutate_bytes(source, content)
    found = list(ASSIGNMENT.finditer(content))
    if found and source.random() < 0.7:
        match = source.choice(found)
        value = source.choice(TOML_VALUES)
        return content[: match.start(2)] + value + content[match.end(2) :]
    lines = content.split(b"\n")
    at = source.randrange(len(lines))
    lines[at : at + source.randint(0, 1)] = source.choice(
        ([], [source.choice(lines)], [b"[origin]"], [b"[a." + b"b." * 20 + b"c]"], [b"x = 1"])
    )
    return b"\n".join(lines)


def mutate_arrays(source: random.Random, content: bytes) -> bytes:
    """Change values, types, shapes and names of the tensors of a safetensors file; now and then,
    the file itself.
    """
    if not source.randrange(3):
        return mutate_tensors(source, content)
    tensors = safetensors.numpy.load(content)
    for _ in range(source.randint(1, 2)):
        name = source.choice(sorted(tensors))
        array = tensors.pop(name).copy()
        match source.randrange(7):
            case 0 if array.size:
                array.flat[source.randrange(array.size)] = source.choice((0, 1, 3, 100))
            case 1:
                array = array[: len(array) // 2] if array.ndim else array.reshape(1)
            case 2:
                with np.errstate(all="ignore"):
                    array = array.astype(source.choice(("f2", "f4", "f8", "i1", "u1", "i8", "?")))
            case 3:
                array = array.reshape(1, -1)
            case 4 if array.size and array.dtype.kind == "f":
                array.flat[source.randrange(array.size)] = source.choice((np.nan, np.inf, -1.0))
            case 5:
                name = source.choice((name + "x", "", "a/b", name.upper()))
            case 6 if tensors:
                continue
        tensors[name] = array
    return safetensors.numpy.save(tensors)


def mutate_tensors(source: random.Random, content: bytes) -> bytes:
    """Change the header of a safetensors file as JSON, its length, or its bytes."""
    (size,) = struct.unpack("<Q", content[:8])
    header, body = content[8 : 8 + size], content[8 + size :]
    match source.randrange(4):
        case 0:
            return mutate_bytes(source, content)
        case 1:
            length = source.choice((0, 1, size - 1, size + 1, 2**20 + 1, 2**63, 2**64 - 1))
            return struct.pack("<Q", length) + header + body
        case 2:
            body = mutate_bytes(source, body)
        case _:
            header = mutate_json(source, header)
    return struct.pack("<Q", len(header)) + header + body
