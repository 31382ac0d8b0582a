"""``torchship serve`` beside FastAPI + uvicorn + ONNX Runtime, on the digits CNN, in one interleaved run.

``python benchmarks/serving.py [--bundle B] [--rounds N] [--seconds S] [--connections C] [--workers N] [--strict]``.
Both servers are up all the time and take turns, in JSON and in binary; each round gives one ratio, so that what else
the machine does falls on both. Answers are compared with the session's own before, while and after it is loaded.
Raw numbers are kept in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measuring import digits, wrk  # noqa: E402
from measuring.processes import cpu_seconds, free_port, memory_mb, running, wait_for  # noqa: E402
from measuring.spread import Goal, Spread  # noqa: E402
from measuring.wrk import Load  # noqa: E402

FORMS = ("json", "binary")
HEAD = "inference-header-content-length"
Read = Callable[[httpx.Response], np.ndarray]


@dataclass
class Contender:
    """A server that runs: how it is asked in each form, and how its answers are read."""

    name: str
    pid: int
    loads: Callable[[np.ndarray], dict[str, Load]]
    reads: dict[str, Read]
    samples: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {form: [] for form in FORMS})
    wrong: int = 0

    def ask(self, form: str, image: np.ndarray) -> np.ndarray:
        """One request, apart from the load."""
        load = self.loads(image)[form]
        answer = httpx.post(load.url, content=load.body, headers=load.headers, timeout=30)
        answer.raise_for_status()
        return self.reads[form](answer)


def main() -> int:
    """Measure, print, keep; the exit status is 1 where ``--strict`` and a goal is missed."""
    options = _options()
    wrk.check()
    bundle = digits.bundle(options.bundle)
    session = onnxruntime.InferenceSession(digits.model_file(bundle), providers=["CPUExecutionProvider"])
    images = digits.images(64)
    expected = session.run(None, {"image": images})[0]
    with _torchship(bundle, options.workers) as ours, _fastapi(bundle) as theirs:
        contenders = (ours, theirs)
        for contender in contenders:
            _check(contender, images, expected)
            for form in FORMS:  # once without being counted: everything warm
                wrk.run(contender.loads(images[:1])[form], options.connections, 1)
        memory = {contender.name: memory_mb(contender.pid) for contender in contenders}
        for number in range(options.rounds):
            for form in FORMS:
                for contender in contenders if number % 2 else contenders[::-1]:
                    _measure(contender, form, images, expected, options)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for contender in contenders:
            _check(contender, images, expected)
    goals = _goals(ours, theirs)
    _tell(contenders, memory, goals)
    _keep(contenders, memory, options)
    right = all(contender.wrong == 0 for contender in contenders)
    return 0 if right and (all(goal.met for goal in goals) or not options.strict) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", help="a digits bundle (default: one is trained and shipped)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2, help="of each turn")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, help="of torchship (default: its own)")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser.parse_args()


@contextlib.contextmanager
def _torchship(bundle: Path, workers: int | None) -> Iterator[Contender]:
    port = free_port()
    command = [str(digits.TORCHSHIP), "serve", str(bundle), "--port", str(port), "--name", "digits"]
    url = f"http://127.0.0.1:{port}/v2/models/digits/infer"

    def loads(image: np.ndarray) -> dict[str, Load]:
        tensor = {"name": "image", "shape": list(image.shape), "datatype": "UINT8"}
        size = {"parameters": {"binary_data_size": image.nbytes}}
        text = json.dumps({"inputs": [tensor | size], "parameters": {"binary_data_output": True}}).encode()
        return {
            "json": Load(url, _json_body(image), {"Content-Type": "application/json"}),
            "binary": Load(url, text + image.tobytes(), {HEAD: str(len(text))}),
        }

    def read_binary(answer: httpx.Response) -> np.ndarray:
        return np.frombuffer(answer.content[int(answer.headers[HEAD]) :], "<f4").reshape(-1, 10)

    with running([*command, *(["--workers", str(workers)] if workers else [])]) as pid:
        wait_for(port)
        yield Contender("torchship", pid, loads, {"json": _read_json, "binary": read_binary})


@contextlib.contextmanager
def _fastapi(bundle: Path) -> Iterator[Contender]:
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(HERE / "peers"), "--port", str(port),
        "--workers", "2", "--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools",
    ]  # fmt: skip

    def loads(image: np.ndarray) -> dict[str, Load]:
        return {
            "json": Load(f"http://127.0.0.1:{port}/json", _json_body(image), {"Content-Type": "application/json"}),
            "binary": Load(f"http://127.0.0.1:{port}/binary", image.tobytes()),
        }

    def read_binary(answer: httpx.Response) -> np.ndarray:
        return np.frombuffer(answer.content, "<f4").reshape(-1, 10)

    with running(command, {"MODEL": str(digits.model_file(bundle))}) as pid:
        wait_for(port)
        yield Contender("fastapi", pid, loads, {"json": _read_json, "binary": read_binary})


def _json_body(image: np.ndarray) -> bytes:
    tensor = {"name": "image", "shape": list(image.shape), "datatype": "UINT8", "data": image.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def _read_json(answer: httpx.Response) -> np.ndarray:
    return np.array(answer.json()["outputs"][0]["data"], np.float32).reshape(-1, 10)


def _check(contender: Contender, images: np.ndarray, expected: np.ndarray) -> None:
    for form in FORMS:
        for place in range(0, len(images), 8):
            _compare(contender, form, images[place : place + 1], expected[place : place + 1])


def _compare(contender: Contender, form: str, image: np.ndarray, expected: np.ndarray) -> None:
    if not np.allclose(contender.ask(form, image), expected, rtol=1e-4, atol=1e-4):
        contender.wrong += 1


def _measure(
    contender: Contender, form: str, images: np.ndarray, expected: np.ndarray, options: argparse.Namespace
) -> None:
    """One turn under load, with other pictures asked in between, whose answers are compared."""
    over = threading.Event()

    def ask_others() -> None:
        place = 0
        while not over.wait(0.1):
            _compare(contender, form, images[place : place + 1], expected[place : place + 1])
            place = (place + 1) % len(images)

    asking = threading.Thread(target=ask_others)
    asking.start()
    before = cpu_seconds(contender.pid)
    measured = wrk.run(contender.loads(images[:1])[form], options.connections, options.seconds)
    spent = cpu_seconds(contender.pid) - before
    over.set()
    asking.join()
    contender.wrong += measured.refused
    contender.samples[form].append({**asdict(measured), "cpu_ms": spent * 1e3 / measured.requests})


def _goals(ours: Contender, theirs: Contender) -> list[Goal]:
    goals = []
    for form, rate, cpu in (("json", 2.0, 0.45), ("binary", 1.1, 0.6)):
        faster = _ratios(ours, theirs, form, "rate")
        cheaper = _ratios(ours, theirs, form, "cpu_ms")
        goals.append(Goal(f"requests/s in {form}, torchship over FastAPI", faster, rate, at_least=True))
        goals.append(Goal(f"CPU a request in {form}, torchship over FastAPI", cheaper, cpu, at_least=False))
    return goals


def _ratios(ours: Contender, theirs: Contender, form: str, figure: str) -> Spread:
    pairs = zip(ours.samples[form], theirs.samples[form], strict=True)
    return Spread.of([mine[figure] / other[figure] for mine, other in pairs])


def _tell(contenders: tuple[Contender, ...], memory: dict[str, float], goals: list[Goal]) -> None:
    print(f"{'':10} {'form':7} {'requests/s':26} {'CPU ms a request':26} {'p50 ms':8} {'p99 ms':8} {'PSS MB':>7}")
    for contender in contenders:
        for form in FORMS:
            figures = {
                figure: Spread.of([sample[figure] for sample in contender.samples[form]])
                for figure in ("rate", "cpu_ms", "p50_ms", "p99_ms")
            }
            print(
                f"{contender.name:10} {form:7} {figures['rate'].told(0):26} {figures['cpu_ms'].told(3):26} "
                f"{figures['p50_ms'].median:<8.2f} {figures['p99_ms'].median:<8.2f} {memory[contender.name]:7.0f}"
            )
    for contender in contenders:
        if contender.wrong:
            print(f"WRONG  {contender.name} gave {contender.wrong} wrong or refused answers")
    for goal in goals:
        print(goal.told())


def _keep(contenders: tuple[Contender, ...], memory: dict[str, float], options: argparse.Namespace) -> None:
    when = dt.datetime.now(dt.timezone.utc)
    raw = {
        "when": when.isoformat(timespec="seconds"),
        "connections": options.connections,
        "seconds": options.seconds,
        "memory_mb": memory,
        "samples": {contender.name: contender.samples for contender in contenders},
    }
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"serving-{when:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(raw, indent=1))
    print(f"raw numbers: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    raise SystemExit(main())
