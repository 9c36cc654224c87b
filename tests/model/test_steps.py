"""Cells walked natively with packed weights give what they give with plain ones."""

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from charlm.model import native, stepped
from charlm.model.native.library import Kernels
from charlm.model.native.steps import StepRecord, StepWeight
from tests.model.test_stepped import VARIANTS, make_layer

pytestmark = pytest.mark.usefixtures("threads")
SHAPE = 7, 5  # T, B


def walked(layer: nn.Module, weight_drop: float = 0.0) -> list[Tensor]:
    """Hidden states, last state and all gradients of a walk that is the same each time."""
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(*SHAPE, 3, generator=generator).requires_grad_()
    layer.weight_drop = weight_drop
    torch.manual_seed(3)
    hidden, last = layer(inputs, layer.zero_state(SHAPE[1]))
    outputs = [hidden, *last]
    loss = sum((output * output.detach().cos()).sum() for output in outputs)
    return [*outputs, *torch.autograd.grad(loss, [inputs, *layer.parameters()])]


@pytest.mark.parametrize("weight_drop", [0.0, 0.4])
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_packed_weights_give_what_plain_ones_give(
    variant: str, weight_drop: float, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(variant, hidden=19).float()
    plain = walked(layer, weight_drop)
    for least in ("PACKED_FROM", "PACKED_TOKENS"):
        monkeypatch.setattr(stepped, least, 1)
    monkeypatch.setattr(native, "kernels", lambda *_: kernels)
    packed = []
    monkeypatch.setattr(native, "StepWeight", lambda *given: packed.append(1) or StepWeight(*given))
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for one, other in zip(walked(layer, weight_drop), plain, strict=True):
            scale = float(other.detach().abs().max())
            torch.testing.assert_close(one / scale, other / scale, atol=2e-5, rtol=0)
    assert packed


def three_steps(kernels: Kernels, weight: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs of three steps and their products with a packed weight (6, 4)."""
    matrix = StepWeight(kernels, (3, 2), weight)
    inputs = [torch.randn(2, 4).requires_grad_() for _ in range(3)]
    return inputs, [x @ matrix.T for x in inputs]


def test_a_way_back_through_some_steps_and_then_through_others(kernels: Kernels) -> None:
    weight = torch.randn(6, 4).requires_grad_()
    inputs, products = three_steps(kernels, weight)
    torch.autograd.grad(products[0].sum(), inputs[0], retain_graph=True)  # not of the weight
    for steps in ([1], [0, 2], [1]):
        loss = sum(products[step].square().sum() for step in steps)
        expected = sum((inputs[step] @ weight.T).square().sum() for step in steps)
        (got,) = torch.autograd.grad(loss, weight, retain_graph=True)
        torch.testing.assert_close(got, torch.autograd.grad(expected, weight)[0])


def test_frozen_weights_let_gradients_through(kernels: Kernels) -> None:
    weight = torch.randn(6, 4)
    inputs, products = three_steps(kernels, weight)
    (got,) = torch.autograd.grad(products[1].sum(), inputs[1])
    torch.testing.assert_close(got, weight.sum(0).expand(2, 4))


def test_nothing_is_left_when_the_graph_is_gone(kernels: Kernels) -> None:
    weight = torch.randn(6, 4).requires_grad_()
    gc.disable()  # what only the collector would find is memory for longer than a step
    try:
        matrix = StepWeight(kernels, (1, 2), weight)
        record: weakref.ref[StepRecord] = weakref.ref(matrix.record)
        (torch.ones(2, 4) @ matrix.T).sum().backward()
        del matrix
        assert record() is None
    finally:
        gc.enable()


def test_a_state_of_another_precision_is_refused_as_torch_does(kernels: Kernels) -> None:
    matrix = StepWeight(kernels, (3, 2), torch.randn(6, 4))
    with pytest.raises(TypeError, match="float64"):
        _ = torch.randn(2, 4, dtype=torch.float64) @ matrix.T
