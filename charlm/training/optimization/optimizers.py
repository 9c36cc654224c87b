"""Optimizers, learning-rate schedules and their state as named tensors."""

import inspect
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from charlm.config import TrainConfig
from charlm.errors import CheckpointError

__all__ = [
    "learning_rate",
    "make_optimizer",
    "misfit",
    "optimizer_tensors",
    "restore_optimizer",
]


def make_optimizer(
    config: TrainConfig, model: nn.Module, device: torch.device
) -> torch.optim.Optimizer:
    """The optimizer of the settings; vectors (biases) are never decayed.

    Its groups have a ``factor`` of the learning rate, which falls with the depth (Howard and Ruder
    2018, arXiv:1801.06146).  AdamW: Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """
    depths = depths_of(model) if config.depth_factor != 1 else {}
    weights: dict[tuple[int, float], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        decay = config.decay if weight.dim() > 1 else 0.0
        weights.setdefault((depths.get(name, 0), decay), []).append(weight)
    groups = [
        {"params": alike, "weight_decay": decay, "factor": config.depth_factor**depth}
        for (depth, decay), alike in weights.items()
    ]
    if config.optimizer == "sgd":
        sgd = without_compiling(torch.optim.SGD)
        return sgd(groups, lr=config.learning_rate, momentum=config.momentum)
    betas = (config.beta1, config.beta2)
    fused = device.type in ("cpu", "cuda")
    adamw = without_compiling(torch.optim.AdamW)
    return adamw(groups, lr=config.learning_rate, betas=betas, fused=fused)


def depths_of(model: nn.Module) -> dict[str, int]:
    """How far below the head each parameter lies: 0 for the head and weights tied to it, 1 for the
    last layer, L + 1 for the embedding of L layers.
    """
    names = [name for name, _ in model.named_parameters()]
    layers = {name: int(name.split(".")[1]) for name in names if name.startswith("layers.")}
    below = {name: max(layers.values()) - layer + 1 for name, layer in layers.items()}
    tied = "head.weight" not in names
    embedding = 0 if tied else max(layers.values()) + 2
    return {name: embedding if name.startswith("embedding.") else below.get(name, 0)
            for name in names}  # fmt: skip


def without_compiling(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """An optimizer class that computes what ``kind`` does, and cannot be used in torch.compile.

    PyTorch wraps the methods of optimizers in code that imports ``torch._dynamo`` and sympy at the
    first call, which takes two seconds or more, almost as long as torch itself.
    """
    methods = {
        name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad")
    }
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods | {"step": step})


def learning_rate(config: TrainConfig, fraction: float, divisor: float = 1.0) -> float:
    """The rate at a ``fraction`` (0 to 1) of the training; ``divisor`` is the plateau's.

    A linear warm-up to the peak; then the peak itself, to its end or with a linear fall to zero
    (Zhai et al. 2022, arXiv:2106.04560; Haegele et al. 2024, arXiv:2405.18392), or half a cosine
    to zero (Loshchilov and Hutter 2017, arXiv:1608.03983).
    """
    peak = config.learning_rate / divisor
    if fraction < config.warmup:
        # Not from zero: the first step should already teach something.
        return peak * max(fraction / config.warmup, 0.01)
    if config.schedule == "trapezoid":
        return peak * min(1.0, (1 - fraction) / config.cooldown)
    if config.schedule != "cosine":
        return peak
    way = (fraction - config.warmup) / (1 - config.warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * min(way, 1.0)))


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The state of an optimizer as tensors named ``optimizer/PARAMETER/KEY``."""
    return {
        f"optimizer/{name}/{key}": torch.as_tensor(value)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Take over the tensors that ``optimizer_tensors`` gave.

    Raises ``CheckpointError`` for names or shapes that do not fit the model or the optimizer.
    """
    parameters = dict(model.named_parameters())
    own = {"momentum_buffer"} if optimizer.defaults.get("momentum") else set[str]()
    if isinstance(optimizer, torch.optim.AdamW):
        own = {"step", "exp_avg", "exp_avg_sq"}
    for full_name, tensor in tensors.items():
        prefix, _, rest = full_name.partition("/")
        if prefix != "optimizer":
            continue
        name, _, key = rest.rpartition("/")
        parameter = parameters.get(name)
        shape = None if parameter is None else () if key == "step" else parameter.shape
        form = (shape, torch.float32)
        if parameter is None or key not in own or (tensor.shape, tensor.dtype) != form:
            raise misfit(full_name)
        # The step counter stays where the optimizer keeps it: on the parameter's device.
        optimizer.state[parameter][key] = tensor.to(parameter.device)
    for name, parameter in parameters.items():
        if lacking := own - set(optimizer.state.get(parameter, own)):
            raise misfit(f"optimizer/{name}/{min(lacking)}")


def misfit(name: str) -> CheckpointError:
    """The error for the tensor ``name`` of a checkpoint, which is missing or of another form."""
    return CheckpointError(
        f"train.safetensors: {name} does not fit the model",
        "restore the checkpoint, or remove it to resume from the one before",
    )
