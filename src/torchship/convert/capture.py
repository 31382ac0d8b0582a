"""Captures a Model in the form that a converter starts from."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.fx.experimental._config
from torch import Tensor

from torchship.convert.control import graph_control
from torchship.convert.diagnosis import diagnose, witnessed
from torchship.convert.recurrent import open_lengths
from torchship.convert.scripting import scriptable
from torchship.convert.symbolic import symbolic_numbers
from torchship.errors import CaptureError, SourceError, TorchshipError
from torchship.models.eager import call
from torchship.models.model import Axes, Model
from torchship.models.places import Kind, Place
from torchship.models.samples import example_for, fresh_inputs
from torchship.signature import Dim, Signature
from torchship.targets.builder import Captured, Form

_CHECK = re.compile(r"Runtime assertion failed for expression (.+?) on node")
_PAST_TORCH = "We found a fake tensor in the exported program constant's list"  # .data was written
_LAYOUT = "Max(1, "  # of a size: what was assumed of strides, which decide how a tensor lies, not what it holds


def capture(model: Model, form: Form, signature: Signature) -> Captured:
    """Capture ``model`` in ``form``, with the sizes of ``signature``'s dims left open.

    Raises:
        CaptureError: says which operator, the user's source line, and a way out.
    """
    axes = axes_of(signature)
    examples = example_for(model, axes)
    native = model.description.native.get(form)
    if native is None and (form in model.description.closed or form not in _CAPTURES):
        why = model.description.closed.get(form, f"it has no capture as {form.value}")
        raise CaptureError(f"from this source there is no route by way of {form.value}: {why}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own: what matters raises, or shows on the fresh inputs
            value = native() if native is not None else _CAPTURES[form](model, examples, axes)
    except TorchshipError:
        raise
    except Exception as error:
        told = diagnose(error, f"capturing {_BY[form]}")
        told.where = told.where or _own_forward(model)
        raise told from error
    return Captured(form, value, examples, signature, dynamic_shapes(axes), module=model.flat)


def _own_forward(model: Model) -> str | None:
    """Where the outermost ``forward`` of the user's own begins, else the first layer's: it lies within."""
    layers = [each for each in model.flat.modules() if hasattr(inspect.unwrap(type(each).forward), "__code__")]
    codes = [(inspect.unwrap(type(each).forward).__code__, not list(each.children())) for each in layers]
    places = [(Place(code.co_filename, code.co_firstlineno, "forward"), leaf) for code, leaf in codes]
    own = [place for place, _ in places if place.kind > Kind.LAYER] or [place for place, leaf in places if leaf]
    return str(own[0]) if own else None


def axes_of(signature: Signature) -> tuple[Axes, ...]:
    """The dynamic axes of each input, as the signature declares them."""
    return tuple(
        {axis: signature.dim(size) for axis, size in enumerate(spec.shape) if isinstance(size, str)}
        for spec in signature.inputs
    )


def _exported(model: Model, examples: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> torch.export.ExportedProgram:
    """Non-strict first, which runs the user's Python as it is; then with its numbers kept open; then strict."""
    try:
        with witnessed(), open_lengths():
            return torch.export.export(model.flat, examples, dynamic_shapes=dynamic_shapes(axes), strict=False)
    except Exception as first:
        for other in _others(first):
            try:
                return other(model, examples, axes)
            except Exception:  # noqa: BLE001, S112, PERF203 - the first one names the user's own line
                continue
        raise first from None


def _others(error: Exception) -> tuple[Callable[..., torch.export.ExportedProgram], ...]:
    """What may go where ``error`` was raised."""
    if type(error).__name__ in ("UserError", "GuardOnDataDependentSymNode", "ConstraintViolationError"):
        return _OTHERS  # a number was asked for that the graph keeps open: a size, or one that depends on values
    return (_with_control, _strict) if _PAST_TORCH in str(error) else (_strict,)


def _with_open_numbers(
    model: Model, examples: tuple[Tensor, ...], axes: tuple[Axes, ...]
) -> torch.export.ExportedProgram:
    with symbolic_numbers(model.flat), open_lengths():
        return torch.export.export(model.flat, examples, dynamic_shapes=dynamic_shapes(axes), strict=False)


