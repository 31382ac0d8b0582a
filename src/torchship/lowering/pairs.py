"""Takes the complex numbers out of a program: each complex tensor becomes two real ones.

The program is run once more under ``torch.export``, node by node, with a ``Pair`` wherever it has a complex tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from torchship.lowering.fourier import Pair
from torchship.lowering.pair_rules import BORN, RULES
from torchship.lowering.program import lowered
from torchship.lowering.refusal import UnloweredError
from torchship.lowering.windows import WINDOWS

_NO_RULE = "{op} of complex numbers isn't known here in real arithmetic"
_WAY = "keep real and imaginary parts as two real tensors, and write the step out"


def without_complex(program: ExportedProgram) -> ExportedProgram:
    """Give a program that computes with real tensors alone; the same one where it does already.

    Raises:
        UnloweredError: an operator that is not known for pairs, or an input or output that is complex.
    """
    if not _complex_nodes(program):
        return program
    program = lowered(program, WINDOWS)
    touched = {node.target for node in _complex_nodes(program)}
    known = {*RULES, *BORN}
    apart = torch.export.default_decompositions()
    program = lowered(program, {operator: apart[operator] for operator in touched - known if operator in apart})
    args, kwargs = program.example_inputs or ((), {})
    open_axes = _open_axes(program)
    return torch.export.export(_Real(program), (*args, *kwargs.values()), dynamic_shapes=(open_axes,), strict=False)


def _complex_nodes(program: ExportedProgram) -> list[torch.fx.Node]:
    """The nodes that take or give a complex tensor."""
    graph = program.graph_module.graph
    return [node for node in graph.nodes if any(map(_is_complex, (node, *node.all_input_nodes)))]


def _is_complex(node: torch.fx.Node) -> bool:
    values = pytree.tree_leaves(node.meta.get("val"))
    return any(isinstance(each, Tensor) and each.is_complex() for each in values)


def _open_axes(program: ExportedProgram) -> tuple[dict[int, Any] | None, ...]:
    """Which axes of each input are open: the first capture has shown that they can be."""
    given = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.find_nodes(op="placeholder") if node.name in given]
    return tuple(
        {axis: torch.export.Dim.AUTO for axis, size in enumerate(value.shape) if not isinstance(size, int)}
        if isinstance(value, Tensor)
        else None
        for value in values
    )


class _Real(nn.Module):
    """A program's module, run with pairs; complex weights are kept as two buffers."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.module = program.module(check_guards=False)
        parts: dict[str, Tensor] = {}
        for name, tensor in [*self.module.named_parameters(), *self.module.named_buffers()]:
            if tensor.is_complex():
                parts[name] = tensor.detach()
        self._parts = {name: Pair(f"re_{place}", f"im_{place}") for place, name in enumerate(parts)}  # type: ignore[arg-type]
        for name, tensor in parts.items():
            for part, value in zip(self._parts[name], (tensor.real, tensor.imag), strict=True):
                self.register_buffer(str(part), value.clone())
            owner, _, last = name.rpartition(".")
            delattr(self.module.get_submodule(owner), last)

    def forward(self, *inputs: Any) -> Any:
        held = {name: Pair(*(getattr(self, str(part)) for part in parts)) for name, parts in self._parts.items()}
        return _Runner(self.module, held).run(*inputs)


class _Runner(torch.fx.Interpreter):
    def __init__(self, module: Any, held: Mapping[str, Pair]) -> None:
        super().__init__(module)
        self._held = held

    def run(self, *args: Any, **kwargs: Any) -> Any:
        graph: torch.fx.Graph = self.module.graph  # type: ignore[assignment]
        answer = super().run(*graph.process_inputs(*args), **kwargs, enable_io_processing=False)
        if any(isinstance(each, Pair) for each in _leaves(answer)):
            raise UnloweredError("an output is complex", "give torch.view_as_real(x)")
        return graph.process_outputs(answer)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target in self._held:
            return self._held[target]
        value = super().get_attr(target, args, kwargs)
        return Pair(value.real, value.imag) if isinstance(value, Tensor) and value.is_complex() else value

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if any(isinstance(each, Pair) for each in _leaves((args, kwargs))):
            if target not in RULES:
                raise UnloweredError(_NO_RULE.format(op=str(target).removesuffix(".default")), _WAY)
            return RULES[target](*args, **kwargs)
        if target in BORN:
            return BORN[target](*args, **kwargs)
        return super().call_function(target, args, kwargs)


def _leaves(value: Any) -> list[Any]:
    leaves: list[Any] = pytree.tree_leaves(value, is_leaf=lambda each: isinstance(each, Pair))
    return leaves
