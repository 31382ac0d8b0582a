"""The board and what Prometheus reads of it."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from torchship.serve import metrics
from torchship.serve.board import Board

HEAD = "inference-header-content-length"
LABELS = 'model="digits",version="1"'
SAMPLE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? -?[0-9.e+-]+$')


def test_values_of_all_workers_add_up_and_every_value_has_its_bucket():
    board = Board(3, metrics.CELLS)
    histogram = metrics.STAGES["infer"]
    for worker, value in enumerate((1, 8192, 8193)):
        histogram.observe(board.row(worker), value)
    histogram.observe(board.row(0), 1 << 50, 2)
    cells = board.totals()
    buckets = cells[histogram.start : histogram.start + histogram.finite + 1]
    assert (buckets[0], buckets[1], buckets[-1], sum(buckets)) == (2, 1, 2, 5)
    assert cells[histogram.start + histogram.finite + 1] == 1 + 8192 + 8193 + (1 << 51)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 256, 257, 100_000])
def test_a_batch_falls_into_the_smallest_bucket_that_holds_it(rows):
    board = Board(1, metrics.CELLS)
    metrics.BATCH.observe(board.row(0), rows)
    text = metrics.exposition(board, "m", "1", "onnx").decode()
    counts = dict(re.findall(r'torchship_batch_rows_bucket\{[^}]*le="([^"]+)"\} (\d+)', text))
    for bound, count in counts.items():
        assert int(count) == (bound == "+Inf" or rows <= float(bound)), bound


def test_no_two_numbers_share_a_cell():
    places = [metrics.READY, metrics.CONNECTIONS, metrics.WAITING, metrics.RUNNING, metrics.RESTARTS]
    places += [metrics.ANSWERED, metrics.ROWS, *metrics._CAUSES, *metrics._CODE.values()]
    for histogram in (*metrics.STAGES.values(), metrics.BATCH):
        places += range(histogram.start, histogram.start + histogram.cells)
    assert sorted(places) == list(range(metrics.CELLS))


def test_names_are_escaped():
    text = metrics.exposition(Board(1, metrics.CELLS), 'a"b\\c\nd', "1", "onnx").decode()
    assert 'model="a\\"b\\\\c\\nd"' in text


def test_the_text_is_prometheus_own_format_and_adds_up_over_workers(start, digits, images, request_of):
    with start(digits, "--workers", "2") as server:
        bad = {"inputs": []}
        good = request_of("image", "UINT8", images)

        def ask(number: int) -> int:
            return httpx.post(server.path(), json=bad if number % 3 == 0 else good).status_code

        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(ask, range(30)))
        assert (statuses.count(200), statuses.count(400)) == (20, 10)
        answer = httpx.get(f"{server.url}/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        lines = answer.text.splitlines()
        assert all(line.startswith("# ") or SAMPLE.match(line) for line in lines)
        got = server.metrics()
    assert got[f"torchship_inference_answered_total{{{LABELS}}}"] == 20
    assert got[f"torchship_inference_rows_total{{{LABELS}}}"] == 60
    assert got[f'torchship_inference_dropped_total{{{LABELS},cause="invalid"}}'] == 10
    assert got['torchship_http_responses_total{code="400"}'] == 10
    assert got['torchship_http_responses_total{code="200"}'] >= 21
    assert got[f'torchship_model_info{{{LABELS},artifact="onnx"}}'] == 1
    assert got["torchship_queue_depth"] == 0
    for stage in ("parse", "queue", "infer", "write", "total"):
        name = "torchship_stage_duration_seconds"
        labels = f'{LABELS},stage="{stage}"'
        assert got[f"{name}_count{{{labels}}}"] == 20
        assert got[f'{name}_bucket{{{labels},le="+Inf"}}'] == 20
        assert 0 < got[f"{name}_sum{{{labels}}}"] < 20
    parts = sum(
        got[f'torchship_stage_duration_seconds_sum{{{LABELS},stage="{s}"}}'] for s in ("parse", "queue", "infer")
    )
    assert parts < got[f'torchship_stage_duration_seconds_sum{{{LABELS},stage="total"}}']
    assert got[f"torchship_batch_rows_sum{{{LABELS}}}"] == 60


def test_a_full_queue_is_a_429_with_retry_after_and_is_counted(start, slow):
    x = np.zeros((1, 8, 384), np.float32)
    with start(slow, "--workers", "1", "--max-queue", "2", "--max-batch", "1") as server:
        limits = httpx.Limits(max_connections=32)
        with httpx.Client(limits=limits, timeout=60) as client, ThreadPoolExecutor(32) as pool:
            answers = list(
                pool.map(lambda _: client.post(server.path(), content=x.tobytes(), headers={HEAD: "0"}), range(64))
            )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert "requests wait already" in refused.json()["error"]
        got = server.metrics()
        name = server.announced["name"]
        dropped = got[f'torchship_inference_dropped_total{{model="{name}",version="1",cause="queue_full"}}']
        assert dropped == statuses.count(429)


def test_a_deadline_that_passes_is_a_504(start, slow):
    x = np.zeros((64, 8, 384), np.float32)
    with start(slow, "--workers", "1", "--max-batch", "1") as server:
        started = time.monotonic()
        answer = httpx.post(
            server.path(), content=x.tobytes(), headers={HEAD: "0", "x-request-timeout-ms": "30"}, timeout=30
        )
        assert answer.status_code == 504
        assert "deadline" in answer.json()["error"]
        assert time.monotonic() - started < 5
        text = json.dumps(
            {
                "inputs": [
                    {
                        "name": "x",
                        "shape": [64, 8, 384],
                        "datatype": "FP32",
                        "parameters": {"binary_data_size": x.nbytes},
                    }
                ],
                "parameters": {"timeout": 1000},
            }
        ).encode()
        answer = httpx.post(server.path(), content=text + x.tobytes(), headers={HEAD: str(len(text))}, timeout=30)
        assert answer.status_code == 504
        got = server.metrics()
        assert (
            got[f'torchship_inference_dropped_total{{model="{server.announced["name"]}",version="1",cause="deadline"}}']
            == 2
        )
