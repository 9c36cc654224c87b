"""Files through models and back; whatever is wrong is refused."""

import copy
import math
import random
import zlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from charlm.config import ModelConfig
from charlm.errors import CheckpointError, CorpusError, ModelError
from charlm.inference.adaptation.adapter import Adapted, with_methods
from charlm.inference.adaptation.dynamic import DynamicPredictor
from charlm.inference.adaptation.methods import make_evaluation
from charlm.inference.adaptation.mixing import Mixed
from charlm.inference.compression import codec
from charlm.inference.compression.archive import read_archive
from charlm.inference.compression.codec import (
    RATES,
    Compressed,
    Decompressed,
    compress,
    decompress,
)
from charlm.inference.compression.learning import RoundedSteps, round_off
from charlm.inference.loading import Loaded, require_recurrent
from charlm.inference.predictors.mixture import Mixture
from charlm.model.language_model import LanguageModel, detach
from tests.inference.compression.conftest import KINDS, ODD, TEXT, loaded_with
from tests.inference.toys import score_text


def squeezed(loaded: Loaded, content: bytes, **options: object) -> Compressed:
    """The last record of compressing."""
    *_, last = compress(loaded, content, **options)
    assert isinstance(last, Compressed)
    return last


def restored(loaded: Loaded, packed: bytes) -> bytes:
    """The last record of decompressing."""
    *_, last = decompress(loaded, packed)
    assert isinstance(last, Decompressed)
    return last.content


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_odd_files_come_back(kind: str, adapt: bool) -> None:
    loaded = loaded_with(kind)
    for content in ODD[:: 1 + 2 * adapt]:
        done = squeezed(loaded, content, adapt=adapt)
        assert restored(loaded, done.content) == content
        assert (done.bytes_in, done.bytes_out) == (len(content), len(done.content))


@pytest.mark.parametrize("cell", ["gru", "rnn"])
@pytest.mark.parametrize("adapt", [False, True])
def test_every_cell_and_many_lanes(cell: str, adapt: bool) -> None:
    loaded = loaded_with("char", cell=cell, num_layers=2)
    done = squeezed(loaded, TEXT.encode(), adapt=adapt, lanes=5)
    assert done.lanes == 5
    assert restored(loaded, done.content) == TEXT.encode()


@pytest.mark.parametrize("kind", KINDS)
def test_one_lane_takes_the_bits_of_the_perplexity(kind: str) -> None:
    """To 0.2 %, the start of the file and the end of the code apart."""
    loaded = loaded_with(kind)
    text = TEXT.replace("  ", " ") * (20 if kind in ("word", "bpe", "unigram") else 10)
    score = score_text(loaded.model, loaded.tokenizer, text)
    done = squeezed(loaded, text.encode(), lanes=1)
    assert done.tokens == score.tokens
    assert done.model_bits == pytest.approx(score.nll / math.log(2), rel=2e-3)
    assert done.coded_bits == pytest.approx(score.nll / math.log(2), rel=2e-3, abs=64)


def test_learning_makes_a_text_of_another_kind_smaller() -> None:
    loaded = loaded_with("char", hidden_size=32)
    content = TEXT[::-1].encode()
    static, learned = squeezed(loaded, content, lanes=1), squeezed(loaded, content, adapt=True)
    assert static.tokens == learned.tokens > 1
    assert learned.coded_bits < 0.9 * static.coded_bits


def test_learning_leaves_the_model_and_the_settings_of_torch_as_they_were() -> None:
    loaded = loaded_with("byte")
    before = {name: weight.clone() for name, weight in loaded.model.network.tensors().items()}
    threads = torch.get_num_threads()
    squeezed(loaded, b"some text, some text, some text, some text" * 3, adapt=True)
    for name, weight in loaded.model.network.tensors().items():
        assert torch.equal(weight, before[name])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (
        threads,
        False,
    )


def test_the_rate_of_learning_is_the_one_that_makes_the_beginning_smallest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded, content = loaded_with("char"), TEXT[::-1].encode()
    chosen = read_archive(squeezed(loaded, content, adapt=True).content, "").rate
    sizes = {}
    for rate in RATES:
        monkeypatch.setattr(codec, "RATES", (rate,))
        sizes[rate] = squeezed(loaded, content, adapt=True).coded_bits
    assert sizes[chosen] == min(sizes.values()) < max(sizes.values())


