"""Pickles of other tools, read as plain data: nothing in them is ever called.

A pickle is a program for a small stack machine (CPython, ``pickletools``).  This reader runs the
instructions that build data.  Where the original would call a function or make an object, it
builds a ``Record`` with the function's or class's name and its arguments, if the name is on a fixed
list, and refuses the file otherwise.
"""

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any

from charlm.errors import ModelError
from charlm.exchange.foreign.names import allowed, refused

__all__ = ["Record", "read_pickle"]

MOST_INSTRUCTIONS = 1 << 20
"""Instructions of a pickle that are run at most; a network of a hundred layers takes 10,000."""


@dataclass
class Record:
    """A call that was not made: the name of its function or class, arguments and later state."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)


class Mark:
    """Where on the stack the items of a tuple, list or dict begin."""


MARK = Mark()


def read_pickle(stream: io.BytesIO, refer: Any = None) -> Any:
    """The next pickled object of a stream as dicts, lists, tuples, numbers, texts and ``Record``.

    ``refer`` maps a persistent id to what stands for it.  Raises ``ModelError`` for names that are
    not on the list, instructions that no model needs, and damaged files.
    """
    machine = Machine(refer)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_INSTRUCTIONS:
                raise refused("it has too many instructions")
            if opcode.name == "STOP":
                return machine.pop()
            machine.run(opcode.name, argument)
    except ModelError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise refused(f"it is damaged ({error})") from None
    except (MemoryError, EOFError, RecursionError) as error:
        raise refused(f"it is damaged ({type(error).__name__})") from None
    raise refused("it ends too early")


class Machine:
    """The stack and the memory of a pickle."""

    def __init__(self, refer: Any) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.refer = refer

    def run(self, name: str, argument: Any) -> None:
        """Run one instruction.  Raises ``ModelError`` for one that builds no plain data."""
        if name in IGNORED:
            return
        if name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in TUPLES:
            size = TUPLES[name]
            self.stack[-size:] = [tuple(self.peek(at) for at in range(-size, 0))]
        elif name in LITERALS:
            self.stack.append(argument)
        elif (action := getattr(self, f"run_{name.lower()}", None)) is not None:
            action() if argument is None else action(argument)
        else:
            raise refused(f"it uses the instruction {name}")

    def pop(self) -> Any:
        """The topmost value, taken away; a mark is none."""
        value = self.peek(-1)
        del self.stack[-1]
        return value

    def peek(self, at: int) -> Any:
        """The value at an index of the stack; a mark is none."""
        value = self.stack[at]
        if value is MARK:
            raise ValueError("a mark where a value should be")
        return value

    def pop_items(self) -> list[Any]:
        """The values above the last mark, taken away with it."""
        at = max(i for i, value in enumerate(self.stack) if value is MARK)
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    # Marks and memory

    def run_mark(self) -> None:
        self.stack.append(MARK)

    def run_pop(self) -> None:
        self.stack.pop()

    def run_pop_mark(self) -> None:
        self.pop_items()

    def run_dup(self) -> None:
        self.stack.append(self.stack[-1])

    def run_memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def run_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def run_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    run_binput = run_long_binput = run_put
    run_binget = run_long_binget = run_get

    # Containers

    def run_tuple(self) -> None:
        self.stack.append(tuple(self.pop_items()))

    def run_list(self) -> None:
        self.stack.append(self.pop_items())

    def run_append(self) -> None:
        value = self.pop()
        items_of(self.stack[-1]).append(value)

    def run_appends(self) -> None:
        values = self.pop_items()
        items_of(self.stack[-1]).extend(values)

    run_additems = run_appends

    def run_dict(self) -> None:
        self.stack.append(paired(self.pop_items()))

    def run_setitem(self) -> None:
        value, key = self.pop(), self.pop()
        entries_of(self.stack[-1]).update(paired([key, value]))

    def run_setitems(self) -> None:
        pairs = paired(self.pop_items())
        entries_of(self.stack[-1]).update(pairs)

    # Names, calls that are not made, references

    def run_global(self, name: str) -> None:
        self.stack.append(Record(allowed(name)))

    def run_stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.run_global(f"{module} {name}")

    def run_reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        self.stack.append(made(function, arguments))

    run_newobj = run_reduce

    def run_newobj_ex(self) -> None:
        keywords, arguments, function = self.pop(), self.pop(), self.pop()
        if keywords:
            raise ValueError("keyword arguments")
        self.stack.append(made(function, arguments))

    def run_build(self) -> None:
        state = self.pop()
        if isinstance(state, tuple) and len(state) == 2:  # attributes, and those in slots
            state = state[0] or state[1]
        target = self.stack[-1]
        if isinstance(target, Record) and isinstance(state, dict):
            target.state.update(state)

    def run_binpersid(self) -> None:
        self.stack.append(self.refer(self.pop()))


IGNORED = {"PROTO", "FRAME"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list}
"""Instructions that make a container; a set of tensors or layers is of no use here."""
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
"""Instructions that make a tuple of so many values on the stack."""
LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
"""Instructions that do nothing, or put a value on the stack."""


def made(function: Any, arguments: Any) -> Any:
    """The record of a call; a dict for the classes that are dicts."""
    if not isinstance(function, Record) or not isinstance(arguments, tuple):
        raise TypeError("a call of something that is no function")
    kind = function.name.split()[-1]
    if kind in ("OrderedDict", "defaultdict", "dict"):
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return paired([part for pair in pairs for part in pair])
    if kind == "_reconstructor" and arguments and isinstance(arguments[0], Record):
        return Record(arguments[0].name)
    if kind in ("Size", "_rebuild_parameter"):
        return arguments[0]
    return Record(function.name, arguments)


def paired(items: list[Any]) -> dict[Any, Any]:
    """Keys and values in turns as a dict.

    Other keys than texts and numbers are refused: nested tuples can take for ever to hash.
    """
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values):
        raise ValueError("a key without a value")
    return {
        key if isinstance(key, str | int | float) or key is None else str(id(key)): value
        for key, value in zip(keys, values, strict=True)
    }


def entries_of(target: Any) -> dict[Any, Any]:
    """The dict that entries are set in; those of a record that is a dict of its own."""
    if isinstance(target, Record):
        return target.state
    if not isinstance(target, dict):
        raise TypeError("an entry of something that is no dict")
    return target


def items_of(target: Any) -> list[Any]:
    """The list that items are added to; a record, for example an unknown set, keeps none."""
    if isinstance(target, Record):
        return []
    if not isinstance(target, list):
        raise TypeError("an item of something that is no list")
    return target
