"""Containers and objects around the tensors, and what can't be written to a file."""

from __future__ import annotations

from torchship.convert.diagnosis.known import Known

TABLE = (
    Known(
        text=r"Can't serialize TreeSpec of namedtuple class <class '(?P<name>[\w.<>]+)'>",
        reason="torch can't write the structure of the named tuple {name} into a .pt2",
        hint="torch.utils._pytree._register_namedtuple({name}, serialized_type_name='{name}') before the export; "
        "ship itself keeps the structure apart from the graph and needs no such thing",
    ),
    Known(
        text=r"Found <class '(?P<name>[\w.<>]+)'> in output, which is not a known type",
        reason="the model gives a {name}, which holds no tensors that torch.export could see",
        hint="give tensors in tuples, lists, dicts, named tuples or dataclasses",
    ),
    Known(
        text=r"Unsupported (?:input )?type <class '(?P<name>[\w.<>]+)'>|Attempted to pass unsupported type "
        r"(?P<other>[\w.<>]+)",
        reason="torch.export doesn't take an argument of type {name}{other}",
        hint="pass tensors, and numbers, strings and None as constants of the call",
    ),
    Known(
        text=r"The tensor attributes? (?P<names>.+?) (?:was|were) assigned during export",
        reason="forward sets {names}, which a captured graph can't keep: {here}",
        hint="give the value back from forward, or register it as a buffer and write it in place (self.x.copy_(…))",
    ),
    Known(
        text=r"We found a fake tensor in the exported program constant's list",
        reason="forward writes into a tensor of its own past torch's eyes (.data, or a plain attribute), which "
        "torch.export can't follow",
        hint="compute the new tensor, and call the operator with it: F.conv2d(x, self.weight * self.mask, …)",
    ),
    Known(
        text=r"unhashable type: (?:non-nested )?SymInt", op="",
        reason="a size is looked up in a dict or a set, which would fix it: {here}",
        hint="compute what is kept there from the size, in each call; or declare that dim fixed: leave it out of "
        "dynamic_shapes",
    ),
    Known(
        text=r"type_=Generator|names 'opaque_obj_\d+'", op="*.generator",
        reason="forward makes a random generator of its own, which a compiled graph or a file can't hold: {here}",
        hint="draw the numbers once in __init__, and keep them as a buffer",
    ),
    Known(
        text=r"argument of type: <class '(?P<name>torch\.storage\.\w+)'>|Cannot access storage of|"
        r"no storage|UntypedStorage",
        reason="{here} reaches for a tensor's storage, which a captured graph doesn't have",
        hint="write it with views: x.view, x.as_strided, x.clone",
    ),
)  # fmt: skip
