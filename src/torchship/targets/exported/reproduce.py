"""The exported program itself, by torch alone."""

from __future__ import annotations

from torchship.targets.reproduction import Reproduction

REPRODUCTION = Reproduction(
    convert={
        "export": """\
torch.export.save(exported, "model.pt2")
""",
        "script": """\
from torch._export.converter import TS2EPConverter

torch.export.save(TS2EPConverter(scripted, example).convert(), "model.pt2")
""",
    },
    run="""\
answers = torch.export.load("model.pt2").module()(*[torch.from_numpy(array) for array in arrays])
answers = [tensor.numpy() for tensor in answers]
""",
)
