"""What torch's pickles call to make tensors, read as descriptions: element type, shape, and the storage they lie in.

The functions are those of ``torch/_utils.py``; a storage is named as ``torch.serialization`` writes it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from torchship.errors import MalformedError, UnsafeError
from torchship.formats.pickles import Global, Made, Stored

_STORAGES = {
    "DoubleStorage": ("float64", 8), "FloatStorage": ("float32", 4), "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2), "LongStorage": ("int64", 8), "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2), "CharStorage": ("int8", 1), "ByteStorage": ("uint8", 1), "BoolStorage": ("bool", 1),
    "ComplexDoubleStorage": ("complex128", 16), "ComplexFloatStorage": ("complex64", 8), "QInt8Storage": ("qint8", 1),
    "QUInt8Storage": ("quint8", 1), "QInt32Storage": ("qint32", 4), "UntypedStorage": ("uint8", 1),
}  # fmt: skip
STORAGE_NAMES = frozenset(f"{module}.{name}" for name in _STORAGES for module in ("torch", "torch.storage"))
_SIZES = dict(_STORAGES.values()) | {
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "uint16": 2, "uint32": 4, "uint64": 8,
}  # fmt: skip
DTYPE_NAMES = frozenset(f"torch.{name}" for name in _SIZES)
TENSOR_MAKERS = frozenset(
    f"torch._utils.{name}"
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")
)
PARAMETER_MAKERS = frozenset(
    {
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch.nn.parameter.Parameter",
        "torch.nn.parameter.Buffer",
    }
)
TYPED_MAKER = "torch._tensor._rebuild_from_type_v2"  # of a maker, a class, the maker's arguments, and attributes


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of numbers outside the pickle: the key that it is found by, and how many bytes it takes."""

    key: str
    dtype: str
    size: int


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """A tensor, as its pickle describes it."""

    dtype: str
    shape: tuple[int, ...]
    storage: Storage

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def storage_of(stored: Stored) -> Storage:
    """Read ``('storage', class, key, location, number of elements[, view])``; raises UnsafeError and MalformedError."""
    found = stored.key
    if not isinstance(found, tuple) or len(found) not in (5, 6) or found[0] != "storage":
        raise UnsafeError("it refers to something outside that is no storage of numbers")
    _, kind, key, location, count = found[:5]
    if not isinstance(kind, Global) or kind.module not in ("torch", "torch.storage") or kind.name not in _STORAGES:
        raise UnsafeError(f"it has a storage of {kind}, which is no type of numbers")
    if not isinstance(key, str) or not isinstance(location, str) or not _is_size(count):
        raise MalformedError("it has a storage without a key, a place or a size")
    dtype, itemsize = _STORAGES[kind.name]
    return Storage(key, dtype, count * itemsize)


def tensor_info(made: Made) -> TensorInfo:
    """Read the call that makes a tensor.

    Raises:
        MalformedError: it isn't called as torch calls it, or the tensor reaches beyond its storage.
    """
    name = made.maker.name
    if len(made.args) < 4 or not isinstance(made.args[0], Stored):
        raise MalformedError(f"it calls {made.maker} with other arguments than torch does")
    storage = storage_of(made.args[0])
    offset, shape, strides = made.args[1:4]
    dtype = _dtype_argument(made) if name == "_rebuild_tensor_v3" else storage.dtype
    shape, strides = _sizes(shape), _sizes(strides)
    if not _is_size(offset) or len(shape) != len(strides):
        raise MalformedError("it has a tensor whose sizes and strides don't fit each other")
    if math.prod(shape):
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if (last + 1) * _SIZES[dtype] > storage.size:
            raise MalformedError(f"it has a tensor of shape {list(shape)} that reaches beyond its storage")
    _check_rest(made)
    return TensorInfo(dtype, shape, storage)


def _dtype_argument(made: Made) -> str:
    dtype = made.args[6] if len(made.args) > 6 else None
    if not isinstance(dtype, Global) or str(dtype) not in DTYPE_NAMES:
        raise MalformedError("it has a tensor of an unknown element type")
    return dtype.name


def _check_rest(made: Made) -> None:
    """After the strides: whether it wants a gradient, and hooks, of which a saved tensor has none."""
    hooks = made.args[6 if made.maker.name == "_rebuild_qtensor" else 5 :][:1]
    if any(not is_empty_mapping(each) for each in hooks) or made.states or made.items or made.pairs:
        raise UnsafeError("it hangs hooks or a state on a tensor")


def is_empty_mapping(value: Any) -> bool:
    """Whether ``value`` is a dict or OrderedDict that holds nothing, or None."""
    if isinstance(value, Made):
        called = str(value.maker) == "collections.OrderedDict"
        return called and not any(value.args) and not value.pairs and not value.states
    return value is None or value == {}


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, Made) and str(value.maker) == "torch.Size" and len(value.args) == 1:
        value = value.args[0]
    if not isinstance(value, (tuple, list)) or not all(_is_size(size) for size in value):
        raise MalformedError("it has a tensor whose shape isn't whole numbers")
    return tuple(value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def as_tensor(value: Any) -> TensorInfo | None:
    """The tensor that ``value`` describes, a parameter's too; None where it describes something else."""
    if not isinstance(value, Made):
        return None
    if str(value.maker) in PARAMETER_MAKERS and value.args:
        return as_tensor(value.args[0])
    if str(value.maker) == TYPED_MAKER and len(value.args) == 4 and isinstance(value.args[0], Global):
        return as_tensor(Made(value.args[0], value.args[2]))
    return tensor_info(value) if str(value.maker) in TENSOR_MAKERS else None


def as_mapping(value: Any) -> Mapping[Any, Any] | None:
    """The items of a dict or an OrderedDict; None where ``value`` describes something else."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Made) and str(value.maker) == "collections.OrderedDict":
        first = value.args[0] if value.args else ()
        given = [tuple(pair) for pair in first if isinstance(pair, (list, tuple)) and len(pair) == 2]
        return dict([*given, *value.pairs])
    return None


def named_tensors(value: Any) -> dict[str, TensorInfo]:
    """Give every tensor in nested mappings by its path; a mapping that is there twice is read once."""
    found: dict[str, TensorInfo] = {}
    seen: set[int] = set()
    waiting = [("", value)]
    while waiting:
        at, one = waiting.pop()
        tensor = as_tensor(one)
        if tensor is not None:
            found[at] = tensor
        elif (items := as_mapping(one)) is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += [(f"{at}.{key}" if at else str(key), item) for key, item in reversed(list(items.items()))]
    return found
