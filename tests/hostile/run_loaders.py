"""Loaders of what a run folder holds."""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch

import charlm
from charlm.inference.loading import load_run
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.tensors import from_tensors
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.integrity import read_best
from charlm.storage.run import open_run
from charlm.storage.summary import summarise_run
from charlm.training.counters import Counters
from charlm.training.optimization.optimizers import make_optimizer, restore_optimizer
from tests.hostile.loader import Loader, into, signed
from tests.hostile.mutations import mutate_arrays, mutate_json, mutate_toml

__all__ = ["run_loaders"]


def trained(folder: Path, name: str, **settings: Any) -> Path:
    """The folder of a small run that was trained for two steps."""
    for _ in charlm.train(folder / "text.txt", out=folder / name, **settings):
        pass
    return folder / name


def run_loaders(folder: Path) -> list[Loader]:
    """Everything in a run folder; each loader damages a run of its own."""
    small = {"steps": 2, "hidden_size": 4, "batch_size": 2, "bptt": 8, "device": "cpu"}
    path = trained(folder, "settings", **small)
    found = [
        Loader("run.toml", [(path / "run.toml").read_bytes()], mutate_toml,
               into(path / "run.toml", lambda: open_run(path)), str(path)),
    ]  # fmt: skip
    for name, mutate in (
        ("manifest.json", mutate_json),
        ("state.json", mutate_json),
        ("model.safetensors", mutate_arrays),
        ("train.safetensors", mutate_arrays),
        ("best.json", mutate_json),
    ):
        own = trained(folder, name, **small)
        run = open_run(own)
        checkpoint = list_checkpoints(run.checkpoints)[-1]
        target = own / name if name == "best.json" else checkpoint / name
        wrap = signed if name not in ("manifest.json", "best.json") else into
        load = {
            "manifest.json": lambda run=run: run.read_step(2),
            "best.json": lambda run=run: (read_best(run.folder / "best.json"), run.best()),
            "state.json": lambda run=run: use_state(run),
            "model.safetensors": lambda own=own: load_run(own, step=2).model,
            "train.safetensors": lambda run=run: resume_optimizer(run),
        }[name]
        named = {"best.json": "", "train.safetensors": name}.get(name, str(own))
        found.append(Loader(name, [target.read_bytes()], mutate, wrap(target, load), named))
    own = trained(folder, "ngram", **{"model": "ngram", "order": 3})
    found.append(ngram_loader(own))
    return found


def use_state(run: Any) -> None:
    """What is done with a state: summed up, and taken over."""
    summarise_run(run)
    run.best()
    state = run.read_step(2).state
    try:
        Counters.from_table(state["counters"])
    except (KeyError, TypeError, ValueError):  # declared, and turned into an error by the session
        return


def resume_optimizer(run: Any) -> None:
    """Take over the tensors of training and take a step with them."""
    found = run.read_step(2)
    model = LanguageModel.from_tensors(run.config.model, run.tokenizer().vocab_size, found.model)
    optimizer = make_optimizer(run.config.training, model, torch.device("cpu"))
    restore_optimizer(optimizer, model, found.train)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()


def ngram_loader(path: Path) -> Loader:
    """The tensors of a model of n-grams."""
    run = open_run(path)
    tensors, size = run.checkpoint().model, run.tokenizer().vocab_size

    def load(content: bytes) -> object:
        try:
            found = safetensors.torch.load(content)
        except (safetensors.SafetensorError, ValueError, KeyError, OverflowError, TypeError):
            return None
        return from_tensors(found, size)

    return Loader("n-grams", [safetensors.torch.save(tensors)], mutate_arrays, load, "")