def _with_checks(model: Model, examples: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> torch.export.ExportedProgram:
    """What torch can't prove of the sizes is checked when the graph runs; none of the declared sizes may fail it.

    Sizes of 1 are taken for sizes like others, where torch would ask whether a size is 1 at each convolution.
    """
    with symbolic_numbers(model.flat), open_lengths(), _sizes_alike():
        program = torch.export.export(
            model.flat, examples, dynamic_shapes=dynamic_shapes(axes), strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )  # fmt: skip
    _without_checks(program, _LAYOUT)
    return _running(program, model, axes)


def _running(
    program: torch.export.ExportedProgram, model: Model, axes: tuple[Axes, ...]
) -> torch.export.ExportedProgram:
    """``program``, where it takes every size that the model takes.

    A check that a valid call fails is left out: torch could not decide it while exporting, and wrote down the answer
    that suited the example.
    """
    module = program.module()
    for fresh in fresh_inputs(model, axes):
        try:
            call(model.flat, fresh.tensors)
        except SourceError:
            continue  # the model itself refuses these sizes
        while True:
            try:
                with torch.no_grad():
                    module(*fresh.tensors)
                break
            except (RuntimeError, AssertionError) as error:
                if not _without_check(program, str(error)):
                    raise
                module = program.module()
    return program


def _without_check(program: torch.export.ExportedProgram, failure: str) -> bool:
    """Leave out the check that ``failure`` tells of; False where it tells of none."""
    found = _CHECK.search(failure)
    return found is not None and _without_checks(program, f"expression {found[1]} on")


def _without_checks(program: torch.export.ExportedProgram, words: str) -> bool:
    """Leave out the checks whose message holds ``words``; False where there are none."""
    checks = [each for each in program.graph.nodes if each.target is torch.ops.aten._assert_scalar.default]
    told = [each for each in checks if words in str(each.args[1])]
    for node in told:
        program.graph.erase_node(node)
    program.graph_module.recompile()
    return bool(told)


def _sizes_alike() -> Any:
    return torch.fx.experimental._config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]


def _with_control(model: Model, examples: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> torch.export.ExportedProgram:
    """Python's ``if`` and loops on values and sizes become the graph's own; ``.data`` is as each call leaves it."""
    call(model.flat, examples)
    with symbolic_numbers(model.flat), open_lengths(), graph_control(model.flat):
        return torch.export.export(model.flat, examples, dynamic_shapes=dynamic_shapes(axes), strict=False)


def _with_control_of_sizes_alike(
    model: Model, examples: tuple[Tensor, ...], axes: tuple[Axes, ...]
) -> torch.export.ExportedProgram:
    with _sizes_alike():
        return _running(_with_control(model, examples, axes), model, axes)


def _strict(model: Model, examples: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> torch.export.ExportedProgram:
    return torch.export.export(model.flat, examples, dynamic_shapes=dynamic_shapes(axes), strict=True)


_OTHERS = (_with_open_numbers, _with_checks, _with_control, _with_control_of_sizes_alike, _strict)


def dynamic_shapes(axes: tuple[Axes, ...]) -> tuple[dict[int, Any], ...]:
    """Torch's own ``dynamic_shapes`` for the flat call, with the dims that follow from others made of these."""
    every = {dim.name: dim for each in axes for dim in each.values()}
    free = {dim.name: dim for dim in every.values() if not dim.root}
    free = {dim.origin.name: dim.origin for dim in every.values()} | free
    dims = {name: torch.export.Dim(name, min=dim.min, max=dim.max) for name, dim in free.items()}
    return tuple({axis: _related(dims[dim.origin.name], dim) for axis, dim in each.items()} for each in axes)


def _related(root: Any, dim: Dim) -> Any:
    """Torch's dim for ``dim``, made of its root's; one that is only itself must not be written as a sum."""
    times = dim.factor * root if dim.factor != 1 else root
    return times + dim.offset if dim.offset else times


def _scripted(model: Model, _examples: tuple[Tensor, ...], _axes: tuple[Axes, ...]) -> torch.jit.ScriptModule:
    with torch.no_grad():
        return torch.jit.script(scriptable(model))


def _traced(model: Model, examples: tuple[Tensor, ...], _axes: tuple[Axes, ...]) -> torch.jit.ScriptModule:
    """What a trace bakes in shows on the fresh inputs: its warnings are answered by that proof."""
    with torch.no_grad():
        return cast(torch.jit.ScriptModule, torch.jit.trace(model.flat, examples, check_trace=False))  # type: ignore[no-untyped-call]


_BY = {
    Form.EXPORTED: "by torch.export", Form.SCRIPTED: "by torch.jit.script", Form.TRACED: "by torch.jit.trace",
}  # fmt: skip
_CAPTURES: dict[Form, Callable[[Model, tuple[Tensor, ...], tuple[Axes, ...]], Any]] = {
    Form.EXPORTED: _exported,
    Form.SCRIPTED: _scripted,
    Form.TRACED: _traced,
}
