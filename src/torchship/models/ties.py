"""Equal scores: which of them an arg-max, a top-k or a sort takes first is nobody's business.

No runtime promises the order that torch has. So the model is run again with every such tie decided otherwise, and
what comes out otherwise then is not held against an artifact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from torchship.errors import SourceError
from torchship.models import eager
from torchship.models.flat import FlatModule

Array = npt.NDArray[Any]

_TRIES = 3
_aten = torch.ops.aten
_INDEX_ALONE = {_aten.argmax.default, _aten.argmin.default, _aten.argsort.default}
_AXES = {  # of each operator: the place of the axis among its arguments, and the axis where it isn't given
    _aten.argmax.default: (1, None), _aten.argmin.default: (1, None), _aten.argsort.default: (1, -1),
    _aten.sort.default: (1, -1), _aten.sort.stable: (2, -1), _aten.topk.default: (2, -1),
    _aten.max.dim: (1, None), _aten.min.dim: (1, None), _aten.kthvalue.default: (2, -1),
    _aten.median.dim: (1, None), _aten.mode.default: (1, -1), _aten.nanmedian.dim: (1, None),
}  # fmt: skip


class Otherwise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operators that choose among elements on a shuffled axis: the same choice but for ties.

    ``chose``: whether there was any such operator. A sort that the model wants stable is left as it is.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.chose = False
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``function``, shuffled where it chooses."""
        kwargs = kwargs or {}
        if function not in _AXES or kwargs.get("stable"):
            return function(*args, **kwargs)
        self.chose = True
        place, usual = _AXES[function]
        axis = args[place] if len(args) > place else kwargs.get("dim", usual)
        whole, given = args[0], args[0]
        if axis is None:  # over all elements at once
            given, axis = whole.reshape(-1), 0
        if given.dim() == 0 or given.shape[axis] < 2:
            return function(*args, **kwargs)
        order = torch.randperm(given.shape[axis], generator=self._generator)
        shuffled = given.index_select(axis, order)
        found = function(shuffled if given is whole else shuffled.reshape(whole.shape), *args[1:], **kwargs)
        if function in _INDEX_ALONE:
            return order[found]
        return found[0], order[found[1]]


@dataclass(frozen=True)
class Undecided:
    """Which elements of each output hang on ties; ``sizes``: an output's very shape, or the whole call, does."""

    masks: tuple[npt.NDArray[np.bool_], ...]
    sizes: bool = False

    def spread(self) -> Undecided:
        """The same with whole outputs: where all scores are equal, a place is safe but by luck."""
        return Undecided(tuple(np.full(mask.shape, mask.any()) for mask in self.masks), self.sizes)

    def told(self, answer: Sequence[Array], exact: Sequence[Array] | None) -> list[Array]:
        """Give ``exact`` with what is undecided marked: infinite, or a whole number that is another than eager's."""
        pairs = zip(answer, answer if exact is None else exact, self.masks, strict=True)
        return [
            true if true.shape != mask.shape or not mask.any() else np.where(mask, eager.nobodys(one), true)
            for one, true, mask in pairs
        ]


def undecided(flat: FlatModule, inputs: Sequence[Tensor], answer: Sequence[Array]) -> Undecided | None:
    """Run the model with its ties decided otherwise; None where it chooses nothing."""
    masks = tuple(np.zeros(array.shape, np.bool_) for array in answer)
    for seed in range(_TRIES):
        with Otherwise(seed) as mode:
            try:
                again = eager.run(flat, inputs)
            except SourceError:  # a choice that the model itself can't bear
                return Undecided(masks, sizes=True)
        if not mode.chose:
            return None
        if [array.shape for array in again] != [array.shape for array in answer]:
            return Undecided(masks, sizes=True)
        for mask, one, other in zip(masks, answer, again, strict=True):
            np.logical_or(mask, _differ(one, other), out=mask)
    return Undecided(masks)


def _differ(one: Array, other: Array) -> Array:
    """Elements that differ by more than the rounding of sums in another order."""
    if one.dtype.kind not in "fc":
        return np.asarray(one != other)
    scale = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return ~np.isclose(one, other, rtol=0, atol=64 * float(np.finfo(one.dtype).eps) * scale, equal_nan=True)
