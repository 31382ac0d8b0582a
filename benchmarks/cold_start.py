"""From process start to the first answer, and what is in memory then.

``python benchmarks/cold_start.py [--bundle B] [--rounds N] [--strict]``. ``torchship predict`` and ``torchship serve``
beside ``python -c`` that opens the same model with bare ONNX Runtime and runs it once: less can't be done from Python.
They take turns. No file of torch may be mapped into any process.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measuring import digits  # noqa: E402
from measuring.processes import free_port, mapped, memory_mb, running  # noqa: E402
from measuring.spread import Goal, Spread  # noqa: E402

SECONDS = 0.6
MEGABYTES = 120.0
BARE = (
    "import sys, numpy, onnxruntime; session = onnxruntime.InferenceSession(sys.argv[1]); "
    "session.run(None, {'image': numpy.zeros((1, 1, 28, 28), 'uint8')})"
)


def main() -> int:
    """Measure, print, keep; the exit status is 1 where ``--strict`` and a goal is missed, or torch is in it."""
    options = _options()
    bundle = digits.bundle(options.bundle)
    picture = digits.WORK / "digit.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    image = digits.images(1)
    Image.fromarray(image[0, 0]).save(picture)
    took: dict[str, list[float]] = {"bare onnxruntime": [], "torchship predict": [], "torchship serve": []}
    memory: list[float] = []
    for _ in range(options.rounds):
        took["bare onnxruntime"].append(_timed([sys.executable, "-c", BARE, str(digits.model_file(bundle))]))
        took["torchship predict"].append(_timed([str(digits.TORCHSHIP), "predict", str(bundle), str(picture)]))
        seconds, megabytes = _serve(bundle, image.tobytes())
        took["torchship serve"].append(seconds)
        memory.append(megabytes)
    _check_predict(bundle, picture)
    spreads = {name: Spread.of(seconds) for name, seconds in took.items()}
    for name, spread in spreads.items():
        print(f"{name:18} process start to first answer: {spread.told(3)} s")
    goals = [
        Goal("predict, seconds to the first answer", spreads["torchship predict"], SECONDS, at_least=False, digits=3),
        Goal("serve, seconds to the first answer", spreads["torchship serve"], SECONDS, at_least=False, digits=3),
        Goal("serve, PSS of all processes with one worker, MB", Spread.of(memory), MEGABYTES, at_least=False, digits=1),
    ]
    for goal in goals:
        print(goal.told())
    _keep(took, memory)
    return 0 if all(goal.met for goal in goals) or not options.strict else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", help="a digits bundle (default: one is trained and shipped)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser.parse_args()


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _serve(bundle: Path, image: bytes) -> tuple[float, float]:
    """Seconds to the first answer; megabytes after a few hundred."""
    port = free_port()
    started = time.perf_counter()
    command = [str(digits.TORCHSHIP), "serve", str(bundle), "--port", str(port), "--workers", "1", "--name", "digits"]
    with running(command) as pid:
        while True:
            try:
                _ask(port, image)
                break
            except ConnectionRefusedError:
                time.sleep(0.002)
                if time.perf_counter() - started > 30:
                    raise
        seconds = time.perf_counter() - started
        for _ in range(300):
            _ask(port, image)
        _check_torch(mapped(pid))
        return seconds, memory_mb(pid)


def _ask(port: int, image: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(
        "POST", "/v2/models/digits/infer", image, {"Inference-Header-Content-Length": "0", "Connection": "close"}
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or len(body) < 40:
        raise SystemExit(f"the server answered {answer.status}: {body!r}")


def _check_predict(bundle: Path, picture: Path) -> None:
    """No torch in ``predict``: it is asked which modules it had loaded when it was done."""
    code = "import sys; from torchship.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "predict", str(bundle), str(picture), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
    if "torch" in done.stderr.split():
        raise SystemExit("torchship predict imported torch")


def _check_torch(files: set[str]) -> None:
    found = sorted(path for path in files if "/torch/" in path or "libtorch" in path)
    if found:
        raise SystemExit(f"torch is in the server: {found[0]}")


def _keep(took: dict[str, list[float]], memory: list[float]) -> None:
    when = dt.datetime.now(dt.timezone.utc)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"cold_start-{when:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps({"seconds": took, "memory_mb": memory}, indent=1))
    print(f"raw numbers: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    raise SystemExit(main())
