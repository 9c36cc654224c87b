"""Texts that have broken tokenizers before, and strategies that make more of them."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FRAGMENTS = [
    "",
    " ",
    "   ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\0",
    "\u2581",  # how SentencePiece writes a space
    "\u2585",  # how its trainer writes an unknown character
    "\ufffd",
    "\ufeff",
    "\u2028",
    "\x85",
    "\xa0",
    "\u3000",
    "\ud7ff",
    "\ue000",
    "\U0010ffff",
    "e\u0301\u0323",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "<|boundary|>",
    "<unk>",
    "<eos>",
    "<0x41>",
    "<s>",
    "the quick brown fox",
    "The king's name, of the thing; and the end.",
    "x" * 300,
    "\u660e\u6708\u5149",
    "\u0645\u064f\u062d\u064e",
]

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(CHARACTERS, max_size=8) | st.text("abet \n", max_size=8),
    max_size=12,
).map("".join)
TWENTY = st.lists(TEXT, min_size=20, max_size=20)

FAST = settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None
)  # 2,000 strings
LONG = settings(FAST, max_examples=1000)  # 20,000 strings
