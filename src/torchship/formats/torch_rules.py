"""What the pickles of torch may name and call: of weights, of a whole module, of a TorchScript archive."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torchship.errors import UnsafeError
from torchship.formats import tensors
from torchship.formats.pickles import Global, Made
from torchship.formats.rules import Rules, may_allow

_PLAIN = (type(None), bool, int, float, str, bytes)


def is_plain(value: Any) -> bool:
    """Whether ``value`` is a number, a text, None, or a short tuple or list of such."""
    if isinstance(value, (tuple, list)):
        return len(value) <= 64 and all(isinstance(item, _PLAIN) for item in value)
    return isinstance(value, _PLAIN)


def _plain_arguments(made: Made) -> bool:
    return all(is_plain(each) for each in made.args) and _untouched(made)


def _untouched(made: Made) -> bool:
    return not made.states and not made.items and not made.pairs


def _empty(made: Made) -> bool:
    return made.bare and not made.args


def _mapping(made: Made) -> bool:
    """``OrderedDict()`` or of pairs; a state_dict hangs ``_metadata`` on it as a state."""
    pairs = made.args[0] if made.args else []
    ordered = all(isinstance(pair, (list, tuple)) and len(pair) == 2 and _is_key(pair[0]) for pair in _items(pairs))
    return len(made.args) <= 1 and ordered and all(isinstance(state, dict) for state in made.states) and not made.items


def _counter(made: Made) -> bool:
    return len(made.args) <= 1 and all(isinstance(each, dict) for each in made.args) and _untouched(made)


def _default_dict(made: Made) -> bool:
    makers = {"builtins.dict", "builtins.list", "builtins.int", "builtins.float", "collections.OrderedDict"}
    known = all(each is None or str(each) in makers for each in made.args)
    return len(made.args) <= 1 and known and not made.states and not made.items


def _collection(made: Made) -> bool:
    """``set([...])``: hashing what is nested takes forever."""
    return (
        len(made.args) <= 1 and all(_is_key(each) for given in made.args for each in _items(given)) and _untouched(made)
    )


def _items(value: Any) -> Any:
    return value if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _is_key(value: Any) -> bool:
    return isinstance(value, (*_PLAIN, Global)) or (isinstance(value, tuple) and is_plain(value))


def _bytes(made: Made) -> bool:
    """``_codecs.encode(text, 'latin1')``: how protocol 2 writes bytes."""
    return len(made.args) == 2 and isinstance(made.args[0], str) and made.args[1] in ("latin1", "latin-1")


def _byte_array(made: Made) -> bool:
    """Of bytes, never of a number: that would be a size."""
    first = made.args[0] if made.args else b""
    encoded = isinstance(first, Made) and str(first.maker) == "_codecs.encode"
    return (len(made.args) <= 1 and (encoded or isinstance(first, bytes))) or _bytes(made)


def _tensor(made: Made) -> bool:
    tensors.tensor_info(made)
    return True


def _parameter(made: Made) -> bool:
    """``_rebuild_parameter(tensor, requires_grad, hooks[, attributes])``."""
    hooks = made.args[2:3] if made.maker.name.startswith("_rebuild") else ()
    return bool(made.args) and tensors.as_tensor(made.args[0]) is not None and _no_hooks(hooks) and _untouched(made)


def _typed(made: Made) -> bool:
    """A tensor with attributes, or a parameter: no class of anybody else's."""
    return (
        len(made.args) == 4
        and str(made.args[0]) in tensors.TENSOR_MAKERS | tensors.PARAMETER_MAKERS
        and str(made.args[1]) in ("torch.Tensor", "torch.nn.parameter.Parameter")
        and isinstance(made.args[2], tuple)
        and _inner(Made(made.args[0], made.args[2]))
    )


def _inner(made: Made) -> bool:
    return _parameter(made) if str(made.maker) in tensors.PARAMETER_MAKERS else _tensor(made)


def _no_hooks(hooks: tuple[Any, ...]) -> bool:
    return all(tensors.is_empty_mapping(each) for each in hooks)


def _sparse(made: Made) -> bool:
    """A layout, and tensors and sizes; torch itself checks that they fit when all is read."""
    return len(made.args) == 2 and isinstance(made.args[1], tuple) and _untouched(made)


def _numpy_type(made: Made) -> bool:
    """``dtype('f8', False, True)`` of plain numbers, with the state that numpy itself writes."""
    name = made.args[0] if made.args else None
    good_state = all(
        isinstance(state, tuple) and state[:1] == (3,) and state[1:2] in (("<",), ("|",)) and state[2:5] == (None,) * 3
        for state in made.states
    )
    return isinstance(name, str) and re.fullmatch(r"[biufc]\d{1,2}|\?", name) is not None and good_state


