"""Makes OpenVINO keep the order of equal values, as torch's sort and ONNX's TopK do."""

from __future__ import annotations

from typing import Any

from torchship.targets.openvino.library import library


def keep_their_order(model: Any) -> Any:
    """Give ``model`` with every TopK stable: the frontends leave the order of equal values open."""
    library()
    from openvino import opset11

    for node in model.get_ordered_ops():
        if node.get_type_name() == "TopK":
            told = node.get_attributes()
            data, count = (port.get_source_output() for port in node.inputs())
            stable = opset11.topk(
                data, count, told["axis"], told["mode"], "value", index_element_type=told["index_element_type"],
                stable=True,
            )  # fmt: skip
            stable.set_friendly_name(node.get_friendly_name())
            for old, new in zip(node.outputs(), stable.outputs(), strict=True):
                old.replace(new)
    return model
