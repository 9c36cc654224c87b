"""``/v1/completions`` as OpenAI has it: texts to write, and the records that answer."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from charlm.api.model import Model
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import TokenizerError, counted
from charlm.inference.generation.text import encode_prompt, random_seed, replace_symbols
from charlm.inference.serving.texts import Chunk, Prompt, ServedText, ServedToken
from charlm.web.server.requests import CompletionRequest, Refused, ServeLimits

__all__ = ["BOUNDARY", "Completion", "encode_text", "json_bytes", "token_name"]

BOUNDARY = "<|boundary|>"
"""The name of the boundary, which stands for no text."""

LEAST = -9999.0
"""What is sent for the log-probability of the impossible: JSON has no infinity."""

BROKEN = "\ufffd"
"""Stands in a text for bytes that are no character."""

MOST_LOG_PROBS = 1 << 21
"""Log-probabilities in one answer; each takes some 140 bytes of memory, and 25 of the answer."""

FINISHES = {"length": "length", "stop": "stop", "end": "stop"}


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text, or of the boundary by its name."""
    return [tokenizer.boundary_id] if text == BOUNDARY else list(map(int, tokenizer.encode(text)))


def token_name(tokenizer: Tokenizer, id: int, text: str | None = None) -> str:
    """What stands for a token in JSON: its bytes where they are no whole character, else what it
    adds to a ``text``; without one, what the tokenizer knows it as.
    """
    if id == tokenizer.boundary_id:
        return BOUNDARY
    content = tokenizer.token_bytes(id)
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError:
        return bytes_name(content)
    if text is None or whole.startswith(BROKEN):
        return whole if text is None else text
    return text.removeprefix(BROKEN)  # which stands for bytes before it


def bytes_name(content: bytes) -> str:
    """Bytes as OpenAI writes them."""
    return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)


def json_bytes(record: Any) -> bytes:
    """A record as JSON in ASCII."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode()


@dataclass
class Choice:
    """How much of a text has been answered."""

    text: ServedText
    offset: int = 0
    """Characters so far, from the beginning of the prompt."""
    last: str = ""
    """The last of them."""
    begun: bool = False


class Completion:
    """One request for completions with its texts, ``n`` for each prompt."""

    def __init__(
        self, name: str, model: Model, request: CompletionRequest, limits: ServeLimits
    ) -> None:
        """Raises ``Refused``."""
        self.name, self.tokenizer, self.request = name, model.tokenizer, request
        self.head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": name,
        }
        seed = random_seed() if request.seed is None else request.seed
        prompts = [self.prompt(each) for each in request.prompts]
        self.check_lengths([len(prompt.ids) for prompt in prompts], limits.length)
        self.texts = [
            self.open(prompt, seed + number) for prompt in prompts for number in range(request.n)
        ]
        self.choices = [Choice(text) for text in self.texts]

    def prompt(self, given: str | list[int]) -> Prompt:
        """A prompt.  Raises ``Refused`` for what the model has never seen."""
        text, top = None, self.request.logprobs if self.request.echo else None
        if given == BOUNDARY:
            given = [self.tokenizer.boundary_id]
        if isinstance(given, str):
            try:
                text = replace_symbols(self.tokenizer, given, self.request.replace_unknown)
                given = encode_prompt(self.tokenizer, text)
            except TokenizerError as error:
                raise Refused(str(error), error.hint, param="prompt") from None
        return Prompt(self.tokenizer, given, top, text)

    def check_lengths(self, lengths: Sequence[int], most: int) -> None:
        """Raise ``Refused`` for prompts of these ``lengths`` if they need more than the server has.

        ``most`` is how many tokens a prompt and its text may have.
        """
        request, longest = self.request, max(lengths)
        if longest + request.max_tokens > most:
            raise Refused(
                f"the prompt ({counted(longest, 'token')}) and `max_tokens` "
                f"({request.max_tokens:,}) are more than {counted(most, 'token')}",
                "send a shorter prompt, or ask for less", param="max_tokens",
                code="context_length_exceeded",
            )  # fmt: skip
        tokens = request.n * sum(request.echo * length + request.max_tokens for length in lengths)
        if request.logprobs is not None and tokens * (request.logprobs + 1) > MOST_LOG_PROBS:
            raise Refused(
                f"`logprobs` ({request.logprobs}) of {tokens:,} tokens are more than "
                f"{MOST_LOG_PROBS:,} numbers", "ask for fewer at a time", param="logprobs",
            )  # fmt: skip

    def open(self, prompt: Prompt, seed: int) -> ServedText:
        """A text to write."""
        request = self.request
        return ServedText(
            self.tokenizer, prompt, seed=seed, length=request.max_tokens,
            sampling=request.sampling, stop=request.stop, top=request.logprobs or 0,
            streams=request.stream,
        )  # fmt: skip

    def answer(self, number: int, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The choice that says what was added to a text; its first one echoes the prompt."""
        choice, request = self.choices[number], self.request
        text, tokens = "".join(each.text for each in chunks), sum((c.tokens for c in chunks), ())
        prompt = choice.text.prompt
        if not choice.begun and request.echo:
            text = prompt.text + text
            given = zip(prompt.measured, prompt.pieces, strict=False)
            tokens = (*(token._replace(text=piece) for token, piece in given), *tokens)
        if not choice.begun and not (request.echo and prompt.ids):
            choice.offset, choice.last = len(prompt.text), prompt.text[-1:]
        choice.begun = True
        finish = chunks[-1].finish
        return {
            "index": number,
            "text": text,
            "logprobs": None if request.logprobs is None else self.logprobs(choice, tokens),
            "finish_reason": FINISHES[finish] if finish else None,
            "seed": choice.text.seed,
        }

    def logprobs(self, choice: Choice, tokens: Sequence[ServedToken]) -> dict[str, Any]:
        """Log-probabilities in nats of the next tokens of a text.

        Offsets are counted from the beginning of the prompt, whether it is echoed or not.
        """
        names, offsets, best = [], [], []
        for token in tokens:
            name = token_name(self.tokenizer, token.id, token.text)
            names.append(name)
            skipped = len(token.text) - len(name) if token.text.endswith(name) else 0
            offsets.append(choice.offset + skipped)
            best.append(self.best(token, name, choice.last))
            choice.offset += len(token.text)
            choice.last = token.text[-1:] or choice.last
        return {
            "tokens": names,
            "token_logprobs": [
                None if token.log_prob is None else finite(token.log_prob) for token in tokens
            ],
            "top_logprobs": best if self.request.logprobs else None,
            "text_offset": offsets,
        }

    def best(self, token: ServedToken, name: str, last: str) -> dict[str, float] | None:
        """The most probable tokens in the place of a token of this ``name``, and itself; None if it
        was given.  ``last`` is the character before it.
        """
        if token.log_prob is None:
            return None
        found = {name: finite(token.log_prob)}
        for id, log_prob in token.top:
            other = token_name(self.tokenizer, id)
            if self.tokenizer.kind == "word" and last.strip() and other not in (BOUNDARY, "\n"):
                other = f" {other}"
            if id != token.id:  # a piece and a byte may be one character
                other = bytes_name(self.tokenizer.token_bytes(id)) if other in found else other
                found[other] = finite(log_prob)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def usage(self) -> dict[str, int]:
        """How many tokens were read and written."""
        read = sum(len(prompt.ids) for prompt in dict.fromkeys(text.prompt for text in self.texts))
        written = sum(text.made for text in self.texts)
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


def finite(log_prob: float) -> float:
    """A log-probability for JSON."""
    return max(log_prob, LEAST)
