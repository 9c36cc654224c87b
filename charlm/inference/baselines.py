"""What is easily reached without a network: an n-gram model over characters, and gzip.

Both give bits per character of held-out text, in the same unit as the model's.
"""

import gzip
import math
from collections import defaultdict

__all__ = ["gzip_bpc", "ngram_bpc"]


def ngram_bpc(train: str, heldout: str, order: int) -> float:
    """Bits per character of ``heldout`` under an interpolated n-gram of characters.

    ``order`` 3 predicts from two characters.  Witten and Bell 1991 (method C): with n(c, x) how
    often x followed context c in ``train`` and d(c) how many different x did,
    p(x | c) = (n(c, x) + d(c) p(x | shorter c)) / (n(c) + d(c)); the shortest context falls back
    on the uniform distribution over the characters of ``train`` and one for all others.
    """
    counts: list[defaultdict[str, defaultdict[str, int]]] = [
        defaultdict(lambda: defaultdict(int)) for _ in range(order)
    ]
    for length, table in enumerate(counts):
        for end in range(length, len(train)):
            table[train[end - length : end]][train[end]] += 1
    totals = [{context: sum(n.values()) for context, n in table.items()} for table in counts]
    floor = 1 / (len(set(train)) + 1)
    bits = 0.0
    for end, char in enumerate(heldout):
        probability = floor
        for length in range(min(order, end + 1)):
            context = heldout[end - length : end]
            followers = counts[length].get(context)
            if followers is None:
                break
            kinds = len(followers)
            total = totals[length][context] + kinds
            probability = (followers.get(char, 0) + kinds * probability) / total
        bits -= math.log2(probability)
    return bits / len(heldout)


def gzip_bpc(train: str, heldout: str) -> float:
    """Bits per character that gzip -9 needs for ``heldout``; with the end of ``train`` before it
    or alone, whichever is better.
    """
    window = train[-(1 << 15) :].encode()
    text = heldout.encode()
    alone = len(gzip.compress(text, 9, mtime=0))
    primed = len(gzip.compress(window + text, 9, mtime=0)) - len(gzip.compress(window, 9, mtime=0))
    return 8 * min(alone, primed) / len(heldout)
