"""Regular expressions as automata over characters, and over the tokens of a vocabulary.

The expression is parsed by Python's own ``re``, so that it means the same there, built into an
automaton with several ways (Thompson 1968), and then into one with a single way from each state.
Characters that no part of the expression tells apart share a class.

S states, C classes, V vocabulary.  The last state of a table is dead: nothing leads out of it.
"""

import heapq
import re
from collections.abc import Iterable, Sequence
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import numpy as np

from charlm.errors import ConfigError

__all__ = ["Automaton", "compile_expression", "distances", "follow"]

MOST_STATES = 20_000
"""Most states of an automaton; beyond them it would take seconds to build."""

LEAVES = ("LITERAL", "NOT_LITERAL", "ANY", "IN")
REPEATS = ("MAX_REPEAT", "MIN_REPEAT")


class Automaton(NamedTuple):
    """Where each class leads (S + 1, C), the first state is 0; which states are accepting
    (S + 1,), and the class of each character.
    """

    table: np.ndarray
    accepting: np.ndarray
    classes: dict[str, int]


class Builder:
    """An automaton with several ways: nodes with free ways, or with one that takes a character."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.free: list[list[int]] = [[]]
        self.taking: list[tuple[int, int] | None] = [None]  # the number of a leaf, and where to
        self.leaves: dict[str, tuple[int, re.Pattern[str]]] = {}
        parsed = _parser.parse(expression)
        self.last = self.add(parsed, 0, parsed.state.flags)

    def node(self) -> int:
        """A new node.  Raises ``ConfigError`` where there are too many."""
        if len(self.free) >= MOST_STATES:
            raise too_large(self.expression)
        self.free.append([])
        self.taking.append(None)
        return len(self.free) - 1

    def add(self, pattern: Any, start: int, flags: int) -> int:
        """Add a sequence that begins at a node; returns the node at its end."""
        for operation, argument in pattern:
            start = self.add_one(str(operation), argument, start, flags)
        return start

    def add_one(self, operation: str, argument: Any, start: int, flags: int) -> int:
        """Add one element of a sequence.  Raises ``ConfigError`` for what is not regular."""
        if operation in LEAVES:
            end = self.node()
            self.taking[start] = self.leaf(operation, argument, flags), end
            return end
        if operation == "SUBPATTERN":
            _, more, fewer, inner = argument
            return self.add(inner, start, (flags | more) & ~fewer)
        if operation == "BRANCH":
            end = self.node()
            for inner in argument[1]:
                self.free[self.add(inner, self.way(start), flags)].append(end)
            return end
        if operation in REPEATS:
            least, most, inner = argument
            return self.repeat(least, most, inner, start, flags)
        raise ConfigError(
            f"`pattern={self.expression}` is not a plain expression ({operation.lower()})",
            "leave out anchors, word boundaries, look-around, references to groups and possessive "
            "repetition: the whole text must match in any case",
        )

    def way(self, start: int) -> int:
        """A new node that a free way leads to."""
        node = self.node()
        self.free[start].append(node)
        return node

    def repeat(self, least: int, most: Any, inner: Any, start: int, flags: int) -> int:
        """Add an element that comes ``least`` to ``most`` times."""
        for _ in range(least):
            start = self.add(inner, self.way(start), flags)
        if most == _constants.MAXREPEAT:
            loop = self.way(start)
            self.free[self.add(inner, self.way(loop), flags)].append(loop)
            return self.way(loop)
        end = self.way(start)
        for _ in range(most - least):
            start = self.add(inner, self.way(start), flags)
            self.free[start].append(end)
        return end

    def leaf(self, operation: str, argument: Any, flags: int) -> int:
        """The number of a leaf, which matches single characters; equal ones share it."""
        key = f"{operation} {argument} {flags}"
        if key not in self.leaves:
            state = _parser.State()
            state.flags, state.str = flags, self.expression
            pattern = _parser.SubPattern(state, [(getattr(_constants, operation), argument)])
            self.leaves[key] = len(self.leaves), _compiler.compile(pattern, flags)
        return self.leaves[key][0]

    def closure(self, nodes: Iterable[int]) -> frozenset[int]:
        """The nodes that can be reached by free ways, themselves included."""
        found, waiting = set(nodes), list(nodes)
        while waiting:
            for node in self.free[waiting.pop()]:
                if node not in found:
                    found.add(node)
                    waiting.append(node)
        return frozenset(found)


def compile_expression(expression: str, characters: Iterable[str]) -> Automaton:
    """The automaton of a regular expression in Python's syntax, for texts of these characters.

    Raises ``ConfigError`` for an expression that is wrong, not regular or too large.
    """
    bare = expression.removeprefix("^")
    if bare.endswith("$") and not bare.endswith("\\$"):
        bare = bare[:-1]
    try:
        builder = Builder(bare)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"`pattern={expression}` is no regular expression: {error}", "change `pattern`"
        ) from None
    classes, members = classify(builder, characters)
    table, accepting = single_way(builder, members)
    return Automaton(table, accepting, classes)


def too_large(expression: str) -> ConfigError:
    """The error for an expression with too many states."""
    return ConfigError(
        f"`pattern={expression}` needs more than {MOST_STATES:,} states",
        "use smaller repetitions, such as * and + in the place of {1,500}",
    )


def classify(
    builder: Builder, characters: Iterable[str]
) -> tuple[dict[str, int], list[frozenset[int]]]:
    """The class of each character, and for each class the leaves that match its characters."""
    classes: dict[str, int] = {}
    numbers: dict[frozenset[int], int] = {}
    for char in characters:
        matching = frozenset(
            number for number, pattern in builder.leaves.values() if pattern.fullmatch(char)
        )
        classes[char] = numbers.setdefault(matching, len(numbers))
    return classes, list(numbers)


def single_way(
    builder: Builder, members: Sequence[frozenset[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Where each class leads from each set of nodes (S + 1, C), and which sets are accepting."""
    first = builder.closure([0])
    numbers, order, rows = {first: 0}, [first], []
    for nodes in order:  # which grows meanwhile
        ways = [way for node in nodes if (way := builder.taking[node]) is not None]
        row = []
        for leaves in members:
            after = builder.closure({target for leaf, target in ways if leaf in leaves})
            if after and after not in numbers:
                numbers[after] = len(order)
                order.append(after)
            row.append(numbers.get(after, -1))
        rows.append(row)
        if len(order) > MOST_STATES:
            raise too_large(builder.expression)
    table = np.full((len(order) + 1, len(members)), len(order), dtype=np.int32)
    if members:
        table[:-1] = rows
        table[table < 0] = len(order)
    accepting = np.array([builder.last in nodes for nodes in order] + [False])
    return table, accepting


