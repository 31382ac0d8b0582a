"""Sizes: dims that a capture fixes, ranges and relations that don't hold, and artifacts that refuse another size."""

from __future__ import annotations

from torchship.convert.diagnosis.known import Known

_FIXED = r"You marked (?P<dim>\w+) as dynamic but your code specialized it to be a constant \((?P<size>\d+)\)"
_GUARD = (
    r"Not all values of (?P<dim>\w+) = \S+ in the specified range .*satisfy the generated guard (?P<guard>[^\n]*?)\.?$"
)
_LEAVE = "or declare {dim} fixed: leave it out of dynamic_shapes"
_BAKED = "a size of the example is baked into the artifact, by {here} or by this route"
_FREE = (
    "write sizes as x.shape[…] or -1 instead of numbers, and no .item(), int() or list of them; or declare that dim "
    "fixed: leave it out of dynamic_shapes"
)

TABLE = (
    Known(
        text=_FIXED, within=r"aten\.(?:lstm|gru|rnn_)",
        reason="torch.export unrolls {op} over its length, which fixes {dim} to {size}",
        hint="the script route keeps the length open (onnx:script, torchscript:script): it wants forward to be "
        f"TorchScript; {_LEAVE}",
    ),
    Known(
        text=_FIXED, code=r"\brange\(|^for\b",
        reason="{here} is unrolled, which fixes {dim} to {size}",
        hint="the script route keeps the loop (onnx:script, torchscript:script); or write it for the whole axis at "
        f"once, or by torch._higher_order_ops.scan; {_LEAVE}",
    ),
    Known(
        text=_FIXED, code=r"\bint\(",
        reason="{here} makes a plain number of a size, which fixes {dim} to {size}",
        hint=f"use x.shape[…] as it is, without int(); {_LEAVE}",
    ),
    Known(
        text=_FIXED, code=r"^(?:if|elif|while|assert)\b|\bif\b.*\belse\b",
        reason="{here} branches on a size, so the graph holds for {dim} = {size} alone",
        hint=f"write it for every size, without the branch; the script route keeps it (onnx:script, "
        f"torchscript:script); {_LEAVE}",
    ),
    Known(
        text=_FIXED, within=r"view|reshape|expand|unflatten|split|chunk|unbind|cat|stack|add|sub|mul|where|matmul|mm",
        reason="{here} holds only where {dim} is {size}",
        hint=f"let the size follow from the input: x.shape[…], or -1 in reshape, instead of a number; {_LEAVE}",
    ),
    Known(
        text=_FIXED,
        reason="{dim} is fixed to {size} by {here}",
        hint=f"write it so that it holds for every size; {_LEAVE}",
    ),
    Known(
        text=r"The values of (?P<dim>\w+) = \S+ and (?P<other>\w+) = \S+ must always be equal",
        reason="{dim} and {other} must be the same size: {here} puts them together",
        hint="give both axes one dim: the same torch.export.Dim object, or the same name in --input",
    ),
    Known(
        text=r"^\s+(?P<dim>\w+) = (?P<factor>\d+)\*_\w+$",
        reason="{dim} must be a multiple of {factor}: {here} divides it",
        hint="pad the input to a multiple of {factor} before the call; or declare {dim} fixed: leave it out of "
        "dynamic_shapes",
    ),
    Known(
        text=r"Suggested fixes:\s+(?P<dim>\w+) = Dim\('\w+', min=(?P<min>\d+), max=(?P<max>\d+)\)",
        reason="{here} holds for a part of the sizes of {dim} only: from {min} up to {max}",
        hint="declare that range: torch.export.Dim('{dim}', min={min}, max={max}), or {dim}={min}..{max} in --input",
    ),
    Known(
        text=r"Suggested fixes:\s+(?P<dim>\w+) = Dim\('\w+', max=(?P<max>\d+)\)",
        reason="{here} holds for a part of the sizes of {dim} only: up to {max}",
        hint="declare that range: torch.export.Dim('{dim}', max={max}), or {dim}=1..{max} in --input",
    ),
    Known(
        text=r"Suggested fixes:\s+(?P<dim>\w+) = Dim\('\w+', min=(?P<min>\d+)\)",
        reason="{here} holds for a part of the sizes of {dim} only: from {min} on",
        hint="declare that range: torch.export.Dim('{dim}', min={min})",
    ),
    Known(
        text=_GUARD,
        reason="{here} doesn't hold for every size of {dim}: it wants {guard}",
        hint=f"write it so that it holds for every size, or give {{dim}} a range in which it does; {_LEAVE}",
    ),
    Known(
        text=r"Cannot view a tensor with shape (?P<shape>.+?) and strides .+ as a tensor with shape (?P<wanted>.+?)!",
        reason="{here} views memory that doesn't lie in that order: {shape} as {wanted}",
        hint="write .reshape(…) instead of .view(…), or .contiguous() before it",
    ),
    Known(
        text=r"Detected mismatch between the structure of `inputs` and `dynamic_shapes`: (?P<what>[^\n]+)",
        reason="dynamic_shapes doesn't fit the model's inputs: {what}",
        hint="give it the structure of the call: a dict by the names of forward's parameters",
    ),
    Known(
        text=r"Got invalid dimensions for input: (?P<input>\S+) for the following indices\s+index: (?P<axis>\d+) "
        r"Got: (?P<got>\d+) Expected: (?P<size>\d+)",
        reason="the converter fixed axis {axis} of {input} to {size}, which was declared dynamic",
        hint=_FREE,
    ),
    Known(
        text=r"Guard failed: (?P<input>\w+)\.size\(\)\[(?P<axis>\d+)\] (?P<what>[=<>!]+ \S+)",
        reason="the captured graph holds only for {input}.shape[{axis}] {what}",
        hint=_FREE,
    ),
    Known(
        text=r"Attempting to broadcast an axis by a dimension other than 1|cannot be reshaped to the requested shape|"
        r"shape '\[[^\]]*\]' is invalid for input of size|conflicts with the reshape pattern|"
        r"Eltwise shape infer input shapes dim index|must match the (?:existing )?size of tensor|"
        r"The expanded size of the tensor|The size of tensor a \(\d+\) must match|is not equal to the model input type|"
        r"model input \(shape=.*\) and the tensor|incompatible dimensions for matrix multiplication|"
        r"Input shape:\{[\d,]*\}, requested shape|shapes? (?:cannot|can't) be multiplied|unmatched dim value",
        reason=_BAKED, hint=_FREE,
    ),
)  # fmt: skip
