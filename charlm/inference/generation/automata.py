"""Regular expressions as automata over bytes, and over the tokens of a vocabulary.

S states, V vocabulary.  The last state of a table is dead: nothing leads out of it.
"""

import heapq
import re
from typing import NamedTuple

import numpy as np

from charlm.errors import ConfigError

__all__ = ["Automaton", "compile_expression", "distances", "follow"]

UNSUPPORTED = (
    "anchors inside of it, look-around, \\b and references to groups are not supported: "
    "the whole text must match in any case"
)


class Automaton(NamedTuple):
    """Where each byte leads (S + 1, 256), the first state, and which states are accepting."""

    table: np.ndarray
    start: int
    accepting: np.ndarray


def compile_expression(expression: str) -> Automaton:
    """The automaton over UTF-8 of a regular expression, in the syntax of Rust's ``regex``.

    Raises ``ConfigError`` for a wrong expression, and where the extra ``pattern`` is missing.
    """
    try:
        from outlines_core import Index, Vocabulary
    except ImportError:
        raise ConfigError(
            "`pattern` needs the package outlines-core, which is not installed",
            "pip install 'charlm-toolkit[pattern]'",
        ) from None
    bare = expression.removeprefix("^")
    if bare.endswith("$") and not bare.endswith("\\$"):
        bare = bare[:-1]
    every_byte = {bytes([byte]): [byte + 1] for byte in range(256)}
    try:
        index = Index(bare, Vocabulary(0, every_byte))
    except ValueError as error:
        raise refused(bare, str(error)) from None
    transitions = index.get_transitions()
    numbers = {state: number for number, state in enumerate(transitions)}
    table = np.full((len(numbers) + 1, 256), len(numbers), dtype=np.int32)
    for state, following in transitions.items():
        for token, target in following.items():
            if token and target in numbers:
                table[numbers[state], token - 1] = numbers[target]
    accepting = np.zeros(len(table), dtype=bool)
    accepting[[numbers[state] for state in index.get_final_states() if state in numbers]] = True
    return Automaton(table, numbers[index.get_initial_state()], accepting)


def refused(expression: str, reason: str) -> ConfigError:
    """The error for an expression that has no automaton."""
    if "incompatible" in reason:
        return ConfigError(f"no text at all matches `pattern={expression}`", "change `pattern`")
    try:
        re.compile(expression)
    except re.error as error:
        return ConfigError(f"`pattern={expression}` is wrong: {error}", "change `pattern`")
    return ConfigError(f"`pattern={expression}` cannot be used", UNSUPPORTED)


def follow(table: np.ndarray, tokens: list[bytes]) -> np.ndarray:
    """Where each of the tokens leads from each state (S + 1, V)."""
    lengths = np.array([len(token) for token in tokens])
    states = np.repeat(np.arange(len(table), dtype=np.int32)[:, None], len(tokens), axis=1)
    for position in range(lengths.max(initial=0)):
        longer = np.flatnonzero(lengths > position)
        content = np.array([tokens[token][position] for token in longer])
        states[:, longer] = table[states[:, longer], content]
    return states


def distances(following: np.ndarray, costs: np.ndarray, accepting: np.ndarray) -> np.ndarray:
    """The least cost (S + 1,) from each state to an accepting one, infinite where there is no way.

    ``following`` (S + 1, V) says where tokens lead, and ``costs`` (S + 1, V) what each costs.
    """
    into: list[list[tuple[int, float]]] = [[] for _ in following]
    for state, (targets, prices) in enumerate(zip(following, costs, strict=True)):
        least = np.full(len(following), np.inf)
        order = np.argsort(-prices, kind="stable")  # of several, the cheapest is written last
        least[targets[order]] = prices[order]
        for target in np.flatnonzero(np.isfinite(least)).tolist():
            into[target].append((state, float(least[target])))
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
    return found
