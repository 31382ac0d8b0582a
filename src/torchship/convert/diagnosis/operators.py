"""Operators and element types that a converter or a runtime doesn't have."""

from __future__ import annotations

from torchship.convert.diagnosis.known import Known

_TORCH_HAS_IT = "torchscript, exported and aoti run it as torch does"
_OWN = (
    "write it with torch's own operators; or take exported or aoti, where the machine that runs it has the library "
    "that defines {op}"
)
_DTYPES = (
    "do this step in an element type that it takes: x.float() or x.long() before it (a model in another precision: "
    "ship model.float()); torchscript, exported and aoti compute in any"
)

TABLE = (
    Known(
        text=r"Conversion is failed for: [^\n]*\b(?P<name>scan|while_loop|cond)\b", op="{name}",
        reason="OpenVINO has no rule for {name}, by which the program keeps a loop or a branch: {here}",
        hint=f"declare the length fixed (leave it out of dynamic_shapes), which unrolls a loop; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"LinearPackedParamsBase|Conv\dPackedParamsBase|__obj_flatten__", op="quantized.linear_dynamic",
        reason="the layers were quantised by torch.ao already, and their packed weights go into TorchScript alone",
        hint="ship the float model, as it was before quantize_dynamic; torchscript:script takes this one",
    ),
    Known(
        text=r"(?P<why>[^\n]+)\n(?P<way>[^\n]+)", kind=r"UnloweredError",
        reason="{why}: {here}",
        hint="{way}",
    ),
    Known(
        text=r"No ONNX function found for <OpOverload\(op='(?P<space>aten|prims?)\.(?P<name>\w+)', "
        r"overload='(?:default|(?P<overload>\w+))'\)>",
        op="{space}.{name}.{overload}",
        reason="torch's ONNX exporter has no rule for {op}: {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"No ONNX function found for <OpOverload\(op='(?P<name>\w+\.\w+)'",
        op="{name}",
        reason="{op} is an operator of one's own, which ONNX doesn't have: {here}",
        hint=_OWN,
    ),
    Known(
        text=r"unrecognized namespace (?P<name>\w+::\w+)", op="{name}",
        reason="{op} is an operator of one's own, which ONNX doesn't have: {here}",
        hint=_OWN,
    ),
    Known(
        text=r"Exporting the operator '(?P<name>(?:aten|prim)::\w+)' to ONNX opset version \d+ is not supported",
        op="{name}",
        reason="torch's exporter from TorchScript to ONNX has no rule for {op}: {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"required keyword attribute 'Subgraph' is undefined|prim::PythonOp", op="prim.PythonOp",
        reason="a torch.autograd.Function can't go from TorchScript to ONNX: {here}",
        hint="call plain functions in forward when not training: what the Function's own forward computes",
    ),
    Known(
        text=r"ONNX does not support mean reduction for scatter_reduce", op="aten.scatter_reduce",
        reason="ONNX has no mean for {op}: {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"ONNX export of operator Sort, Out parameter is not supported", op="aten.sort.stable",
        reason="torch's exporter from TorchScript to ONNX has no stable sort: {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"ONNX export of operator (?P<name>\w+), (?P<why>[^\n.]+)",
        op="{name}",
        reason="torch's exporter from TorchScript to ONNX doesn't take this call of {name} ({why}): {here}",
        hint=f"write it more plainly; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"does not currently support complex types", op="aten.stft",
        reason="torch's exporter from TorchScript to ONNX has no complex numbers: {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"<class '[\w.]+'>: (?P<why>[^\n]+)\s+⬆️\s+<class '[\w.]*(?:GraphConstruction|Conversion)Error'>",
        reason="torch's ONNX exporter has a rule for {op}, but not for this call of it ({why}): {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"No conversion rule found for operations: (?P<name>\w+(?:\.|::)\w+[\w.]*)",
        op="{name}",
        reason="OpenVINO has no rule for {op}: {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"doesn't allow complex type|ComplexTypeMark", op="{op}",
        reason="OpenVINO doesn't take complex numbers in {op}: {here}",
        hint=f"write real and imaginary parts as two real tensors, with the product written out; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"-- (?P<name>(?:aten|prim|torchvision)[.:]+\w[\w.]*) with a message:\n(?:Exception happened[^\n]*\n)?"
        r"(?:Check [^\n]*\n)?(?:FrontEnd API[^\n]*\n)?(?P<why>[^\n]+)",
        op="{name}",
        reason="OpenVINO has a rule for {op}, but not for this call of it ({why}): {here}",
        hint=f"{{instead}}; {_TORCH_HAS_IT}",
    ),
    Known(
        text=r"NOT_IMPLEMENTED : Could not find an implementation for (?P<name>\w+)\((?P<version>\d+)\)",
        reason="ONNX Runtime has no {name} for this element type on the CPU: {here}",
        hint=_DTYPES,
    ),
    Known(
        text=r"Type Error: Type 'tensor\((?P<dtype>\w+)\)' of input parameter \([^)]*\) of operator \((?P<name>\w+)\)",
        reason="ONNX's {name} doesn't take {dtype}: {here}",
        hint=_DTYPES,
    ),
    Known(
        text=r"(?P<name>\w+::\w+): attempted to run this operator with Meta tensors, but there was no fake impl|"
        r"[Tt]here was no fake impl registered for <CustomOpDef\((?P<own>\w+::\w+)\)>",
        op="{name}{own}",
        reason="{op} doesn't say what shape it gives, so that no graph can be captured: {here}",
        hint="register it: @torch.library.register_fake('…') with a function that gives an empty tensor of the right "
        "shape; or {instead}",
    ),
    Known(
        text=r"(?P<name>[a-z_]\w*\.\w+(?:\.\w+)?)", kind=r"UnsupportedOperatorException",
        op="{name}",
        reason="torch.export can't follow {op}: {here}",
        hint="{instead}; torchscript:trace runs it as torch does",
    ),
    Known(
        text=r"(?P<name>(?:aten|prims?)\.\w+(?:\.\w+)?)", kind=r"LoweringException|MissingOperator",
        op="{name}",
        reason="AOTInductor can't generate code for {op}: {here}",
        hint="{instead}; torchscript and exported run it as torch does",
    ),
    Known(
        text=r"(?:\"|')?(?P<kernel>\w+)(?:\"|')? not implemented for '(?P<dtype>\w+)'",
        reason="torch has no {kernel} for {dtype} on the CPU: {here}",
        hint=_DTYPES,
    ),
)  # fmt: skip
