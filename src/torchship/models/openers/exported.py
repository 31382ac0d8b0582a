"""A torch ExportedProgram (``.pt2``): its own graph is the model, its own constraints say which sizes are open."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from torchship.errors import MalformedError, SourceError, TorchshipError, UsageError
from torchship.formats import exported, recognise
from torchship.models import draw
from torchship.models.call import bind, named_arguments
from torchship.models.model import Description
from torchship.models.program_script import scripted
from torchship.models.source import InputSpec, Source
from torchship.signature import Dim
from torchship.targets.builder import Form

RANK = 50
_NO_SOURCE = "torch.jit.script has no source of a program that takes or gives more than tensors one by one"


def recognises(source: Source) -> bool:
    """Archives that hold a program of torch.export."""
    return source.file is not None and recognise.kind_of(Path(source.file)) == exported.KIND


def describe(source: Source) -> Description:
    """Look into the archive, open it, and read how it is called.

    Raises:
        UnsafeError: torch would evaluate more than sizes, or unpickle more than numbers.
        SourceError: torch can't open it. UsageError: it is told what it knows better.
    """
    path = Path(str(source.file))
    if source.model is not None:
        raise UsageError(f"{path} brings its own graph", hint="leave --model out")
    if source.inputs:
        raise UsageError(f"{path} knows its inputs", hint="leave --input out; --example FILE.npz gives other values")
    recognise.check(path, exported.KIND)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _description(torch.export.load(path))
        except TorchshipError:
            raise
        except Exception as error:
            told = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            raise SourceError(
                f"torch {torch.__version__} can't open {path}: {type(error).__name__}: {told.strip()[:300]}",
                hint="export it anew with this version of torch, and torch.export.save",
            ) from error


def _description(program: ExportedProgram) -> Description:
    args, kwargs = _example(program)
    module = _module(program, len(args), tuple(kwargs))
    shapes, notes = _shapes(program, module, kwargs)
    flat = _is_flat(args, kwargs, program)
    return Description(
        module, args, kwargs, dynamic_shapes=shapes, sized=True, notes=notes,
        native={Form.EXPORTED: lambda: program, Form.SCRIPTED: lambda: scripted(program)} if flat else {},
        closed={} if flat else {Form.SCRIPTED: _NO_SOURCE},
    )  # fmt: skip


def _module(program: ExportedProgram, positional: int, keywords: tuple[str, ...]) -> nn.Module:
    """The program as a module in eval mode. It insists on each argument in the way that it was exported with."""
    module = program.module()
    for each in module.modules():
        each.training = False  # its eval() only raises: what the modes do is in the graph
    if not keywords:
        return module
    signature = inspect.signature(module.forward)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        given = list(signature.bind(*args, **kwargs).arguments.values())
        return self.program(*given[:positional], **dict(zip(keywords, given[positional:], strict=True)))  # type: ignore[operator]

    mine = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    shown = [each.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in signature.parameters.values()]
    forward.__signature__ = signature.replace(parameters=[mine, *shown])  # type: ignore[attr-defined]
    wrapper: nn.Module = type("Program", (nn.Module,), {"forward": forward})()
    wrapper.program, wrapper.training = module, False
    return wrapper


def _example(program: ExportedProgram) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The example that was saved with it, or one that is drawn to its sizes."""
    if program.example_inputs:
        args, kwargs = program.example_inputs
        return tuple(args), dict(kwargs)
    generator = torch.Generator().manual_seed(0)
    drawn = [_drawn(value, generator) for value in _inputs(program)]
    args, kwargs = pytree.tree_unflatten(drawn, _spec(program))
    return tuple(args), dict(kwargs)


def _spec(program: ExportedProgram) -> pytree.TreeSpec:
    spec: pytree.TreeSpec | None = program.call_spec.in_spec
    if spec is None:
        raise MalformedError("the program doesn't say how it is called")
    return spec


def _inputs(program: ExportedProgram) -> list[Any]:
    """What each leaf of the call is: a fake tensor of its sizes, or a constant."""
    placeholders = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    return [
        placeholders[spec.arg.name] if spec.arg.name in placeholders else getattr(spec.arg, "value", None)
        for spec in program.graph_signature.input_specs
        if spec.kind is torch.export.graph_signature.InputKind.USER_INPUT
    ]


def _drawn(value: Any, generator: torch.Generator) -> Any:
    if not isinstance(value, Tensor):
        return value
    dtype = str(value.dtype).removeprefix("torch.")
    sizes = tuple(size if isinstance(size, int) else max(2, size.node.hint or 2) for size in value.shape)
    return draw.example(InputSpec("input", dtype, sizes), {}, generator)


def _shapes(
    program: ExportedProgram, module: nn.Module, kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``dynamic_shapes`` by argument, from the symbols in the inputs' sizes; what depends on another size is told."""
    inputs = _inputs(program)
    sizes = [_symbolic(size) for value in inputs if isinstance(value, Tensor) for size in value.shape]
    related = [each for each in sizes if each is not None and not each.is_Symbol]
    bound_up = {symbol for each in related for symbol in each.free_symbols}
    names = {
        symbol: name
        for symbol, name in _names(program, inputs).items()
        if symbol.is_Symbol and symbol in program.range_constraints and symbol not in bound_up
    }
    axes = [_axes(value, program, names) for value in inputs]
    given, named = pytree.tree_unflatten(axes, _spec(program))
    bound = bind(module, tuple(given), {name: named[name] for name in kwargs})
    told = ", ".join(dict.fromkeys(map(str, related)))
    return named_arguments(bound), (f"sizes that depend on each other are kept: {told}",) if related else ()


def _symbolic(size: Any) -> Any:
    """The expression of a size that is open; None for a number."""
    return size.node.expr if isinstance(size, torch.SymInt) else None


def _axes(value: Any, program: ExportedProgram, names: Mapping[Any, str]) -> dict[int, Dim] | None:
    if not isinstance(value, Tensor):
        return None
    symbols = enumerate(map(_symbolic, value.shape))
    return {axis: _dim(program, symbol, names[symbol]) for axis, symbol in symbols if symbol in names}


def _dim(program: ExportedProgram, symbol: Any, name: str) -> Dim:
    bounds = program.range_constraints[symbol]
    return Dim(name, max(1, int(bounds.lower)), int(bounds.upper) if bounds.upper.is_Integer else None)


def _names(program: ExportedProgram, inputs: list[Any]) -> dict[Any, str]:
    """Names for the symbols (``s77``): the first axis of every input is the batch, by whatever name."""
    names = {symbol: str(symbol) for symbol in program.range_constraints}
    firsts = {_symbolic(value.shape[0]) for value in inputs if isinstance(value, Tensor) and value.dim()}
    if len(firsts) == 1 and None not in firsts:
        names[firsts.pop()] = "batch"
    return names


def _is_flat(args: tuple[Any, ...], kwargs: Mapping[str, Any], program: ExportedProgram) -> bool:
    """Whether the call is tensors only, and the result one or a tuple of them: then it needs no capture."""
    out = program.call_spec.out_spec
    plain = out is not None and (
        out.is_leaf() or (out.type in (tuple, list) and all(child.is_leaf() for child in out.children()))
    )
    return plain and not kwargs and all(isinstance(arg, Tensor) for arg in args)
