"""One process or many: ``torch.distributed`` under ``torchrun``, one process per device."""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["World", "join_world"]


@dataclass(frozen=True)
class World:
    """The rank of this process among ``size`` processes; process 0 writes files and reports."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, lanes: int) -> slice:
        """The lanes of this process: consecutive, and ``lanes`` shared out as evenly as can be."""
        return slice(lanes * self.rank // self.size, lanes * (self.rank + 1) // self.size)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are averaged over all processes."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def sum(self, value: float, device: torch.device) -> float:
        """The sum of a number over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float32, device=device)
        dist.all_reduce(total)
        return float(total)

    def from_first(self, values: list[float], device: torch.device) -> list[float]:
        """The ``values`` of process 0, so that all processes decide alike."""
        if self.size == 1:
            return values
        told = torch.tensor(values, dtype=torch.float64, device=device)
        dist.broadcast(told, src=0)
        return [float(value) for value in told]

    def gather_lanes(self, part: Tensor, lanes: int) -> Tensor:
        """The rows (its lanes, H) of every process put together (B, H), in every process."""
        if self.size == 1:
            return part
        counts = [lanes * (r + 1) // self.size - lanes * r // self.size for r in range(self.size)]
        # all_gather wants equal shapes: pad to the longest share.
        padded = part.new_zeros(max(counts), part.shape[1])
        padded[: len(part)] = part
        received = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(received, padded)
        return torch.cat([r[:count] for r, count in zip(received, counts, strict=True)])

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """End the group of processes, if there is one."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def join_world() -> World:
    """Join the group that ``torchrun`` describes in the environment; alone without one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return World(dist.get_rank(), size)
