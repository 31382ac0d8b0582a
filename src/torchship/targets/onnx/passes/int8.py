"""Static int8: weights and what flows between layers, each with the range that typical inputs show (QDQ format)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnx_ir

from torchship.bundle.artifact import Artifact, Variant
from torchship.measure.latency import race, time_for
from torchship.targets.distance import distance
from torchship.targets.onnx.passes._quantized import KINDS, host_of, narrowed, readied, touched
from torchship.targets.onnx.passes._weights import save, shrink
from torchship.targets.onnx.passes.int8_weights import LEAST, rounded
from torchship.targets.passes import Work, by_loss, check_left, layers_told, renamed
from torchship.targets.runner import Array, Needs

_WITH = ("Conv", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool", "Relu", "Clip", "Add", "Concat")
_RACE = 1.0  # seconds, for the float model and the quantised one, each
_LOOKED_AT = 16  # calibration rows that a layer's sensitivity is seen on


class Int8:
    """Convolutions and products, and what lies between them, so that numbers stay whole from one to the next."""

    needs = Needs(("onnx", "onnxscript"), "build")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.onnx``; ``work.kept`` are node names."""
        with readied(work.main) as ready:
            check_left(touched(ready, KINDS), work.kept, KINDS)
            whole = _quantised(onnx.load(ready), _ranges(ready, work), work.kept)
            quicker = _is_quicker(whole, ready, work)
            model = onnx_ir.from_proto(whole) if quicker else onnx_ir.load(ready)
            shrink(model, LEAST, rounded, work.kept)
            save(model, out / work.source.main)
        told = layers_told(work.kept)
        if not quicker:
            told += "; int8 weights alone: ONNX Runtime computes the layers no quicker in int8 on this CPU"
        how = msgspec.structs.replace(variant, how=told)
        return renamed(work, how, host=host_of(work.source.host) if quicker else work.source.host)

    def sensitive(self, work: Work, seconds: float) -> tuple[str, ...]:
        """Each layer is quantised alone, and the answers compared with the float model's."""
        with readied(work.main) as ready:
            names = touched(ready, KINDS)
            check_left(names, (), KINDS)
            ranges = _ranges(ready, work)
            rows = [work.named(row) for row in work.typical.rows(_LOOKED_AT)]
            right = _answers(onnx.load(ready), rows)

            def lost(name: str) -> float:
                alone = _quantised(onnx.load(ready), ranges, [each for each in names if each != name], only=name)
                return distance(right, _answers(alone, rows))

            return by_loss(names, lost, seconds)


def _ranges(path: Path, work: Work) -> Any:
    """Of each tensor the least and the greatest value over the calibration data."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    calibrator = create_calibrator(
        path, None, augmented_model_path=str(path.with_name("seen.onnx")), calibrate_method=CalibrationMethod.MinMax
    )
    calibrator.collect_data(_Reader(work))
    return calibrator.compute_data()


class _Reader:
    """What ONNX Runtime's calibrator asks for rows."""

    def __init__(self, work: Work) -> None:
        self._rows = (work.named(row) for row in work.typical.rows())

    def get_next(self) -> dict[str, Array] | None:
        return next(self._rows, None)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return self._rows


def _quantised(model: onnx.ModelProto, ranges: Any, kept: Sequence[str], only: str | None = None) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    quantizer = QDQQuantizer(
        model, True, narrowed(), QuantType.QInt8, QuantType.QUInt8, ranges, [only] if only else [], list(kept),
        list(KINDS if only else _WITH), {"DedicatedQDQPair": False, "MatMulConstBOnly": True},
    )  # fmt: skip
    quantizer.quantize_model()
    quantised: onnx.ModelProto = quantizer.model.model
    return quantised


def _is_quicker(whole: onnx.ModelProto, ready: Path, work: Work) -> bool:
    """Whether the quantised model answers a typical input sooner than the float one, here: seen side by side."""
    row = work.named(next(work.typical.rows(1)))
    sessions = [_session(whole), _session(onnx.load(ready))]
    turns = [lambda share, session=each: time_for(lambda: session.run(None, row), share) for each in sessions]
    mine, usual = race(turns, seconds=_RACE)
    return float(np.median(mine)) < float(np.median(usual))


def _answers(model: onnx.ModelProto, rows: Sequence[dict[str, Array]]) -> list[list[Array]]:
    session = _session(model)
    return [session.run(None, row) for row in rows]


def _session(model: onnx.ModelProto) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


PASS = Int8()