def _numpy_number(made: Made) -> bool:
    kind = made.args[0] if made.args else None
    value = made.args[1] if len(made.args) == 2 else None
    encoded = isinstance(value, Made) and str(value.maker) == "_codecs.encode"
    return isinstance(kind, Made) and _numpy_type(kind) and (encoded or isinstance(value, bytes)) and _untouched(made)


_NUMPY_NUMBERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_CONTAINERS: dict[str, Callable[[Made], bool]] = {
    "collections.OrderedDict": _mapping, "collections.Counter": _counter, "collections.defaultdict": _default_dict,
    "builtins.set": _collection, "builtins.frozenset": _collection, "builtins.complex": _plain_arguments,
    "builtins.bytearray": _byte_array, "_codecs.encode": _bytes,
}  # fmt: skip
_TENSORS: dict[str, Callable[[Made], bool]] = {
    **dict.fromkeys(tensors.TENSOR_MAKERS, _tensor), **dict.fromkeys(tensors.PARAMETER_MAKERS, _parameter),
    tensors.TYPED_MAKER: _typed, "torch._utils._rebuild_sparse_tensor": _sparse, "torch.Size": _plain_arguments,
    "torch.device": _plain_arguments, "torch.serialization._get_layout": _plain_arguments,
}  # fmt: skip
_TENSOR_VALUES = tensors.STORAGE_NAMES | tensors.DTYPE_NAMES | {
    "torch.Tensor", "torch.per_tensor_affine", "torch.per_tensor_symmetric", "torch.per_channel_affine",
    "torch.per_channel_symmetric", "torch.per_channel_affine_float_qparams",
}  # fmt: skip
_NUMBERS: dict[str, Callable[[Made], bool]] = {
    "numpy.dtype": _numpy_type, **dict.fromkeys(_NUMPY_NUMBERS, _numpy_number),
}  # fmt: skip

_TYPES = frozenset({"typing.Any", *(f"builtins.{name}" for name in ("int", "float", "str", "bool", "dict", "list"))})
_INERT = re.compile(
    r"argparse\.Namespace|pathlib\.(Pure)?(Posix|Windows)?Path|datetime\.(datetime|date|time|timedelta|timezone)"
    r"|numpy\.ndarray|numpy\._?core\.multiarray\._reconstruct"
    r"|(pytorch_)?lightning(_fabric)?\.([\w.]+\.)?AttributeDict|omegaconf\.\w+\.[A-Z]\w*"
)

WEIGHTS = Rules(calls=_CONTAINERS | _TENSORS | _NUMBERS, values=_TENSOR_VALUES | _TYPES, inert=_INERT)
"""A checkpoint: tensors, plain containers, numbers; beside them what training kept of its own settings."""

_ACTIVATIONS = (
    "celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid",
    "mish", "normalize", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign",
    "tanh", "tanhshrink",
)  # fmt: skip
_FUNCTIONS = frozenset(
    f"{module}.{name}" for name in _ACTIVATIONS for module in ("torch.nn.functional", "torch._C._nn", "torch")
)
_LAYERS = re.compile(
    r"torch\.nn\.modules\.[a-z]\w*\.[A-Z]\w*"
    r"|torch\.nn\.parallel\.(data_parallel\.DataParallel|distributed\.DistributedDataParallel)"
    r"|torch\.nn\.utils\.(weight_norm\.WeightNorm|spectral_norm\.SpectralNorm\w*)"
)


def module_rules(allowed: tuple[str, ...]) -> Rules:
    """A pickled module: torch's own layers, and the classes that the user vouches for.

    Raises:
        UnsafeError: the user vouches for what no model is made of.
    """
    for name in allowed:
        if not may_allow(name):
            raise UnsafeError(
                f"--allow {name} is not a class that a model is made of", hint="name a class as package.Class"
            )
    return Rules(WEIGHTS.calls, WEIGHTS.values | _FUNCTIONS, _LAYERS, _INERT, frozenset(allowed))


_BUILDERS = (
    "build_intlist", "build_doublelist", "build_boollist", "build_complexlist", "build_tensorlist",
    "build_tensor_from_id", "restore_type_tag",
)  # fmt: skip
_PACKED = (
    "quantized.LinearPackedParamsBase", "quantized.Conv2dPackedParamsBase", "quantized.Conv3dPackedParamsBase",
    "quantized.EmbeddingPackedParamsBase", "rnn.CellParamsBase", "sparse.LinearPackedParamsBase",
    "xnnpack.LinearOpContext", "xnnpack.Conv2dOpContext", "xnnpack.TransposeConv2dOpContext",
)  # fmt: skip
SCRIPT = Rules(
    calls={
        **WEIGHTS.calls,
        **{f"torch.jit._pickle.{name}": _untouched for name in _BUILDERS},
        **{f"__torch__.torch.classes.{name}": _empty for name in _PACKED},
    },
    values=WEIGHTS.values,
    classes=re.compile(r"__torch__\.(?!torch\.classes\.)[\w.]+"),
)
"""A TorchScript archive: objects of the classes that its own code declares, and tensors."""
