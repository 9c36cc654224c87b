"""``/v1/completions`` as OpenAI has it: texts to write, and the records that answer."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from charlm.api.model import Model
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import counted
from charlm.inference.generation.text import encode_prompt, random_seed, replace_symbols
from charlm.inference.serving.texts import Chunk, Prompt, ServedText, ServedToken
from charlm.web.server.requests import CompletionRequest, Refused, ServeLimits

__all__ = ["BOUNDARY", "Completion", "encode_text", "json_bytes", "token_name"]

BOUNDARY = "<|boundary|>"
"""The name of the boundary, which stands for no text."""

LEAST = -9999.0
"""What is sent for the log-probability of the impossible: JSON has no infinity."""

FINISHES = {"length": "length", "stop": "stop", "end": "stop"}


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text, or of the boundary by its name."""
    return [tokenizer.boundary_id] if text == BOUNDARY else list(map(int, tokenizer.encode(text)))


def token_name(tokenizer: Tokenizer, id: int) -> str:
    """What stands for a token in JSON: its text, or its bytes where they are no whole character."""
    if id == tokenizer.boundary_id:
        return BOUNDARY
    content = tokenizer.token_bytes(id)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)


def json_bytes(record: Any) -> bytes:
    """A record as JSON in ASCII."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode()


@dataclass
class Choice:
    """How much of a text has been answered."""

    text: ServedText
    offset: int = 0
    """Characters so far."""
    begun: bool = False


class Completion:
    """One request for completions with its texts, ``n`` for each prompt."""

    def __init__(
        self, name: str, model: Model, request: CompletionRequest, limits: ServeLimits
    ) -> None:
        """Raises ``Refused`` and ``TokenizerError``."""
        self.name, self.tokenizer, self.request = name, model.tokenizer, request
        self.head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": name,
        }
        seed = random_seed() if request.seed is None else request.seed
        self.texts = [
            self.open(prompt, seed + number)
            for prompt in map(self.prompt, request.prompts)
            for number in range(request.n)
            if self.check_length(prompt, limits)
        ]
        self.choices = [Choice(text) for text in self.texts]

    def prompt(self, given: str | list[int]) -> Prompt:
        """A prompt.  Raises ``TokenizerError`` for what the model has never seen."""
        text, top = None, self.request.logprobs if self.request.echo else None
        if given == BOUNDARY:
            given = [self.tokenizer.boundary_id]
        if isinstance(given, str):
            text = replace_symbols(self.tokenizer, given, self.request.replace_unknown)
            given = encode_prompt(self.tokenizer, text)
        return Prompt(self.tokenizer, given, top, text)

    def check_length(self, prompt: Prompt, limits: ServeLimits) -> bool:
        """Raise ``Refused`` for what is longer than the server allows."""
        length = len(prompt.ids) + self.request.max_tokens
        if length > limits.length:
            raise Refused(
                f"the prompt ({counted(len(prompt.ids), 'token')}) and `max_tokens` "
                f"({self.request.max_tokens:,}) are more than {counted(limits.length, 'token')}",
                "send a shorter prompt, or ask for less", param="max_tokens",
                code="context_length_exceeded",
            )  # fmt: skip
        return True

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
        if request.echo and not choice.begun:
            prompt = choice.text.prompt
            text, tokens = prompt.text + text, (*spelled(self.tokenizer, prompt), *tokens)
        choice.begun = True
        finish = chunks[-1].finish
        logprobs = None
        if request.logprobs is not None:
            logprobs = self.logprobs(tokens, choice.offset, request.logprobs)
        choice.offset += len(text)
        return {
            "index": number,
            "text": text,
            "logprobs": logprobs,
            "finish_reason": FINISHES[finish] if finish else None,
            "seed": choice.text.seed,
        }

    def logprobs(self, tokens: Sequence[ServedToken], offset: int, top: int) -> dict[str, Any]:
        """Log-probabilities in nats of tokens that begin at ``offset`` characters of the text."""
        names = [token_name(self.tokenizer, token.id) for token in tokens]
        offsets = []
        for token in tokens:
            offsets.append(offset)
            offset += len(token.text)
        return {
            "tokens": names,
            "token_logprobs": [finite(token.log_prob) for token in tokens],
            "top_logprobs": [self.best(token) for token in tokens] if top else None,
            "text_offset": offsets,
        }

    def best(self, token: ServedToken) -> dict[str, float | None] | None:
        """The most probable tokens in the place of a token, and itself; None if it was given."""
        if token.log_prob is None:
            return None
        found = {token_name(self.tokenizer, id): finite(log_prob) for id, log_prob in token.top}
        return found | {token_name(self.tokenizer, token.id): finite(token.log_prob)}

    def usage(self) -> dict[str, int]:
        """How many tokens were read and written."""
        read = sum(len(prompt.ids) for prompt in dict.fromkeys(text.prompt for text in self.texts))
        written = sum(text.made for text in self.texts)
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


def spelled(tokenizer: Tokenizer, prompt: Prompt) -> list[ServedToken]:
    """The measured tokens of a prompt with their texts."""
    stream = tokenizer.stream()
    return [
        token._replace(text=stream.flush() if token.id == tokenizer.boundary_id
                       else stream.push(token.id))
        for token in prompt.measured
    ]  # fmt: skip


def finite(log_prob: float | None) -> float | None:
    """A log-probability for JSON."""
    return None if log_prob is None else max(log_prob, LEAST)