def test_what_a_model_makes_larger_is_stored() -> None:
    content = random.Random(1).randbytes(3000)
    for kind in KINDS:
        done = squeezed(loaded_with(kind), content)
        assert done.bytes_out < len(content) + 200


@pytest.mark.parametrize("adapt", [False, True])
def test_another_model_is_refused(adapt: bool) -> None:
    done = squeezed(loaded_with("byte"), b"some text", adapt=adapt)
    for other in (
        loaded_with("byte", seed=2),
        loaded_with("char"),
        loaded_with("byte", cell="gru"),
    ):
        with pytest.raises(CheckpointError, match="another model"):
            restored(other, done.content)


def test_a_mixture_and_methods_are_part_of_the_model() -> None:
    alone, other = loaded_with("byte"), loaded_with("byte", seed=2)
    mixtures = [mixed_run(alone, other, 0.5), mixed_run(alone, other, 0.6)]
    adapted = [adapted_run(alone, share) for share in (0.1, 0.2)]
    models = [alone, *mixtures, mixed_run(alone, alone, 0.5), *adapted]
    for loaded in models[1:]:
        done = squeezed(loaded, b"some text")
        assert restored(loaded, done.content) == b"some text"
        for wrong in models:
            if wrong is not loaded:
                with pytest.raises(CheckpointError, match="another model"):
                    restored(wrong, done.content)


def mixed_run(first: Loaded, second: Loaded, weight: float) -> Loaded:
    mixture = Mixture(first.model, second.model, weight)
    return Mixed(first.run, first.tokenizer, mixture, 1, (first, second), weight)


def adapted_run(loaded: Loaded, share: float) -> Loaded:
    network = require_recurrent(loaded)
    run = SimpleNamespace(
        config=loaded.run.config,
        folder=loaded.run.folder,
        checkpoint=lambda step: SimpleNamespace(model=network.tensors()),
    )
    evaluation = make_evaluation({"cache": {"share": share}})
    model = with_methods(network, evaluation, None)
    return Adapted(run, loaded.tokenizer, model, 1, evaluation, loaded)  # type: ignore[arg-type]


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    loaded = loaded_with("char")
    packed = squeezed(loaded, "the cat 猫 sat".encode()).content
    for place in range(8 * len(packed)):
        flipped = bytearray(packed)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(CorpusError):
            read_archive(bytes(flipped), "the file")
    for size in range(len(packed)):
        with pytest.raises(CorpusError):
            read_archive(packed[:size], "the file")
    with pytest.raises(CorpusError):
        read_archive(packed + b"\0", "the file")


def test_a_file_of_another_format_is_refused_with_its_number() -> None:
    packed = squeezed(loaded_with("char"), b"the cat").content
    inner = packed[:8] + b"\x01" + packed[9:-4]
    old = inner + zlib.crc32(inner).to_bytes(4, "little")
    with pytest.raises(CorpusError, match="the file has format 1, not 2") as raised:
        read_archive(old, "the file")
    assert "the version of charlm that wrote it" in raised.value.hint


def forged(packed: bytes, **changes: object) -> bytes:
    """The file with another header and a checksum that agrees."""
    archive = read_archive(packed, "the file")
    return replace(archive, **changes).to_bytes()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [{"tokens": 7}, {"lanes": 3}, {"content": b"\0" * 32}, {"arithmetic": 9}, {"tokens": 500}],
)
def test_forged_headers_are_refused(changes: dict[str, object]) -> None:
    loaded = loaded_with("char")
    packed = squeezed(loaded, b"the cat sat on the mat").content
    with pytest.raises((CorpusError, ModelError)):
        restored(loaded, forged(packed, **changes))


def test_numbers_that_come_out_differently_are_named() -> None:
    loaded = loaded_with("char")
    packed = squeezed(loaded, b"the cat sat on the mat", adapt=True).content
    changed = {"rate": 9000, "machine": b"torch 9, abacus"}
    with pytest.raises(ModelError, match="torch 9, abacus") as raised:
        restored(loaded, forged(packed, **changed))
    assert "decompress it on the machine" in raised.value.hint


