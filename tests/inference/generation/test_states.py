"""A text that goes on from a saved state is what one call with the whole text would write."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ConfigError
from charlm.inference.generation import states
from charlm.inference.generation.modes import write_texts
from charlm.inference.generation.text import write_samples
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from tests.data.suffixes.naive import index_of

torch.set_num_threads(1)
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer(list("abcdeé ")),
    "byte": ByteTokenizer(),
    "word": WordTokenizer(["a", "ab", "the", "dead", "é"], end_of_line=False),
}


def model_of(tokenizer: Tokenizer) -> Recurrent:
    """A model that hardly ever ends a text."""
    network = LanguageModel.create(ModelConfig(hidden_size=8), tokenizer.vocab_size, seed=1)
    network.head.bias.data[tokenizer.boundary_id] = -50
    return Recurrent(network)


MODELS = {kind: model_of(tokenizer) for kind, tokenizer in TOKENIZERS.items()}
PENALTIES = GenerationConfig(
    length=30, temperature=1.2, repetition_penalty=1.5, frequency_penalty=0.2, penalty_window=50,
    dry_multiplier=2.0, dry_allowed_length=1,
)  # fmt: skip
TRAINING = index_of("".join(random.Random(1).choices("abcde é", k=300)) + "a the dead ab é ab")


def call(
    kind: str,
    prompt: str,
    config: GenerationConfig,
    seed: int,
    path: Path | None = None,
    index: SuffixIndex | None = None,
) -> str:
    given = MODELS[kind], TOKENIZERS[kind], [prompt], config
    (sample,) = write_texts(*given, seeds=[seed], state=path, training_text=index)
    return "".join(sample)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("how", ["penalties", "max_copy"])
def test_calls_with_a_state_write_what_one_call_would(kind: str, how: str, tmp_path: Path) -> None:
    config, index, path = PENALTIES, None, tmp_path / "state"
    if how == "max_copy":
        config, index = GenerationConfig(length=30, temperature=1.2, max_copy=2), TRAINING
    if kind == "byte":
        config = replace(config, allowed="abcde ")
    if kind == "word":
        config = replace(config, length=12, unit="tokens")
    model, tokenizer, differ = MODELS[kind], TOKENIZERS[kind], 0
    for seed, prompt in enumerate(["a ab", "", "dead ", "", "a", "", ""]):
        before = states.read_state(path, model)
        found = call(kind, prompt, config, seed, path, index)
        text = states.text_after(tokenizer, before, prompt)
        expected = call(kind, text, config, seed, index=index)
        # A call does not begin with the space before its first word.
        assert found.strip() == expected.strip() if kind == "word" else found == expected
        if before is not None:
            given, forgotten = (model, tokenizer, prompt, config), before._replace(text="")
            (other,) = write_samples(*given, seeds=[seed], state=forgotten, training_text=index)
            differ += "".join(other) != found
    assert differ  # where the text is not kept


def test_only_the_end_of_a_text_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "KEPT", 20)
    path, limit = tmp_path / "state", GenerationConfig(length=30, max_copy=21)
    call("char", "a", GenerationConfig(length=30), 1, path)
    kept = states.read_state(path, MODELS["char"])
    assert kept is not None
    assert kept.text is not None
    assert len(kept.text) == 20
    with pytest.raises(ConfigError, match="holds too little of its text to go on with `max_copy="):
        call("char", "", limit, 1, path, TRAINING)


def test_a_state_without_its_text_goes_on_with_penalties_that_begin_anew(tmp_path: Path) -> None:
    """As an earlier charlm wrote it."""
    path, free = tmp_path / "state", GenerationConfig(length=30)
    call("char", "ab", free, 1, path)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del metadata["text"], metadata["sha256"]
    safetensors.torch.save_file(tensors, path, metadata)
    for _ in range(2):  # what follows an unknown text is no whole text either
        call("char", "", PENALTIES, 1, path)
        with pytest.raises(ConfigError, match="holds too little of its text"):
            call("char", "", GenerationConfig(length=30, max_copy=2), 1, path, TRAINING)
