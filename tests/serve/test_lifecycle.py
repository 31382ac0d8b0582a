"""A server's life: how it starts, drains and ends, and what a worker's death costs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

HEAD = "inference-header-content-length"


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torchship", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't come to that"
        time.sleep(0.01)


def test_a_port_in_use_is_told_and_ends_it(digits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = serve(str(digits), "--port", port)
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["{bundle}", "--host", "no.such.host.invalid"], 2, "no host"),
        (["{bundle}", "--port", "70000"], 2, "no port"),
        (["{bundle}", "--workers", "0"], 2, "no number from 1 on"),
        (["{bundle}", "--max-body-mb", "-1"], 2, "no number above 0"),
        (["{bundle}", "--name", "a/b"], 2, "can't be a model's name"),
        (["{bundle}", "--artifact", "nothing"], 2, "it has: onnx"),
        (["{bundle}.nowhere"], 2, "there is nothing at"),
    ],
)
def test_wrong_usage(digits, options, status, sentence):
    done = serve(*[option.format(bundle=digits) for option in options], "--json")
    assert done.returncode == status
    assert sentence in done.stderr
    assert sentence in "\n".join(str(value) for value in json.loads(done.stdout).values())


def test_a_tampered_bundle_is_refused_before_the_port_is_opened(digits, tmp_path):
    bundle = tmp_path / "digits"
    subprocess.run(["cp", "-r", digits, bundle], check=True)
    model = bundle / "artifacts" / "onnx" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tried: list[bool] = []
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            with socket.socket() as client:
                tried.append(client.connect_ex(("127.0.0.1", port)) == 0)
            time.sleep(0.005)

    thread = threading.Thread(target=knock)
    thread.start()
    done = serve(str(bundle), "--port", str(port))
    stop.set()
    thread.join()
    assert done.returncode == 3
    assert "model.onnx" in done.stderr
    assert "Traceback" not in done.stderr
    assert tried
    assert not any(tried)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(start, digits, number):
    with start(digits, "--workers", "2") as server:
        until(lambda: len(server.workers()) == 2)
        workers = server.workers()
        server.process.send_signal(number)
        assert server.process.wait(20) == 0
        assert not any(alive(pid) for pid in workers)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/v2")


def test_a_drain_answers_what_is_under_way(start, slow):
    x = np.random.default_rng(0).random((24, 8, 384), np.float32)
    with (
        start(slow, "--workers", "1", "--max-batch", "1") as server,
        httpx.Client() as client,
        ThreadPoolExecutor() as pool,
    ):
        client.get(f"{server.url}/v2")
        asked = pool.submit(httpx.post, server.path(), content=x.tobytes(), headers={HEAD: "0"}, timeout=30)
        until(lambda: server.metrics()["torchship_running_rows"] > 0)
        server.process.send_signal(signal.SIGTERM)
        answer = asked.result()
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        got = np.frombuffer(answer.content[int(answer.headers[HEAD]) :], "<f4").reshape(x.shape)
        np.testing.assert_allclose(got, x, rtol=1e-5)
        assert server.process.wait(20) == 0


def test_a_drain_that_takes_too_long_is_cut_short(start, digits):
    with start(digits, "--workers", "1", "--drain", "0.3") as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sender:
            sender.sendall(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n")
            time.sleep(0.1)
            started = time.monotonic()
            assert server.stop() == 0
        assert time.monotonic() - started < 5


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(start, digits, images):
    with start(digits, "--workers", "2") as server:
        until(lambda: server.metrics()["torchship_workers_ready"] == 2)
        before = server.metrics()["torchship_inference_answered_total" + '{model="digits",version="1"}']
        for _ in range(10):
            assert httpx.post(server.path(), content=images.tobytes(), headers={HEAD: "0"}).status_code == 200
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        answered = [ask(server.path(), images) for _ in range(20)]
        until(lambda: server.metrics()["torchship_workers_ready"] == 2)
        metrics = server.metrics()
        assert victim not in server.workers()
        assert metrics["torchship_worker_restarts_total"] == 1
        answered_total = metrics["torchship_inference_answered_total" + '{model="digits",version="1"}']
        assert answered_total == before + 10 + sum(status == 200 for status in answered)
        assert set(answered) <= {200, None}


def ask(path: str, images: np.ndarray) -> int | None:
    try:
        return httpx.post(path, content=images.tobytes(), headers={HEAD: "0"}).status_code
    except httpx.TransportError:
        return None


def test_the_only_worker_dies_and_those_that_connect_meanwhile_are_answered(start, digits, images):
    with start(digits, "--workers", "1") as server:
        os.kill(server.workers()[0], signal.SIGKILL)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: ask(server.path(), images), range(32)))
        assert answers.count(200) >= 31  # one may have been accepted by the one that was dying
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200


def test_a_crash_in_the_runtime_is_a_worker_that_is_replaced(start, slow):
    with start(slow, "--workers", "1") as server:
        first = server.workers()[0]
        os.kill(first, signal.SIGSEGV)
        until(lambda: server.workers() not in ([], [first]))
        until(lambda: ready(server.url))


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_workers_end_when_the_supervisor_is_killed(start, digits):
    with start(digits, "--workers", "2") as server:
        until(lambda: len(server.workers()) == 2)
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        until(lambda: not any(alive(pid) for pid in workers))


def test_connections_are_spread_over_the_workers(start, digits):
    with start(digits, "--workers", "2") as server:
        until(lambda: server.metrics()["torchship_workers_ready"] == 2)
        kept = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(16)]
        until(lambda: server.metrics()["torchship_connections"] >= 16)
        inodes = {Path(f"/proc/{pid}/fd"): 0 for pid in server.workers()}
        for folder in inodes:
            inodes[folder] = sum(str(entry.readlink()).startswith("socket:") for entry in folder.iterdir())
        for client in kept:
            client.close()
        few, many = sorted(inodes.values())
        assert many - few <= 2


def test_nothing_of_torch_is_in_it(start, digits_bundle):
    with start(digits_bundle) as server:
        assert server.announced["artifact"] == "onnx"
        for pid in (server.process.pid, *server.workers()):
            mapped = Path(f"/proc/{pid}/maps").read_text()
            assert "libtorch" not in mapped
            assert "/torch/" not in mapped


def test_a_bare_onnx_file_is_served(start, digits):
    with start(digits / "artifacts" / "onnx" / "model.onnx", "--name", "bare", "--workers", "1") as server:
        assert httpx.get(server.path("")).json()["inputs"][0]["name"] == "image"