def noisy(numbers: torch.Tensor) -> torch.Tensor:
    """Another processor's rounding, made larger."""
    source = torch.Generator().manual_seed(1)
    return numbers * (1 + 1e-13 * torch.randn(numbers.shape, generator=source).double())


def test_noise_in_the_last_bits_does_not_reach_what_is_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = loaded_with("byte")
    packed = squeezed(loaded, TEXT.encode(), adapt=True).content
    ids = loaded.tokenizer.encode(TEXT.encode()).astype(np.int64)[:200, None]
    network = copy.deepcopy(require_recurrent(loaded)).double()
    quiet = learned(network, ids)
    advance, grad = DynamicPredictor.advance, torch.autograd.grad

    def noisy_advance(*given: Any) -> tuple[torch.Tensor, object]:
        log_probs, state = advance(*given)
        return noisy(log_probs), state

    monkeypatch.setattr(torch.autograd, "grad", lambda *given: tuple(map(noisy, grad(*given))))
    monkeypatch.setattr(DynamicPredictor, "advance", noisy_advance)
    loud = learned(network, ids)
    assert all(map(torch.equal, quiet, loud))
    assert not any(map(torch.equal, quiet, network.parameters()))
    assert restored(loaded, packed) == TEXT.encode()


def learned(network: LanguageModel, ids: np.ndarray) -> list[torch.Tensor]:
    """The weights after learning from ids (N, 1) token by token."""
    model = DynamicPredictor(network, RoundedSteps(segment=4, rate=4000), together=True)
    state = model.start()
    for token in torch.from_numpy(ids)[:, None]:
        _, state = model.advance(token, state)
    return list(state[0].network.parameters())


def test_gradients_are_rounded_to_powers_of_two_and_lose_little() -> None:
    slope = torch.randn(50, 9, generator=torch.Generator().manual_seed(1)).double() * 3e-4
    rounded = round_off(slope)
    assert ((rounded - slope).abs() <= slope.abs().max() * 2.0**-16).all()
    assert torch.equal(round_off(slope * (1 + 1e-15)), rounded)
    assert torch.equal(round_off(torch.zeros(3)), torch.zeros(3))


@pytest.mark.parametrize(
    "settings",
    [{"cell": "cifg"}, {"mogrifier_rounds": 2}, {"softmaxes": 2}, {"adaptive_softmax": True},
     {"num_layers": 2, "connections": "skip"}],
)  # fmt: skip
def test_networks_with_more_in_them_are_computed_in_float64(settings: dict[str, object]) -> None:
    loaded = loaded_with("char", **settings)
    done = squeezed(loaded, TEXT.encode())
    assert done.arithmetic == "float"
    assert restored(loaded, done.content) == TEXT.encode()


def test_learning_is_a_scaled_step_down_the_gradient_of_each_segment() -> None:
    network = LanguageModel.create(ModelConfig(hidden_size=8), 10, seed=1).eval()
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, 10, (2, 9)))
    by_hand = copy.deepcopy(network).double()
    model = DynamicPredictor(
        copy.deepcopy(by_hand), RoundedSteps(segment=4, rate=5000), together=True
    )
    state, steps = model.start(2), []
    for column in tokens.T[:, :, None]:
        log_probs, state = model.advance(column, state)
        steps.append(log_probs)
    found = torch.cat(steps, dim=1).numpy()
    for begin, state in ((0, None), (4, detach(by_hand(tokens[:, :4])[1]))):
        logits, _ = by_hand(tokens[:, begin : begin + 4], state)
        log_probs = logits.detach().log_softmax(dim=-1).numpy()
        assert found[:, begin : begin + 4] == pytest.approx(log_probs, abs=1e-9)
        loss = cross_entropy(logits.flatten(0, 1), tokens[:, begin + 1 : begin + 5].flatten())
        with torch.no_grad():
            for weight, slope in zip(
                by_hand.parameters(),
                torch.autograd.grad(loss, list(by_hand.parameters())),
                strict=True,
            ):
                slope = round_off(slope)
                weight -= 0.005 * slope / (slope.abs() + 1e-8)
