"""The pieces of ``reproduce.py``: what every such script says, apart from what the targets' own tools need."""

from __future__ import annotations

from torchship.targets.builder import Form

HEAD = '''\
"""Shows what becomes of {title}

torchship said: {told}

Needs what the tools need, and no torchship. Run it in an empty folder: it writes the artifact there.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import random
import sys
from pathlib import Path

import numpy
import torch

INPUTS = {inputs}
OUTPUTS = {outputs}
AXES = {axes}
DIMS = {{}}
{dims}

torch.manual_seed({seed})
random.seed({seed})
numpy.random.seed({seed} % 2**32)
torch.set_grad_enabled(False)
'''

FILE = """\
sys.path.insert(0, {folder!r})
spec = importlib.util.spec_from_file_location({stem!r}, {file!r})
module = importlib.util.module_from_spec(spec)
sys.modules[{stem!r}] = module
spec.loader.exec_module(module)
{into} = module.{name}
"""

MODULE = """\
sys.path.insert(0, "")
{into} = importlib.import_module({module!r}).{name}
"""

LIVE = """\
found = None  # put your module here, or {"model": ..., "args": (...)} where it takes other than plain tensors
if found is None:
    raise SystemExit("reproduce.py: torchship.ship was given a live module; put it into the line above")
arrays = numpy.load(Path(__file__).with_name("inputs.npz"))
if isinstance(found, torch.nn.Module):
    found = {"model": found, "args": tuple(torch.from_numpy(arrays[str(i)]) for i in range(len(INPUTS)))}
"""

_GIVEN = """\
if not isinstance(found, torch.nn.Module) and callable(found):
    found = found()
arrays = numpy.load(Path(__file__).with_name("inputs.npz"))
found = found if isinstance(found, dict) else {"model": found}
"""
_PUT = 'found |= {"args": (), "kwargs": {name: torch.from_numpy(arrays[str(i)]) for i, name in enumerate(INPUTS)}}\n'
FILLED = _GIVEN + _PUT  # with the inputs that the user gave beside the source
COMPLETED = f"{_GIVEN}if not (found.get('args') or found.get('kwargs')):\n    {_PUT}"

WEIGHTS = """\
if not isinstance(found, torch.nn.Module) and callable(found):
    found = found()
found = found if isinstance(found, dict) else {{"model": found}}
FILE = {file!r}
if FILE.endswith(".safetensors"):
    from safetensors.torch import load_file

    state = load_file(FILE)
else:
    state = torch.load(FILE, map_location="cpu", weights_only=True)
while not all(isinstance(value, torch.Tensor) for value in state.values()):
    state = next(value for value in state.values() if isinstance(value, dict))
wanted = found["model"].state_dict()
found["model"].load_state_dict({{key: state[next(each for each in state if each.endswith(key))] for key in wanted}})
"""

NATIVE = {
    Form.EXPORTED: "exported = torch.export.load({file!r})\nexample = tuple(exported.example_inputs[0])\n",
    Form.ONNX: "onnx = {file!r}\n",
}

FLAT = '''\
if not isinstance(found, torch.nn.Module) and callable(found):
    found = found()
found = found if isinstance(found, dict) else {"model": found}
model = found["model"]
if model.training:
    model.eval()
model.requires_grad_(False)
args = found.get("args") or ()
args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
bound = inspect.signature((found.get("preprocess") or model).forward).bind(*args, **(found.get("kwargs") or {}))


def leaves(value):
    """The tensors in a structure."""
    if isinstance(value, torch.Tensor):
        return [value]
    if dataclasses.is_dataclass(value) and not isinstance(value, dict):
        value = vars(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [leaf for each in inside for leaf in leaves(each)]


def rebuilt(value, tensors):
    """The same structure around other tensors."""
    if isinstance(value, torch.Tensor):
        return next(tensors)
    if dataclasses.is_dataclass(value) and not isinstance(value, dict):
        return dataclasses.replace(value, **rebuilt(vars(value), tensors))
    if isinstance(value, dict):
        return type(value)((key, rebuilt(each, tensors)) for key, each in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(rebuilt(each, tensors) for each in value))
    return type(value)(rebuilt(each, tensors) for each in value) if isinstance(value, (list, tuple)) else value


class Flat(torch.nn.Module):
    """The whole call as the converters see it: flat tensors in, flat tensors out."""

    def __init__(self):
        super().__init__()
        self.preprocess, self.model, self.postprocess = found.get("preprocess"), model, found.get("postprocess")
        self.training = False

    def forward(self, *tensors):
        each = iter(tensors)
        args, kwargs = rebuilt(bound.args, each), rebuilt(bound.kwargs, each)
        if self.preprocess is not None:
            ready = self.preprocess(*args, **kwargs)
            args, kwargs = (() if isinstance(ready, dict) else ready if type(ready) is tuple else (ready,)), {}
            kwargs = ready if isinstance(ready, dict) else {}
        result = self.model(*args, **kwargs)
        return tuple(leaves(result if self.postprocess is None else self.postprocess(result)))


flat = Flat()
example = leaves([bound.args, bound.kwargs])
for place, name in enumerate(INPUTS):
    for axis in AXES.get(name, {}):
        if example[place].shape[axis] == 1:  # torch.export takes a size of 1 for a constant
            example[place] = torch.cat([example[place], example[place]], axis)
example = tuple(tensor.contiguous() for tensor in example)
'''

FORMS = {
    Form.EXPORTED: """\
dynamic = tuple({axis: DIMS[size] for axis, size in AXES.get(name, {}).items()} for name in INPUTS)
exported = torch.export.export(flat, example, dynamic_shapes=(dynamic,), strict=False)
""",
    Form.TRACED: """\
traced = torch.jit.trace(flat, example, check_trace=False)
""",
}

SCRIPTED = '''\
class Spelled(torch.nn.Module):
    """The call with flat tensors, spelled out: TorchScript knows no ``*args``."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Sequential(found["preprocess"], model) if found.get("preprocess") else model
        if found.get("postprocess"):
            self.model = torch.nn.Sequential(self.model, found["postprocess"])
        self.training = False

    {forward}


scripted = torch.jit.script(Spelled())
'''

ARRAYS = """\
stored = numpy.load(Path(__file__).with_name("inputs.npz"))
arrays = [stored[str(place)] for place in range(len(INPUTS))]
"""

COMPARED = """\
tensors = [torch.from_numpy(array).to(like.dtype) for array, like in zip(arrays, example)]
for name, answer, expected in zip(OUTPUTS, answers, flat(*tensors)):
    expected = (expected.float() if expected.dtype is torch.bfloat16 else expected).numpy()
    print(name, "is off by", abs(answer.astype(complex) - expected.astype(complex)).max())
    numpy.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-4)
"""
