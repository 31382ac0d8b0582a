"""What both ways of quantising an ONNX model share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import onnx

from torchship.bundle.artifact import HostContract
from torchship.measure.host import cpu_flags

KINDS_DYNAMIC = ("MatMul", "Gemm", "Attention", "LSTM")
KINDS = ("Conv", "Gemm", "MatMul")
_WITH_VNNI = ("avx512_vnni", "avx_vnni")


def narrowed() -> bool:
    """Whether weights are to keep to 7 bits: without VNNI, a sum of two products of 8 bits overflows silently."""
    return not cpu_flags() & set(_WITH_VNNI)


def host_of(contract: HostContract) -> HostContract:
    """With the CPU feature that weights of 8 bits count on."""
    wanted = next((flag for flag in _WITH_VNNI if flag in cpu_flags()), None)
    return contract if wanted is None else msgspec.structs.replace(contract, isa=(*contract.isa, wanted))


@contextmanager
def readied(path: Path) -> Iterator[Path]:
    """A copy as ONNX Runtime's quantiser wants it: shapes inferred, and as the runtime itself would fold it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(prefix="torchship-quantise-") as scratch:
        ready = Path(scratch) / "ready.onnx"
        logging.disable(logging.WARNING)  # its advice to do what is done here
        try:
            quant_pre_process(path, ready, skip_symbolic_shape=True)
            yield ready
        finally:
            logging.disable(logging.NOTSET)


def touched(path: Path, kinds: Sequence[str]) -> list[str]:
    """Names of the nodes of these kinds that have a weight of their own."""
    graph = onnx.load(path, load_external_data=False).graph
    weights = {each.name for each in graph.initializer}
    return [node.name for node in graph.node if node.op_type in kinds and weights & set(node.input[1:])]
