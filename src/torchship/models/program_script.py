"""TorchScript of an exported program: its graph as straight code, where open sizes stay what they are.

A trace of the same program would bake them in: its ``sym_size`` gives Python's own numbers.
"""

from __future__ import annotations

import warnings

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.fx.graph import CodeGen


def scripted(program: ExportedProgram) -> torch.jit.ScriptModule:
    """Script the graph; it takes the leaves of the call and gives a tuple of the leaves of the result.

    Raises whatever ``torch.jit.script`` raises: it knows no higher-order operators, nor numbers read from tensors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = program.module(check_guards=False)
        for node in own.graph.nodes:
            _plain(node)
        own.graph.set_codegen(CodeGen())  # no tree around the call
        module = fx.GraphModule(own, own.graph)
        for each in module.modules():
            each.training = False
        return torch.jit.script(module)


def _plain(node: fx.Node) -> None:
    """TorchScript picks the overload itself, and knows a device by its name."""
    if isinstance(node.target, torch._ops.OpOverload):
        node.target = node.target.overloadpacket
    node.kwargs = {key: str(value) if isinstance(value, torch.device) else value for key, value in node.kwargs.items()}
    node.args = tuple(str(value) if isinstance(value, torch.device) else value for value in node.args)
