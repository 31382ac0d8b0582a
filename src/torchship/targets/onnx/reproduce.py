"""ONNX by torch's own exporters, run by ONNX Runtime."""

from __future__ import annotations

from torchship.targets.reproduction import Reproduction

_FROM_TORCHSCRIPT = """\
torch.onnx.export({form}, example, "model.onnx", dynamo=False, input_names=INPUTS, output_names=OUTPUTS,
                  dynamic_axes=AXES, training=torch.onnx.TrainingMode.PRESERVE)
"""

REPRODUCTION = Reproduction(
    convert={
        "export": """\
program = torch.onnx.export(exported, example, dynamo=True, input_names=INPUTS, output_names=OUTPUTS, verbose=False)
program.save("model.onnx")
""",
        "script": _FROM_TORCHSCRIPT.format(form="scripted"),
        "trace": _FROM_TORCHSCRIPT.format(form="traced"),
    },
    run="""\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
given = dict(zip(INPUTS, arrays))
answers = session.run(None, {value.name: given[value.name] for value in session.get_inputs()})
""",
)
