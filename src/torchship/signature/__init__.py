"""What a model takes and gives: names, dtypes, sizes, and the structure around the tensors. No torch here."""

from torchship.signature.dtypes import BFLOAT16, numpy_dtype
from torchship.signature.spec import Dim, Parameter, Signature, TensorSpec
from torchship.signature.tree import Constant, Leaf, Mapping, Record, Sequence, Tree, flatten, unflatten

__all__ = [
    "BFLOAT16",
    "Constant",
    "Dim",
    "Leaf",
    "Mapping",
    "Parameter",
    "Record",
    "Sequence",
    "Signature",
    "TensorSpec",
    "Tree",
    "flatten",
    "numpy_dtype",
    "unflatten",
]
