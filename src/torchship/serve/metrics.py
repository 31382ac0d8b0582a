"""What is counted, where on the board it lies, and how Prometheus reads it (text format 0.0.4).

Histograms have bounds that double, so a value's bucket is the length of a shifted integer; buckets of all workers,
and of many servers, add up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from torchship.serve.board import Board, Row

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# Cells of a worker's row: states, then what only grows.
READY, CONNECTIONS, WAITING, RUNNING = STATES = range(4)
RESTARTS, ANSWERED, ROWS = range(4, 7)
DROPPED_FULL, DROPPED_LATE, DROPPED_GONE, DROPPED_WRONG, DROPPED_FAILED = range(7, 12)
_CODES = (200, 400, 404, 405, 408, 413, 415, 417, 429, 431, 500, 503, 504)
_CODE = {code: 12 + place for place, code in enumerate(_CODES)}
_STAGES_FROM = 12 + len(_CODES)

_OF_THE_SERVER = {
    READY: ("torchship_workers_ready", "gauge", "Workers that answer."),
    CONNECTIONS: ("torchship_connections", "gauge", "Open connections."),
    WAITING: ("torchship_queue_depth", "gauge", "Requests that wait for a session."),
    RUNNING: ("torchship_running_rows", "gauge", "Rows in the batches that run now."),
    RESTARTS: ("torchship_worker_restarts_total", "counter", "Workers that died and were started again."),
}
_OF_A_MODEL = {
    ANSWERED: ("torchship_inference_answered_total", "counter", "Inference requests answered with a result."),
    ROWS: ("torchship_inference_rows_total", "counter", "Rows (samples) that went through the model."),
}
_CAUSES = {
    DROPPED_FULL: "queue_full",
    DROPPED_LATE: "deadline",
    DROPPED_GONE: "disconnected",
    DROPPED_WRONG: "invalid",
    DROPPED_FAILED: "failed",
}


@dataclasses.dataclass(frozen=True)
class Histogram:
    """``finite`` buckets whose bounds double from ``2**shift``, one for what is beyond, and the sum."""

    start: int
    shift: int
    finite: int

    @property
    def cells(self) -> int:
        """How many cells it takes."""
        return self.finite + 2

    def observe(self, row: Row, value: int, count: int = 1) -> None:
        """Note ``value`` (a whole number) ``count`` times."""
        bucket = ((value - 1) >> self.shift).bit_length() if value > 0 else 0
        row[self.start + (bucket if bucket < self.finite else self.finite)] += count
        row[self.start + self.finite + 1] += value * count


def _stages(start: int, names: tuple[str, ...]) -> dict[str, Histogram]:
    """From 8 microseconds to 34 seconds."""
    return {name: Histogram(start + place * 25, shift=13, finite=23) for place, name in enumerate(names)}


STAGES = _stages(_STAGES_FROM, ("parse", "queue", "infer", "write", "total"))
BATCH = Histogram(STAGES["total"].start + STAGES["total"].cells, shift=0, finite=9)
CELLS = BATCH.start + BATCH.cells


def count_status(row: Row, status: int) -> None:
    """Count one HTTP answer."""
    row[_CODE.get(status, _CODE[500])] += 1


def exposition(board: Board, model: str, version: str, artifact: str) -> bytes:
    """The board as Prometheus reads it."""
    cells = board.totals()
    labels = f'model="{_escaped(model)}",version="{_escaped(version)}"'
    name = "torchship_model_info"
    lines = [*_family(name, "gauge", "The model that is served.")]
    lines += [f'{name}{{{labels},artifact="{_escaped(artifact)}"}} 1']
    for cell, (name, kind, told) in _OF_THE_SERVER.items():
        lines += [*_family(name, kind, told), f"{name} {cells[cell]}"]
    for cell, (name, kind, told) in _OF_A_MODEL.items():
        lines += [*_family(name, kind, told), f"{name}{{{labels}}} {cells[cell]}"]
    name = "torchship_http_responses_total"
    lines += _family(name, "counter", "HTTP answers by status.")
    lines += [f'{name}{{code="{code}"}} {cells[cell]}' for code, cell in _CODE.items()]
    name = "torchship_inference_dropped_total"
    lines += _family(name, "counter", "Inference requests that were not answered with a result, by cause.")
    lines += [f'{name}{{{labels},cause="{cause}"}} {cells[cell]}' for cell, cause in _CAUSES.items()]
    lines += _histograms(cells, labels)
    return ("\n".join(lines) + "\n").encode()


def _histograms(cells: list[int], labels: str) -> Iterator[str]:
    name = "torchship_stage_duration_seconds"
    yield from _family(name, "histogram", "Time of an inference request by stage; total is from its last byte on.")
    for stage, histogram in STAGES.items():
        yield from _buckets(name, f'{labels},stage="{stage}"', histogram, cells, 1e-9)
    name = "torchship_batch_rows"
    yield from _family(name, "histogram", "Rows of the batches that ran.")
    yield from _buckets(name, labels, BATCH, cells, 1)


def _buckets(name: str, labels: str, histogram: Histogram, cells: list[int], unit: float) -> Iterator[str]:
    so_far = 0
    for index in range(histogram.finite):
        so_far += cells[histogram.start + index]
        bound = (1 << (histogram.shift + index)) * unit
        yield f'{name}_bucket{{{labels},le="{bound:.9g}"}} {so_far}'
    so_far += cells[histogram.start + histogram.finite]
    yield f'{name}_bucket{{{labels},le="+Inf"}} {so_far}'
    yield f"{name}_sum{{{labels}}} {cells[histogram.start + histogram.finite + 1] * unit:.9g}"
    yield f"{name}_count{{{labels}}} {so_far}"


def _family(name: str, kind: str, told: str) -> tuple[str, str]:
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
