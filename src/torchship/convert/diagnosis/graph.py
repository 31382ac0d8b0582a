"""The captured graph as a map: from an operator or a node, as a converter in C++ names it, to the user's line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from torchship.convert.diagnosis.operator import operator_name
from torchship.models.places import Place, deepest, quoted

_SUFFIX = ".lines.json"
_OPERATORS = re.compile(
    r"(?:[Nn]o conversion rule found for operations: |Conversion is failed for: |Exporting the operator ')([^\n']+)"
)
_NODES = (
    re.compile(r"\bnode[ :]*(?:with name |\()'?(?:node_)?([\w.]+)'?\)?"),  # onnxruntime: while it loads
    re.compile(r"\bName:'(?:node_)?([\w.]+)'"),  # onnxruntime: while it runs
    re.compile(r"with (?:friendly_)?name '(\w+)/"),  # openvino
    re.compile(r"operation (\w+)/aten"),  # openvino, converting
)
_KINDS = re.compile(r"implementation for (\w+)\(\d+\)|of operator \((\w+)\)")  # onnxruntime: an ONNX operator
_OF_KINDS = {
    "Conv": ("conv1d", "conv2d", "conv3d", "convolution", "_convolution"),
    "ConvTranspose": ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution", "_convolution"),
    "Gemm": ("linear", "addmm", "mm"),
    "MatMul": ("linear", "matmul", "bmm", "mm", "addmm"),
}  # and any whose name is the same but for case and underscores


class Node(msgspec.Struct, frozen=True):
    """One call of an operator, and the lines of Python that led to it, outermost first."""

    name: str
    op: str
    lines: tuple[tuple[str, int, str], ...]

    @property
    def places(self) -> list[Place]:
        """Where it was called."""
        return [Place(*line) for line in self.lines]


@dataclass(frozen=True)
class Named:
    """What a message names."""

    places: list[Place]
    op: str | None = None


class Graph(msgspec.Struct, frozen=True):
    """The calls of a captured program, in order; ``outputs`` are those that give its outputs, where that is known."""

    nodes: tuple[Node, ...] = ()
    outputs: tuple[Node | None, ...] = ()

    @staticmethod
    def of(program: Any) -> Graph:
        """Read a ``torch.export.ExportedProgram`` or a ``torch.jit.ScriptModule``; of anything else there is no map."""
        if hasattr(program, "graph_signature"):
            calls = {each.name: _exported(each) for each in program.graph.nodes if each.op == "call_function"}
            given = (calls.get(str(name)) for name in program.graph_signature.user_outputs)
            return Graph(tuple(calls.values()), tuple(given))
        if hasattr(program, "inlined_graph"):
            graph = program.inlined_graph  # made anew each time, and its nodes go with it
            return Graph(tuple(map(_scripted, _nested(graph))), tuple(map(_scripted, _giving(graph))))
        return Graph()

    def with_decomposed(self, program: Any) -> Graph:
        """Add the operators that a converter meets, which takes a program apart first. For a failure: it takes time."""
        if not hasattr(program, "run_decompositions"):
            return self
        try:
            return Graph((*self.nodes, *Graph.of(program.run_decompositions()).nodes), self.outputs)
        except Exception:  # noqa: BLE001 - what can't be taken apart is told without
            return self

    def find(self, message: str) -> Named:
        """The first of the named nodes, or the first call of the first named operator."""
        for name in (found[1] for each in _NODES for found in each.finditer(message)):
            for node in self.nodes:
                if node.name == name:
                    return Named(node.places, node.op)
        for told in _OPERATORS.findall(message):
            for op in (operator_name(each.strip()) for each in told.split(",")):
                if places := self.calls(op):
                    return Named(places, op)
        for kind in (first or second for first, second in _KINDS.findall(message)):
            names = _OF_KINDS.get(kind, ())
            for node in self.nodes:
                name = node.op.split(".")[1] if "." in node.op else node.op
                if name in names or name.replace("_", "") == kind.lower():
                    return Named(node.places, node.op)
        return Named([])

    def overload(self, name: str) -> Named:
        """The first call of any operator by its overload ``name``."""
        node = next((each for each in self.nodes if each.op.rpartition(".")[2] == name), None)
        return Named(node.places, node.op) if node is not None else Named([])

    def calls(self, op: str) -> list[Place]:
        """Where ``op`` is first called; a call that bears no line of a model's is told by the one nearest to it."""
        at = next((i for i, node in enumerate(self.nodes) if _same(node.op, op)), None)
        if at is None:
            return []
        nearest = sorted(range(len(self.nodes)), key=lambda i: (abs(i - at), i))
        return next((self.nodes[i].places for i in nearest if deepest(self.nodes[i].places)), [])

    def output(self, place: int) -> Named:
        """The operator that gives an output, and where it was called; nothing where that isn't known."""
        node = self.outputs[place] if place < len(self.outputs) else None
        return Named(node.places, node.op) if node is not None else Named([])

    def write(self, folder: Path) -> None:
        """Keep it beside the artifact's folder, for whoever runs the artifact: it is no part of it."""
        if self.nodes:
            _beside(folder).write_bytes(msgspec.json.encode(self))

    @staticmethod
    def beside(folder: Path) -> Graph:
        """Read it back; empty where none was kept."""
        path = _beside(folder)
        return msgspec.json.decode(path.read_bytes(), type=Graph) if path.is_file() else Graph()


def _beside(folder: Path) -> Path:
    return folder.with_name(folder.name + _SUFFIX)


def _same(one: str, other: str) -> bool:
    """Overloads aside, where one of the two names none."""
    return one == other or one.rpartition(".")[0] == other or other.rpartition(".")[0] == one


def _exported(node: Any) -> Node:
    return Node(node.name, operator_name(node.target), _lines(node.meta.get("stack_trace") or ""))


def _scripted(node: Any) -> Node:
    return Node("", operator_name(node.kind()), _lines(node.sourceRange()))


def _lines(text: str) -> tuple[tuple[str, int, str], ...]:
    return tuple((place.file, place.line, place.function) for place in quoted(text))


def _giving(graph: Any) -> list[Any]:
    """The nodes of the values that a TorchScript graph gives, one by one."""
    nodes = [each.node() for each in graph.outputs()]
    if len(nodes) == 1 and nodes[0].kind() in ("prim::TupleConstruct", "prim::ListConstruct"):
        return [each.node() for each in nodes[0].inputs()]
    return nodes


def _nested(block: Any) -> Iterator[Any]:
    """The nodes of a TorchScript graph, with those of its branches and loops."""
    for node in block.nodes():
        if not node.kind().startswith("prim::Constant"):
            yield node
        for inner in node.blocks():
            yield from _nested(inner)
