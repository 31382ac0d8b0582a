"""Python that TorchScript doesn't know, and what a trace can't record."""

from __future__ import annotations

from torchship.convert.diagnosis.known import Known

_OTHERS = "torch.export runs such Python as it is (onnx:export, exported, aoti)"

TABLE = (
    Known(
        text=r"Compiled functions can't take variable number of arguments or use keyword-only arguments with defaults",
        reason="TorchScript knows no *args, no **kwargs and no keyword-only defaults: {here}",
        hint=f"spell the arguments out, with defaults for those that may be left out; {_OTHERS}",
    ),
    Known(
        text=r"(?P<what>try blocks|raise|import statements|Lambda|with statements|async|yield|GeneratorExp|"
        r"DictComp|SetComp|Starred|NamedExpr|JoinedStr|match|del statements?|\w+ statements?) aren't supported",
        reason="TorchScript doesn't know {what}: {here}",
        hint=f"move it out of forward (into __init__ or above the class), or guard it with "
        f"`if not torch.jit.is_scripting():`; {_OTHERS}",
    ),
    Known(
        text=r"[Uu]nsupported (?:node|expression|operation)|aren't supported|is not supported in TorchScript|"
        r"Unexpected syntax", kind=r"Unsupported\w*|NotSupportedError|FrontendError",
        reason="TorchScript doesn't know this Python: {here}",
        hint=f"write it more plainly, or move it out of forward; {_OTHERS}",
    ),
    Known(
        text=r"do not support break or continue inside the body of these loops", op="",
        reason="TorchScript unrolls a loop over layers or a tuple, and takes no break or continue in it: {here}",
        hint=f"put the rest of the loop's body under an if; {_OTHERS}",
    ),
    Known(
        text=r"Variable '(?P<name>\w+)' previously had type (?P<old>\S+) but is now being assigned to a value of type "
        r"(?P<new>\S+)", op="",
        reason="TorchScript wants one type for a variable, and {name} is a {old} first and a {new} then: {here}",
        hint=f"give the second another name; {_OTHERS}",
    ),
    Known(
        text=r"Tried to set an attribute: (?P<name>\w+) on a non-class: Tensor", op="",
        reason="TorchScript can't set .{name} of a tensor: {here}",
        hint=f"compute the new tensor, and give it to the operator: F.conv2d(x, self.weight * self.mask); {_OTHERS}",
    ),
    Known(
        text=r"prim::Loop currently cannot run with dynamic value of|TS2EPConverter failed for node prim::Loop",
        op="prim.Loop",
        reason="an exported program can't keep a loop whose number of turns isn't fixed: {here}",
        hint="write it for the whole axis at once, or by torch._higher_order_ops.scan or while_loop; TorchScript and "
        "ONNX keep the loop (torchscript:script, onnx:script)",
    ),
    Known(
        text=r"cannot create weak reference to '(?P<what>[\w.]+)' object",
        reason="forward calls something that isn't torch ({what}; numpy's functions are), which TorchScript can't "
        "compile",
        hint=f"write it with torch or math, or compute it in __init__; {_OTHERS}",
    ),
    Known(
        text=r"(?:Can't|could not|Failed to) get (?:the )?source(?: code)?(?: for)?:? ?(?P<what><[^>]+>|\w+)?",
        reason="TorchScript reads the source, and there is none of {what} (made at run time, or in a notebook)",
        hint=f"put the class into a .py file and ship file.py:NAME; {_OTHERS}",
    ),
    Known(
        text=r"[Mm]odule '(?P<module>\w+)' has no attribute '(?P<name>\w+)' \(This function exists",
        reason="TorchScript can't compile what is kept in self.{name}: {here}",
        hint=f"make it a method of the class, or an nn.Module; {_OTHERS}",
    ),
    Known(
        text=r"[Mm]odule '(?P<module>\w+)' has no attribute '(?P<name>\w+)' \(This attribute exists",
        reason="TorchScript can't type self.{name}: {here}",
        hint=f"keep layers in nn.ModuleList or nn.ModuleDict, tensors in buffers, and annotate the rest in the class; "
        f"{_OTHERS}",
    ),
    Known(
        text=r"Tried to set nonexistent attribute: (?P<name>\w+)",
        reason="forward makes a new attribute, self.{name}, which TorchScript doesn't allow: {here}",
        hint=f"return the value, or set self.{{name}} in __init__ with its type; {_OTHERS}",
    ),
    Known(
        text=r"Inferred '(?P<name>\w+)' to be of type 'Tensor' because it was not annotated",
        reason="TorchScript takes the argument {name} for a tensor, since it has no annotation: {here}",
        hint=f"annotate it in the function's signature: {{name}}: int (float, bool, str, list[int] …); {_OTHERS}",
    ),
    Known(
        text=r"Previous return statement returned a value of type (?P<one>.+) but this return statement returns a "
        r"value of type (?P<other>.+?)(?: \(inferred\))?:",
        reason="TorchScript wants one type from every return, here {one} and {other}: {here}",
        hint=f"give the same structure from every branch; {_OTHERS}",
    ),
    Known(
        text=r"indexing is only supported with integer literals",
        reason="TorchScript can't pick a layer by a number that it finds out while it runs: {here}",
        hint=f"for i, layer in enumerate(self.layers); {_OTHERS}",
    ),
    Known(
        text=r"python value of type '(?P<kind>[\w.]+)' cannot be used as a value",
        reason="TorchScript can't use what lives outside of the module ({kind}): {here}",
        hint=f"make it an attribute or a buffer of the module; {_OTHERS}",
    ),
    Known(
        text=r"Expected type hint for result of tolist\(\)", op="tolist",
        reason="TorchScript can't tell what tolist() gives: {here}",
        hint="annotate it: values: list[float] = x.tolist()",
    ),
    Known(
        text=r"all inputs of range must be ints, found number",
        reason="TorchScript doesn't know that the number of turns is an int: {here}",
        hint="say so: range(int(n))",
    ),
    Known(
        text=r"Unknown (?:builtin|type|type name|custom class)[^\n:]*:? ?'?(?P<what>[\w:]+(?:\.\w+)*)",
        reason="TorchScript doesn't know {what}: {here}",
        hint=f"write it with operators and types that it knows, or move it out of forward; {_OTHERS}",
    ),
    Known(
        text=r"'(?P<kind>[^' ]+)[^']*' object has no attribute or method '(?P<name>\w+)'", op="{name}",
        reason="in TorchScript a {kind} has no {name}: {here}",
        hint=f"write x.to(torch.{{name}}) where it is an element type; where the type was guessed wrong, annotate "
        f"the variable; {_OTHERS}",
    ),
    Known(
        text=r"cannot be used as a value:|is not callable|Arguments for call are not valid|Expected a value of type|"
        r"Expected .+ but (?:got|found|instead)|must be (?:a |of )?type|Could not infer type|not.* same type|"
        r"Return value was annotated|undefined value|is being compiled since it was called",
        kind=r"^RuntimeError|torch\.jit", code=r".",
        reason="TorchScript can't type {here}",
        hint=f"annotate the variable or argument whose type it can't tell, or write it more plainly; {_OTHERS}",
    ),
    Known(
        text=r"Could not export Python function call '(?P<name>\w+)'",
        op="prim.PythonOp",
        reason="{name} is a torch.autograd.Function, which a TorchScript file can't hold",
        hint=f"call plain functions in forward when not training: what {{name}}.forward computes; {_OTHERS}",
    ),
    Known(
        text=r"Only tensors, lists, tuples of tensors, or dictionary of tensors can be output from traced functions|"
        r"Encountering a \w+ at the output of the tracer|Tracer cannot infer type of|"
        r"Type '.*' cannot be traced",
        reason="a trace gives tensors only, in lists, tuples and dicts",
        hint=f"give tensors from forward, no strings or objects; {_OTHERS}",
    ),
    Known(
        text=r"Cannot insert a Tensor that requires grad as a constant",
        reason="a weight isn't registered: it lies in a plain list or attribute, where torch doesn't see it",
        hint="keep layers in nn.ModuleList or nn.ModuleDict, and weights in nn.Parameter",
    ),
    Known(
        text=r"Tracing failed sanity checks|TracingCheckError", kind=r"TracingCheckError|RuntimeError",
        reason="the model does something else each time that it is traced",
        hint=f"no counters, caches or random draws in forward; {_OTHERS}",
    ),
)  # fmt: skip
