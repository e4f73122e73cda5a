"""What the kernels leave to the reference, each with a sentence, and the results are right all the same."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import carousel
from carousel.cells import Cell, find
from carousel.ops import Noise, Operands, StepOperands, example, explain
from carousel.ops.cpu import CPU, extension
from carousel.testing import Problem
from tests.ops.cpu.extension import needs_extension

LSTM = find("lstm")


def operands(dtype: torch.dtype = torch.float32, time: int = 2, batch: int = 3) -> Operands:
    return Problem("", time, batch, 0, 4).operands(LSTM, dtype=dtype)


def refused(given: Operands | StepOperands, cell: Cell = LSTM) -> str:
    reason = CPU().refuses(cell, given)
    assert reason is not None
    return reason


def test_without_the_extension_everything_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "module", None)
    monkeypatch.setattr(extension, "missing", "it was not built")
    assert refused(operands()) == "it was not built"
    assert [choice.backend for choice in explain(LSTM, operands()) if choice.runs] == ["reference"]


@needs_extension
class TestRefusals:
    """With the extension."""

    def test_nothing_stands_against_plain_operands(self) -> None:
        assert CPU().refuses(LSTM, operands()) is None
        assert explain(LSTM, operands())[0] == ("cpu", True, "runs")

    def test_float16(self) -> None:
        assert "float32, float64 and bfloat16" in refused(operands(torch.float16))

    def test_another_device(self) -> None:
        given = operands()
        on_meta = [None if tensor is None else tensor.to("meta") for tensor in given.tensors()]
        assert "on meta" in refused(Operands.gather(on_meta, reverse=False))

    @pytest.mark.parametrize(("time", "batch"), [(0, 3), (2, 0)])
    def test_nothing_stands_against_empty_operands(self, time: int, batch: int) -> None:
        assert CPU().refuses(LSTM, operands(time=time, batch=batch)) is None

    def test_single_steps(self) -> None:
        pre, previous = torch.zeros(3, 16), torch.zeros(1, 3, 4)
        assert explain(LSTM, StepOperands(pre, previous))[0] == ("cpu", True, "runs")
        assert "not in torch.float16" in refused(StepOperands(pre.half(), previous.half()))
        assert "one dtype" in refused(StepOperands(pre, previous.double()))
        assert "on meta" in refused(StepOperands(pre.to("meta"), previous.to("meta")))

    def test_masks_that_want_gradients(self) -> None:
        mask = torch.ones(1, 1, 1, requires_grad=True)
        assert "mask" in refused(replace(operands(), noise=Noise(mask)))

    def test_several_dtypes(self) -> None:
        given = operands()
        assert "one dtype" in refused(replace(given, weights=given.weights._replace(R=torch.zeros(16, 4).double())))

    def test_subclasses(self) -> None:
        class Mine(torch.Tensor):
            pass

        given = operands()
        assert "Mine" in refused(replace(given, gates=given.gates.as_subclass(Mine)))

    def test_fake_tensors(self) -> None:
        with FakeTensorMode():
            given = example(LSTM, 2, 3, carousel.cells.layout.Sizes(1, 4))
            assert CPU().refuses(LSTM, given) is not None

    @pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacrev], ids=lambda f: f.__name__)
    def test_function_transforms(self, transform: Callable[..., Callable[..., object]]) -> None:
        given, reasons = operands(), list[str | None]()

        def run(value: torch.Tensor) -> torch.Tensor:
            reasons.append(CPU().refuses(LSTM, given))
            return value.sum()

        transform(run)(torch.ones(2))
        assert reasons == ["torch.func transforms other than one vmap need plain torch operations"]

    def test_a_vmap_runs_unless_it_is_a_step_or_wants_gradients(self) -> None:
        given, reasons = operands(), list[str | None]()
        step = StepOperands(torch.zeros(3, 16), torch.zeros(1, 3, 4))

        def run(gates: torch.Tensor) -> torch.Tensor:
            reasons.extend(CPU().refuses(LSTM, each) for each in (replace(given, gates=gates), step))
            return gates.sum()

        torch.vmap(run)(torch.stack([given.gates.detach()] * 2).requires_grad_())
        assert "gradients of a vmap" in str(reasons[0])
        assert "of a step" in str(reasons[1])
        with torch.no_grad():
            torch.vmap(run)(torch.stack([given.gates] * 2))
        assert reasons[2] is None
        torch.vmap(torch.vmap(run))(torch.stack([given.gates] * 2).unsqueeze(0))
        assert "other than one vmap" in str(reasons[4])

    @pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
    def test_forward_mode_derivatives(self) -> None:
        given = operands()
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(given.gates, torch.ones_like(given.gates))
            assert "forward-mode" in refused(replace(given, gates=dual))

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
    def test_a_trace_sees_plain_operations(self) -> None:
        given, reasons = operands(), list[str | None]()

        def run(value: torch.Tensor) -> torch.Tensor:
            reasons.append(CPU().refuses(LSTM, given))
            return value + 1

        torch.jit.trace(run, (torch.ones(2),), check_trace=False)
        assert reasons == ["a dispatch mode or a trace wants to see plain torch operations"]
