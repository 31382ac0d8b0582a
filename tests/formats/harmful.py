"""Files that would do harm if they were opened as torch opens them: each touches a marker, and says so by being there.

Every maker takes the folder to write into and the marker, and gives the file.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

Maker = Callable[[Path, Path], Path]


class Trap:
    """Touches the marker where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).relu()


def saved(value: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **how)
    return stream.getvalue()


@functools.cache
def _program() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return _exported(Path(folder) / "program.pt2").read_bytes()


def program(folder: Path) -> Path:
    path = folder / "program.pt2"
    path.write_bytes(_program())
    return path


def _exported(path: Path) -> Path:
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(Net().eval(), (torch.randn(2, 4),), dynamic_shapes=({0: batch},)), path)
    return path


def script(folder: Path) -> Path:
    path = folder / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net().eval()), str(path))
    return path


def edited(source: Path, target: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """Copy an archive with its members changed (None: left out), and more of them added below its folder."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            raw = change(name.partition("/")[2], old.read(name))
            if raw is not None:
                new.writestr(name, raw)
        root = old.namelist()[0].partition("/")[0]
        for name, raw in more.items():
            new.writestr(f"{root}/{name.replace('__', '/')}", raw)
    return target


def in_program(change: Callable[[dict[str, Any], str], None]) -> Maker:
    """A program whose JSON ``change`` edits; it is given code that touches the marker."""

    def make(folder: Path, marker: Path) -> Path:
        def edit(name: str, raw: bytes) -> bytes:
            if name != "models/model.json":
                return raw
            document = json.loads(raw)
            change(document, f"__import__('os').system('touch {marker}')")
            return json.dumps(document).encode()

        return edited(program(folder), folder / "harmful.pt2", edit)

    return make


def _expression(document: dict[str, Any], code: str) -> None:
    for value in document["graph_module"]["graph"]["tensor_values"].values():
        for size in value["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = code


def _range(document: dict[str, Any], code: str) -> None:
    document["range_constraints"] = {code: {"min_val": 1, "max_val": 64}}


def _guard(document: dict[str, Any], code: str) -> None:
    document["guards_code"] = [code]


def _quoting_guard(document: dict[str, Any], code: str) -> None:
    document["guards_code"] = [f"L['x\" + str({code}) + \"'].size()[0] == 2"]


def _target(document: dict[str, Any], code: str) -> None:
    node = document["graph_module"]["graph"]["nodes"][0]
    node["target"], node["inputs"] = "torch.os.system", [{"name": "", "arg": {"as_string": code}, "kind": 1}]


def _reading_target(document: dict[str, Any], code: str) -> None:
    document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def _name(document: dict[str, Any], code: str) -> None:
    document["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = f"x={code}"


def _argument_name(document: dict[str, Any], code: str) -> None:
    for entry in document["graph_module"]["module_call_graph"]:
        if entry["signature"]:
            entry["signature"]["forward_arg_names"] = [f"x={code}"]


def _tree(context: Any, kind: str = "builtins.tuple") -> Callable[[dict[str, Any], str], None]:
    def change(document: dict[str, Any], code: str) -> None:
        for entry in document["graph_module"]["module_call_graph"]:
            if entry["signature"]:
                spec = json.loads(entry["signature"]["in_spec"])
                spec[1]["type"], spec[1]["context"] = kind, context
                entry["signature"]["in_spec"] = json.dumps(spec)

    return change


def _custom_object(document: dict[str, Any], code: str) -> None:
    document["graph_module"]["graph"]["custom_obj_values"] = {"o": {"name": "o", "class_fqn": "x.Y"}}


def _constant_text(document: dict[str, Any], code: str) -> None:
    document["graph_module"]["graph"]["inputs"].append({"as_string": f"' + {code} + '"})


PROGRAMS: dict[str, Maker] = {
    "a size that is code": in_program(_expression),
    "a range that is code": in_program(_range),
    "a guard that is code": in_program(_guard),
    "a guard that ends its quotes": in_program(_quoting_guard),
    "an operator that is a function of os": in_program(_target),
    "an operator that reads files": in_program(_reading_target),
    "a value's name that is code": in_program(_name),
    "an argument's name that is code": in_program(_argument_name),
    "an enumeration to import": in_program(_tree(json.dumps({"__enum__": True, "fqn": "evil:X", "name": "a"}))),
    "a default factory to import": in_program(
        _tree({"default_factory_module": "evil", "default_factory_name": "X", "dict_context": "[]"},
              "collections.defaultdict")
    ),
    "a key that ends its quotes": in_program(_tree(json.dumps(['" + exec("1") + "']), "builtins.dict")),
    "somebody else's object": in_program(_custom_object),
    "a constant text that ends its quotes": in_program(_constant_text),
}  # fmt: skip


def _pickled_inputs(folder: Path, marker: Path) -> Path:
    def edit(name: str, raw: bytes) -> bytes:
        return saved(((Trap(marker),), {})) if name.startswith("data/sample_inputs/") else raw

    return edited(program(folder), folder / "harmful.pt2", edit)


def _pickled_weight(folder: Path, marker: Path) -> Path:
    def edit(name: str, raw: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            return raw.replace(b'"use_pickle": false', b'"use_pickle": true')
        return saved(Trap(marker)) if name.startswith("data/weights/weight_") else raw

    return edited(program(folder), folder / "harmful.pt2", edit)


def _opaque_constant(folder: Path, marker: Path) -> Path:
    config = {"config": {"c": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}}}

    def edit(name: str, raw: bytes) -> bytes:
        return json.dumps(config).encode() if name.endswith("constants_config.json") else raw

    more = {"data__constants__opaque_obj_0": pickle.dumps(Trap(marker))}
    return edited(program(folder), folder / "harmful.pt2", edit, **more)


def _legacy_weights(folder: Path, marker: Path) -> Path:
    more = {"data__weights__model.pt": saved(Trap(marker))}
    return edited(program(folder), folder / "harmful.pt2", lambda _, raw: raw, **more)


def _compiled(folder: Path, marker: Path) -> Path:
    more = {"data__aotinductor__model__x.so": b"\x7fELF"}
    return edited(program(folder), folder / "harmful.pt2", lambda _, raw: raw, **more)


def _twice(folder: Path, marker: Path) -> Path:
    def edit(name: str, raw: bytes) -> bytes:
        return (
            raw.replace(b'"guards_code": []', b'"guards_code": [], "guards_code": ["1"]') if "models" in name else raw
        )

    return edited(program(folder), folder / "harmful.pt2", edit)


PROGRAMS |= {
    "sample inputs that run code": _pickled_inputs,
    "a weight that runs code": _pickled_weight,
    "a constant that runs code": _opaque_constant,
    "weights of the older form that run code": _legacy_weights,
    "compiled code": _compiled,
    "a key that stands twice": _twice,
}


def in_script(line: str, before: str = "    layer = self.layer") -> Maker:
    """An archive with one more line in ``forward``."""

    def make(folder: Path, marker: Path) -> Path:
        def edit(name: str, raw: bytes) -> bytes:
            added = line.format(marker=marker)
            return raw.replace(before.encode(), f"    {added}\n{before}".encode(), 1) if name.endswith(".py") else raw

        return edited(script(folder), folder / "harmful.pt", edit)

    return make


def _script_pickle(member: str) -> Maker:
    def make(folder: Path, marker: Path) -> Path:
        def edit(name: str, raw: bytes) -> bytes:
            return pickle.dumps(Trap(marker), 2) if name == member else raw

        return edited(script(folder), folder / "harmful.pt", edit)

    return make


def _state_setter(folder: Path, marker: Path) -> Path:
    """``__setstate__`` runs while the archive is opened."""
    opens = f'    _0 = torch.from_file("{marker}", True, 8)\n'
    method = f"  def __setstate__(self, state: int) -> None:\n{opens}    return None\n"

    def edit(name: str, raw: bytes) -> bytes:
        return raw + method.encode() if name.endswith(".py") else raw

    return edited(script(folder), folder / "harmful.pt", edit)


SCRIPTS: dict[str, Maker] = {
    "from_file": in_script('_f = torch.from_file("{marker}", True, 8)'),
    "from_file by its full name": in_script('_f = ops.aten.from_file("{marker}", True, 8)'),
    "save": in_script('ops.aten.save(x, "{marker}")'),
    "torch under another name": in_script("_t = torch"),
    "operators under another name": in_script("_t = ops.aten"),
    "operators of a library": in_script("_t = ops.evil.run(x)"),
    "a call to another machine": in_script('_t = rpc_async("a", x)'),
    "a compiled class": in_script("_t = __torch__.torch.classes.evil.Shell()"),
    "a text without an end": in_script('_t = "abc'),
    "a state setter that opens files": _state_setter,
    "data.pkl": _script_pickle("data.pkl"),
    "constants.pkl": _script_pickle("constants.pkl"),
}


def _second_pickle(folder: Path, marker: Path) -> Path:
    path = folder / "sound.pth"
    torch.save(Net().state_dict(), path)
    return edited(path, folder / "harmful.pth", lambda _, raw: raw, **{"evil.pkl": pickle.dumps(Trap(marker))})


def _behind(folder: Path, marker: Path) -> Path:
    path = folder / "sound.pth"
    torch.save(Net().state_dict(), path)
    trap = pickle.dumps(Trap(marker))
    return edited(path, folder / "harmful.pth", lambda name, raw: raw + trap if name == "data.pkl" else raw)


def _written(make: Callable[[Path], bytes], name: str = "harmful.bin") -> Maker:
    def write(folder: Path, marker: Path) -> Path:
        (folder / name).write_bytes(make(marker))
        return folder / name

    return write


def _deep() -> bytes:
    return b"\x80\x02)" + b"\x85" * 200_000 + b"."


def _zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/version", "3\n")
    return stream.getvalue()


WEIGHTS: dict[str, Maker] = {
    "a trap among the weights": _written(lambda marker: saved({"w": torch.ones(2), "trap": Trap(marker)})),
    "the older form": _written(
        lambda marker: saved({"w": torch.ones(2), "trap": Trap(marker)}, _use_new_zipfile_serialization=False)
    ),
    "a trap that calls itself digits": _written(
        lambda marker: saved({"format": "torchship.digits", "version": 1, "trap": Trap(marker)})
    ),
    "protocol 4": _written(lambda marker: saved({"trap": Trap(marker)}, pickle_protocol=4)),
    "a plain pickle": _written(lambda marker: pickle.dumps(Trap(marker))),
    "a plain pickle of protocol 0": _written(lambda marker: pickle.dumps([Trap(marker)], 0)),
    "a second pickle in the archive": _second_pickle,
    "a pickle behind the pickle": _behind,
    "200,000 nested tuples": _written(lambda _: _zipped(_deep())),
    "a tuple of tuples as a key": _written(lambda _: _zipped(b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s.")),
    "a set of tuples of tuples": _written(
        lambda _: _zipped(b"\x80\x02c__builtin__\nset\n])" + b"q\x00h\x00\x86" * 60 + b"a\x85R.")
    ),
    "a bytearray of a terabyte": _written(
        lambda _: _zipped(b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.")
    ),
    "a tensor as big as a number says": _written(
        lambda _: _zipped(b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86R.")
    ),
}
