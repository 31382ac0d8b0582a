"""TorchScript by torch alone."""

from __future__ import annotations

from torchship.targets.reproduction import Reproduction

_SAVE = """\
torch.jit.save(torch.jit.freeze({form}), "model.pt")
"""

REPRODUCTION = Reproduction(
    convert={"script": _SAVE.format(form="scripted"), "trace": _SAVE.format(form="traced")},
    run="""\
answers = torch.jit.load("model.pt")(*[torch.from_numpy(array) for array in arrays])
answers = [tensor.numpy() for tensor in (answers if isinstance(answers, (tuple, list)) else (answers,))]
""",
)
