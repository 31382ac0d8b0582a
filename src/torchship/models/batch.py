"""Where the user names no dynamic dim: proposes the batch dim, and proves it on the model itself."""

from __future__ import annotations

import torch
from torch import Tensor

from torchship.errors import SourceError
from torchship.models import draw, eager, hints
from torchship.models.model import Axes, Model
from torchship.signature import Dim

BATCH = Dim("batch")
_ALIKE: tuple[draw.Style, ...] = ("usual", "usual", "usual")
_UNLIKE: tuple[draw.Style, ...] = ("zero", "usual", "large")  # what looks at all rows at once decides otherwise here


def propose(model: Model) -> tuple[tuple[Axes, ...], str]:
    """Give the axes to capture with, and a sentence for the user.

    Axis 0 of every input is the batch where the model answers at other sizes, its outputs follow, and a row's answer
    doesn't depend on the other rows.
    """
    if any(model.axes) or model.description.sized:
        return hints.settled(model)
    static: tuple[Axes, ...] = tuple({} for _ in model.examples)
    firsts = {tensor.shape[0] if tensor.dim() else 0 for tensor in model.examples}
    if len(firsts) != 1 or 0 in firsts:
        return (
            static,
            "no dynamic dim: the inputs have no common first axis; name the dims with dynamic_shapes or --input",
        )
    why = _why_not(model)
    if why:
        return static, f"no dynamic batch: {why}; all sizes are fixed (name other dims with dynamic_shapes or --input)"
    return tuple({0: BATCH} for _ in model.examples), "axis 0 of every input was proven to be a batch, and is dynamic"


def _why_not(model: Model) -> str | None:
    generator = torch.Generator().manual_seed(3)
    return next((why for rows in (_ALIKE, _UNLIKE) if (why := _why_not_of(model, rows, generator))), None)


def _why_not_of(model: Model, styles: tuple[draw.Style, ...], generator: torch.Generator) -> str | None:
    three = tuple(
        torch.cat([draw.fresh(each, (1, *each.shape[1:]), style, generator) for style in styles])
        for each in model.examples
    )
    try:
        whole = _tensors(model, three)
        rows = [_tensors(model, tuple(each[row : row + 1] for each in three)) for row in range(3)]
    except SourceError as error:
        line = f", {error.where}" if error.where else ""
        return f"the model itself refuses another batch size ({error.what}{line})"
    if any(tensor.dim() == 0 or tensor.shape[0] != 3 for tensor in whole):
        return "an output's first axis doesn't follow the inputs'"
    for place, answer in enumerate(whole):
        joined = [row[place] for row in rows]
        if any(each.shape[1:] != answer.shape[1:] for each in joined):
            return "a row's answer has another size when it is alone"
        if not _close(answer, torch.cat(joined)):
            return "a row's answer depends on the other rows"
    return None


def _tensors(model: Model, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    return eager.call(model.flat, inputs)[1]


def _close(whole: Tensor, rows: Tensor) -> bool:
    if not (whole.is_floating_point() or whole.is_complex()):
        return bool((whole == rows).float().mean() > 0.99) if whole.numel() else True
    tolerance = 1e-2 if whole.dtype in (torch.float16, torch.bfloat16) else 1e-4
    scale = float(whole.abs().nan_to_num(posinf=0.0).max()) if whole.numel() else 0.0
    return torch.allclose(whole, rows, rtol=tolerance, atol=tolerance * max(scale, 1e-12), equal_nan=True)
