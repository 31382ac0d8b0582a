"""AOTInductor by torch alone."""

from __future__ import annotations

from torchship.targets.reproduction import Reproduction

REPRODUCTION = Reproduction(
    convert={
        "export": """\
torch._inductor.aoti_compile_and_package(exported, package_path="model.pt2")
""",
        "script": """\
from torch._export.converter import TS2EPConverter

exported = TS2EPConverter(scripted, example).convert()
torch._inductor.aoti_compile_and_package(exported, package_path="model.pt2")
""",
    },
    run="""\
answers = torch._inductor.aoti_load_package("model.pt2")(*[torch.from_numpy(array) for array in arrays])
answers = [tensor.numpy() for tensor in (answers if isinstance(answers, (tuple, list)) else (answers,))]
""",
)
