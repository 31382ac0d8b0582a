"""Numbers, branches and sizes that depend on a tensor's values."""

from __future__ import annotations

from torchship.convert.diagnosis.known import Known

_GUARD = r"GuardOnDataDependentSymNode|dynamo.*UserError|UserError"
_DEPENDENT = (
    r"[Cc]ould not (?:guard on|extract specialized integer from) data-dependent expression|Dynamic control flow"
)
_BY_SIZE = r"aten\.(?:nonzero|_?unique|masked_select|index\b|bincount|repeat_interleave)"
_KEEP_ROWS = (
    "keep all rows and blank out those that don't count (torch.where(mask, x, 0)), or take a fixed number of them "
    "(torch.topk(scores, k)); the script route (torchscript:script, onnx:script) keeps such sizes"
)

TABLE = (
    Known(
        text=_DEPENDENT, kind=_GUARD, code=r"pack_padded_sequence|pad_packed_sequence|pack_sequence|PackedSequence",
        op="aten._pack_padded_sequence",
        reason="a packed sequence's sizes are the lengths' values, which torch.export can't leave open: {here}",
        hint="run the padded batch, and blank out what lies behind each length: "
        "torch.where(torch.arange(time) < lengths[:, None], y, 0); or take the script route (torchscript:script)",
    ),
    Known(
        text=_DEPENDENT, kind=_GUARD, within=_BY_SIZE,
        reason="the size of {op}'s result depends on the inputs' values, and {here} decides by it",
        hint=_KEEP_ROWS,
    ),
    Known(
        text=_DEPENDENT, kind=_GUARD, code=r"^while\b",
        op="aten.is_nonzero",
        reason="{here} repeats as long as a tensor's values say, which a captured graph can't follow",
        hint="torch._higher_order_ops.while_loop(condition, body, (state,)), or the script route "
        "(torchscript:script, onnx:script), which keeps the loop",
    ),
    Known(
        text=_DEPENDENT, kind=_GUARD, code=r"^(?:if|elif|assert)\b|\bif\b.*\belse\b",
        op="aten.is_nonzero",
        reason="{here} branches on a tensor's values, which a captured graph can't follow",
        hint="torch.where(condition, a, b) where both sides may be computed, else "
        "torch.cond(condition, if_true, if_false, (inputs,)); the script route (torchscript:script, onnx:script) "
        "keeps the branch",
    ),
    Known(
        text=_DEPENDENT, kind=_GUARD, code=r"\brange\(",
        op="aten.item",
        reason="{here} loops as often as a tensor's value says, which a captured graph can't follow",
        hint="loop over a fixed number and blank out the steps that don't count (torch.where(step < n, new, old)); "
        "or the script route (torchscript:script, onnx:script), which keeps the loop",
    ),
    Known(
        text=r"[Cc]ould not extract specialized integer from data-dependent expression", kind=_GUARD,
        op="aten.item",
        reason="{here} makes a Python number of a tensor's value, which a captured graph doesn't know",
        hint="keep it a tensor: compare and index with it (torch.arange(most) < n) instead of .item(), int() or "
        "slicing by it; or the script route (torchscript:script, onnx:script), which keeps the number",
    ),
    Known(
        text=_DEPENDENT, kind=_GUARD,
        reason="{here} needs to know a number that depends on the inputs' values, which a captured graph doesn't know",
        hint="say what holds for every value (torch._check(n <= most)), or keep the number a tensor; or the script "
        "route (torchscript:script, onnx:script)",
    ),
    Known(
        text=r"(?P<op>aten\.\w+(?:\.\w+)?)", kind=r"DynamicOutputShapeException",
        reason="the size of {op}'s result depends on the inputs' values",
        hint=_KEEP_ROWS,
    ),
    Known(
        text=r"failed to unpack the object at pos \d+ with error \"type must be tuple of ints,but got FakeTensor",
        op="aten._pack_padded_sequence",
        reason="a size comes out of a tensor's values, as a packed sequence's lengths do, and torch.export can't leave "
        "it open: {here}",
        hint="run the padded batch, and blank out what lies behind each length: "
        "torch.where(torch.arange(time) < lengths[:, None], y, 0); or take the script route (torchscript:script)",
    ),
    Known(
        text=r"\.numpy\(\) is not supported for tensor subclasses|Cannot access data pointer of Tensor "
        r"\(e\.g\. FakeTensor|can't convert .*FakeTensor.* to numpy",
        reason="{here} leaves torch (numpy, or a kernel of one's own), where torch.export can't follow",
        hint="write it with torch's own operators, or wrap it: @torch.library.custom_op with register_fake "
        "(then exported and aoti take it)",
    ),
    Known(
        text=r"prim::isinstance", kind="UnsupportedOperatorError",
        op="prim.isinstance",
        reason="the scripted model checks types while it runs (packed sequences do), which ONNX can't: {here}",
        hint="run the padded batch, and blank out what lies behind each length: "
        "torch.where(torch.arange(time) < lengths[:, None], y, 0)",
    ),
)  # fmt: skip
