"""OpenVINO by its own converter and runtime."""

from __future__ import annotations

from torchship.targets.reproduction import Reproduction

_CONVERT = """\
import openvino

openvino.save_model(openvino.convert_model({given}), "model.xml", compress_to_fp16=False)
"""

REPRODUCTION = Reproduction(
    convert={
        "export": _CONVERT.format(given="exported"),
        "onnx": _CONVERT.format(given="onnx"),
        "script": _CONVERT.format(given="scripted, example_input=example"),
        "trace": _CONVERT.format(given="traced, example_input=example"),
    },
    run="""\
import openvino

compiled = openvino.compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = [numpy.array(answer) for answer in compiled(arrays).values()]
""",
)
