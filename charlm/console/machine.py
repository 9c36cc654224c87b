"""What this machine offers, measured in a few seconds."""

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import torch

from charlm import __version__
from charlm.config import ModelConfig
from charlm.console.figures import print_pairs
from charlm.console.streams import print_json
from charlm.data.cache import cache_folder
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder, open_decoder
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from charlm.model.devices import choose_device, precisions
from charlm.model.language_model import LanguageModel

__all__ = ["show_machine"]

PACKAGES = ("torch", "sentencepiece", "datasets", "numpy", "safetensors")


def show_machine(*, as_json: bool) -> None:
    """Print versions, devices, the implementation in use and its speed."""
    device = choose_device("auto")
    usable = [str(precision).removeprefix("torch.") for precision in precisions("auto", device)]
    training, sampling = measure_training(device), measure_sampling(device)
    about = {
        "charlm": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else str(device),
        "precision": " or ".join(usable),
        "recurrence": "cuDNN" if device.type == "cuda" else native.status(),
        "decoding": decoding_in_use(device),
        "training_tokens_per_second": round(training),
        "sampling_tokens_per_second": round(sampling),
        "cache": str(cache_folder()),
    }
    if as_json:
        print_json(about)
        return
    speeds = {
        "training": f"{training:,.0f} tokens/s (1 x 256 LSTM, 32 lanes of 64 steps)",
        "sampling": f"{sampling:,.0f} tokens/s (1 x 256 LSTM, one stream)",
    }
    plain = {name: str(value) for name, value in about.items() if not name.endswith("second")}
    print_pairs(plain | speeds)


def measure_training(device: torch.device) -> float:
    """Tokens per second, forward and backward, median of a few steps."""
    model = LanguageModel.create(ModelConfig(), 100, seed=1).to(device)
    tokens = torch.zeros(32, 64, dtype=torch.int64, device=device)

    def step() -> None:
        logits, _ = model(tokens)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        torch.autograd.grad(loss, list(model.parameters()))

    return tokens.numel() / median_seconds(step, device)


def measure_sampling(device: torch.device) -> float:
    """Tokens per second of one stream."""
    decoder, token = sampled(device), torch.zeros(1, 1, dtype=torch.int64, device=device)

    def steps() -> None:
        for _ in range(100):
            decoder.advance(token)

    return 100 / median_seconds(steps, device)


def sampled(device: torch.device) -> Decoder:
    """A decoder of the model that is measured."""
    network = LanguageModel.create(ModelConfig(), 100, seed=1).to(device).eval()
    return open_decoder(Recurrent(network))


def decoding_in_use(device: torch.device) -> str:
    """How a plain LSTM is read token by token."""
    native_one = isinstance(sampled(device), CompiledDecoder)
    return native.status() if native_one else "torch"


def median_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, after one to warm up."""
    times = []
    for _ in range(6):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])
