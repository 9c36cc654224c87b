"""Load the compiled kernels of ``lstm.c``, and call them with tensors.

Letters: T steps, B lanes, H hidden size, K depth of a product.
"""

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from charlm.model.native.build import LIBRARY, SEAL, seal
from charlm.model.native.sampling import LaneTexts, SamplingRule, fields

__all__ = ["Kernels", "Unavailable", "load", "pack", "pack_gates"]

VARIANTS = {4: "portable", 8: "avx2", 16: "avx512"}
"""Floats in a vector -> the suffix of the variant's functions."""

SPARE_SHAPES = 4
"""Shapes of which freed tensors are kept for reuse."""

PACKED_DEPTH = 128
"""Rows of a panel in ``columns_times``: equals ``DEPTH`` in ``lstm.c``."""


class Unavailable(Exception):
    """The reason why the compiled library cannot be used; torch's layers are used instead."""


class Team(ctypes.Structure):
    """The threads of a job: ``Team`` in ``threads.h``, whose fields are documented there.

    The structures below mirror those of one name in ``lstm.c`` likewise.
    """

    _fields_ = (
        *fields(ctypes.c_void_p, "run number size"),
        *fields(ctypes.c_int64, "threads count next arrived last"),
    )


class Layer(ctypes.Structure):
    """The arguments of a scan over the steps of a layer."""

    _fields_ = (
        *fields(Team, "team"),
        *fields(ctypes.c_int64, "steps lanes hidden step_stride lane_stride"),
        *fields(ctypes.c_void_p, "weights gates h0 c0 hiddens cells grad_hiddens"),
        *fields(ctypes.c_void_p, "grad_gates grad_h grad_c"),
    )


class StackLevel(ctypes.Structure):
    """A layer of a stack, or its head."""

    _fields_ = (
        *fields(ctypes.c_int64, "depth start_stride"),
        *fields(ctypes.c_void_p, "weights scales start inputs cells"),
    )


class Stack(ctypes.Structure):
    """Layers and a head, advanced token by token."""

    _fields_ = (
        *fields(Team, "team"),
        *fields(ctypes.c_int64, "layers lanes hidden vocab steps bits size writes"),
        *fields(ctypes.c_void_p, "levels embedding tokens logits uniforms logit_bias log_probs"),
        *fields(ctypes.c_void_p, "scratch"),
        ("rule", SamplingRule),
        ("texts", LaneTexts),
    )


class Product(ctypes.Structure):
    """The arguments of a matrix product."""

    _fields_ = (
        *fields(Team, "team"),
        *fields(ctypes.c_int64, "rows depth columns"),
        *fields(ctypes.c_void_p, "a b bias out scratch"),
    )


class ProbeJob(ctypes.Structure):
    """The arguments of a measurement of the processor."""

    _fields_ = (
        *fields(Team, "team"),
        *fields(ctypes.c_int64, "count repeats"),
        *fields(ctypes.c_void_p, "numbers sums"),
    )


ARGUMENTS = {
    "forward": Layer,
    "backward": Layer,
    "rows_times": Product,
    "columns_times": Product,
    "decode": Stack,
    "probe_products": ProbeJob,
    "probe_reads": ProbeJob,
}
"""What each compiled function takes, in the order of the fields of ``Kernels``."""


