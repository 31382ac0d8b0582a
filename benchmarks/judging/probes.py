"""Child process, with torch: calls that nobody saw before, and what eager answers to them.

Run as ``python probes.py FILE NAME OUT [MANIFEST]``; writes a pickle of ``{"calls": [...], "coarse": bool}``. The
inputs are drawn here, not by torchship: other values, and other sizes of all that the user declared (both ends of each
range included), or else of what the manifest declares. A source's own ``fresh`` is asked for numbers that ship never
asks for.
"""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nest import plain
from opened import Opened
from torch import Tensor

MOST = 64  # the largest size that is drawn where a range has no end


def main() -> None:
    """Write the calls with their answers."""
    file, name, out, *manifest = sys.argv[1:]
    warnings.simplefilter("ignore")
    opened = Opened(Path(file), name)
    calls = list(_calls(opened, json.loads(Path(manifest[0]).read_text())["signature"] if manifest else None))
    calls.append(calls[0])
    with torch.no_grad():
        answered = [_answered(opened, call) for call in calls]
        torch.backends.mha.set_fastpath_enabled(False)
        other = [_answered(Opened(Path(file), name), calls[0])]
    fast = repr(answered[0]["result"]) != repr(other[0]["result"])
    Path(out).write_bytes(pickle.dumps({"calls": answered, "coarse": opened.coarse, "fast_path": fast}))


def _answered(opened: Opened, call: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any]:
    args, kwargs = call
    given = plain((args, kwargs), array)
    result = opened.call(*_copied(args), **_copied(kwargs))
    return {"args": given[0], "kwargs": given[1], "result": plain(result, array)}


def array(value: Any) -> Any:
    """A tensor as numpy carries it."""
    if not isinstance(value, Tensor):
        return value
    value = value.detach().clone()
    if value.dtype is torch.bfloat16:
        value = value.float()
    return np.asarray(value.resolve_conj().resolve_neg().numpy(), order="C")


def _copied(value: Any) -> Any:
    from torch.utils._pytree import tree_map

    return tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, value)


def _calls(opened: Opened, signature: dict[str, Any] | None) -> Any:
    if opened.fresh is not None:
        for number in range(1000, 1008):
            made = opened.fresh(number)
            yield made if isinstance(made, tuple) else (made,), {}
        return
    dims = opened.dims()
    if not dims and signature is not None:
        dims = _declared(signature)
    draw = torch.Generator().manual_seed(77)
    yield from (opened.drawn({}, draw) for _ in range(2))
    for sizes in _sizes(opened, dims):
        yield opened.drawn(sizes, draw)


def _declared(signature: dict[str, Any]) -> dict[str, dict[str, tuple[int, int | None]]]:
    """The dims that the bundle declares, of a model whose user declared none: ``{dim: (least, most)}``."""
    ranges = {dim["name"]: (dim.get("min", 1), dim.get("max")) for dim in signature["dims"]}
    used = {size for spec in signature["inputs"] for size in spec["shape"] if isinstance(size, str)}
    places = {
        (spec["name"], axis): size
        for spec in signature["inputs"]
        for axis, size in enumerate(spec["shape"])
        if isinstance(size, str)
    }
    return {"ranges": {name: ranges.get(name, (1, None)) for name in used}, "places": places}  # type: ignore[dict-item]


def _sizes(opened: Opened, dims: Any) -> list[dict[tuple[str, int], int]]:
    if not dims:
        return []
    ranges = dims["ranges"]
    usual = {name: opened.size(dims, name) for name in ranges}
    least = {name: low for name, (low, _) in ranges.items()}
    most = {name: min(high or MOST, max(8 * usual[name], MOST)) for name, (_, high) in ranges.items()}
    middle = {name: (least[name] + most[name]) // 2 for name in ranges}
    odd = {name: max(least[name], min(most[name], usual[name] + 1 + place)) for place, name in enumerate(ranges)}
    tried = [least, most, middle, odd]
    tried += [usual | {name: least[name]} for name in ranges] + [usual | {name: most[name]} for name in ranges]
    unique = [each for place, each in enumerate(tried) if each not in tried[:place]]
    return [{place: opened.resolve(dims, place, each) for place in dims["places"]} for each in unique]


if __name__ == "__main__":
    main()
