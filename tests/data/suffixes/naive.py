"""An index whose suffixes are sorted by Python, and texts with much in common."""

import random
from array import array

from charlm.data.suffixes.index import END, SuffixIndex


def index_of(*documents: str) -> SuffixIndex:
    content = END + b"".join(document.encode() + END for document in documents)
    order = sorted(range(len(content)), key=lambda start: content[start:])
    return SuffixIndex(memoryview(content), memoryview(array("i", order)))


def stands_in(text: str, documents: list[str]) -> bool:
    return any(text in document for document in documents)


def texts_alike(source: random.Random, alphabet: str = "ab é日\n") -> tuple[list[str], str]:
    """Documents, and a text made of parts of them and of other characters."""
    documents = ["".join(source.choices(alphabet, k=source.randint(1, 150))) for _ in range(3)]
    parts = []
    for _ in range(source.randint(1, 5)):
        document = source.choice(documents)
        start = source.randrange(len(document))
        parts.append(document[start : start + source.choice([2, 9, 80, 150])])
        parts.append("".join(source.choices(alphabet + "Z", k=source.randint(0, 3))))
    return documents, "".join(parts)