@dataclass(frozen=True)
class Kernels:
    """One variant of the compiled functions; ``width`` is the number of floats in a vector.

    ``openmp`` holds the addresses of the functions that run torch's threads; ``spares`` tensors
    that were given back for reuse, by their shape.
    """

    variant: str
    width: int
    openmp: tuple[int, ...]
    scan_forward: Callable[[Layer], None]
    scan_backward: Callable[[Layer], None]
    rows_times: Callable[[Product], None]
    columns_times: Callable[[Product], None]
    decode: Callable[[Stack], int]
    probe_products: Callable[[ProbeJob], None]
    probe_reads: Callable[[ProbeJob], None]
    spares: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict)

    def team(self, count: int) -> Team:
        """Torch's threads, to share ``count`` lanes or rows."""
        return Team(*self.openmp, torch.get_num_threads(), count)

    def layer(self, shape: Sequence[int], **given: Tensor | int) -> Layer:
        """The arguments of a scan over hidden states of ``shape`` (T, B, H)."""
        steps, lanes, hidden = shape
        layer = Layer(self.team(lanes), steps, lanes, hidden, **addresses(given))
        layer.given = given  # an address alone keeps no tensor alive
        return layer

    def acquire(self, rows: int, columns: int) -> Tensor:
        """An uninitialised tensor (rows, columns), if possible one that was given back.

        A large new tensor is slow to fill, because the system clears its pages one by one.
        """
        try:
            return self.spares[rows, columns].pop()
        except (KeyError, IndexError):  # none left; asking first would not be safe among threads
            with torch.inference_mode(False):  # such a tensor could not be used in training later
                return torch.empty(rows, columns)

    def give_back(self, tensor: Tensor) -> None:
        """Keep a tensor for ``acquire``; tensors of too many different shapes are dropped."""
        shape = (tensor.shape[0], tensor.shape[1])
        if len(self.spares) >= SPARE_SHAPES and shape not in self.spares:
            self.spares.clear()
        self.spares.setdefault(shape, []).append(tensor)

    def times(
        self, a: Tensor, weight: Tensor, bias: Tensor | None = None, out: Tensor | None = None
    ) -> Tensor:
        """a (N, K) times weight (K, M), plus bias (M): (N, M), written into ``out`` if given."""
        return self.times_packed(a, pack(weight, self.width), weight.shape[1], bias, out)

    def times_packed(
        self,
        a: Tensor,
        panels: Tensor,
        columns: int,
        bias: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """a (N, K) times a weight (K, columns) that ``pack`` has put into panels, plus bias."""
        a = a.contiguous()
        rows, depth = a.shape
        out = a.new_empty(rows, columns) if out is None else out
        given = {"a": a, "b": panels, "out": out}
        if bias is not None:
            given["bias"] = bias.contiguous()
        self.rows_times(Product(self.team(rows), rows, depth, columns, **addresses(given)))
        return out

    def add_outer(self, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
        """out (M, N) += a (K, M) transposed times b (K, N): the sum of K outer products."""
        depth, rows = a.shape
        scratch = a.new_empty(PACKED_DEPTH * (rows + 8))
        given = {"a": a.contiguous(), "b": b.contiguous(), "out": out, "scratch": scratch}
        shape = rows, depth, b.shape[1]
        self.columns_times(Product(self.team(rows), *shape, **addresses(given)))
        return out


def addresses(given: Mapping[str, Tensor | int]) -> dict[str, int]:
    """Fields of a structure: the address of a tensor's numbers; integers as they are."""
    return {
        name: value.data_ptr() if isinstance(value, Tensor) else value
        for name, value in given.items()
    }


def pack(weight: Tensor, width: int) -> Tensor:
    """A weight (K, M) -> panels (M / 4 ``width``, K, 4 ``width``), with zeros beyond column M."""
    depth, columns = weight.shape
    padded = torch.nn.functional.pad(weight, (0, -columns % (4 * width)))
    return padded.view(depth, -1, 4 * width).transpose(0, 1).contiguous()


def pack_gates(weight: Tensor, width: int) -> Tensor:
    """Gates (4H, K) -> panels (H / ``width``, K, 4, ``width``), with zeros beyond unit H."""
    rows, depth = weight.shape
    gates = weight.view(4, rows // 4, depth)
    gates = torch.nn.functional.pad(gates, (0, 0, 0, -(rows // 4) % width))
    return gates.view(4, -1, width, depth).permute(1, 3, 0, 2).contiguous()


@cache
def load(folder: Path, forced: str = "") -> Kernels:
    """The fastest kernels for this processor from the library in ``folder``, loaded once a process.

    ``forced`` names a variant to use instead.  Raises ``Unavailable`` if the library is missing,
    damaged, older than its source or of no use to this processor.
    """
    path = folder / LIBRARY
    try:
        if (folder / SEAL).read_text() != seal(path):
            raise Unavailable("the native library is damaged or older than its source")
        library = ctypes.CDLL(os.fspath(path))
        widest = library.charlm_widest()
    except FileNotFoundError:
        raise Unavailable("no C compiler when charlm was installed") from None
    except (OSError, AttributeError) as error:
        raise Unavailable(f"the native library does not load: {error}") from None
    width = next((w for w, name in VARIANTS.items() if name == forced), widest)
    if width > widest or (width == 4 and not forced):
        raise Unavailable("this processor has neither AVX2 nor AVX-512")
    functions = []
    for name, arguments in ARGUMENTS.items():
        function = getattr(library, f"charlm_{name}_{VARIANTS[width]}")
        function.restype = ctypes.c_int if name == "decode" else None
        function.argtypes = [ctypes.POINTER(arguments)]
        functions.append(function)
    return Kernels(VARIANTS[width], width, torch_threads(), *functions)


def torch_threads() -> tuple[int, ...]:
    """The addresses of the functions that start and count torch's own OpenMP threads.

    A second pool of threads would compete with torch's, whose idle threads spin for a while.
    Raises ``Unavailable`` if torch was built without GNU's OpenMP.
    """
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    try:
        library = ctypes.CDLL(os.fspath(path))
        functions = [getattr(library, name) for name in names]
    except (OSError, AttributeError):
        raise Unavailable("torch's OpenMP library offers no GOMP_parallel") from None
    return tuple(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