def follow(automaton: Automaton, texts: Sequence[str | None]) -> np.ndarray:
    """Where each token's text leads from each state (S + 1, V); None leads nowhere."""
    table, dead = automaton.table, len(automaton.table) - 1
    tokens = [[automaton.classes[char] for char in text or ""] for text in texts]
    lengths = np.array([len(token) for token in tokens])
    states = np.repeat(np.arange(len(table), dtype=np.int32)[:, None], len(tokens), axis=1)
    for position in range(lengths.max(initial=0)):
        longer = np.flatnonzero(lengths > position)
        content = np.array([tokens[token][position] for token in longer])
        states[:, longer] = table[states[:, longer], content]
    states[:, [text is None for text in texts]] = dead
    return states


def distances(following: np.ndarray, costs: np.ndarray, accepting: np.ndarray) -> np.ndarray:
    """The least cost (S + 1,) from each state to an accepting one, infinite where there is no way.

    ``following`` (S + 1, V) says where tokens lead, and ``costs`` (K, V) what each costs: in a
    state by row ``state % K``.
    """
    into: list[list[tuple[int, float]]] = [[] for _ in following]
    for state, targets in enumerate(following):
        prices = costs[state % len(costs)]
        order = np.lexsort((prices, targets))  # of several tokens the cheapest comes first
        distinct, first = np.unique(targets[order], return_index=True)
        for target, price in zip(distinct.tolist(), prices[order][first].tolist(), strict=True):
            if price < np.inf:
                into[target].append((state, price))
    found = np.where(accepting, 0.0, np.inf)
    waiting = [(0.0, state) for state in np.flatnonzero(accepting).tolist()]
    while waiting:
        distance, state = heapq.heappop(waiting)
        if distance > found[state]:
            continue
        for before, price in into[state]:
            if distance + price < found[before]:
                found[before] = distance + price
                heapq.heappush(waiting, (distance + price, before))
    return found.astype(np.float32)
