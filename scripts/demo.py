"""The whole way once, on real digits: train, ship, verify, serve, ask, predict, report. `make demo` runs it.

    .venv/bin/python scripts/demo.py [FOLDER]

Everything goes through the `torchship` command, as a user's shell would call it, and every answer is checked: the
demo fails loudly rather than show what isn't so. What it makes stays in `demo/`.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from torchship.digits.data import Digits, split

TORCHSHIP = Path(sys.executable).with_name("torchship")
LEAST_ACCURACY = 0.97
ALLOWED_DROP = 0.005  # of accuracy, for what is pruned or quantised
TIE = 0.001 + 1e-9  # one answer of the held-out thousand
SHOWN = 20  # pictures that are written as PNG, two of each digit
BATCH = 100

console = Console(highlight=False)


@dataclass(frozen=True)
class Served:
    """What the server said of itself and answered."""

    artifact: str
    by_png: list[str]
    by_json: list[str]
    by_binary: np.ndarray
    milliseconds: float


def main(folder: Path) -> None:
    """Go the whole way; leaves the trained net, the bundle, the pictures and the report in `folder`."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    net, bundle, pictures, report = (folder / name for name in ("digits.pth", "digits", "pictures", "report.html"))

    with step("train", "a small CNN on 4,000 real digits"):
        trained = torchship(folder, "train", "digits", "-o", net)
        check(trained["accuracy"] >= LEAST_ACCURACY, f"it reads only {trained['accuracy']:.1%} of the held-out digits")
    with step("ship", "convert, prove, measure, choose, pack"):
        targets = ("--targets", "onnx torchscript exported")  # each is made twice: whole, and pruned
        smaller = ("--prune", "0.5", "--quantize", "int8", "--max-drop", str(ALLOWED_DROP))
        shipped = torchship(folder, "ship", net, "-o", bundle, *targets, *smaller)
        ok = {each["name"]: each for each in shipped["artifacts"] if each["status"] == "ok"}
        check({"onnx", "torchscript", "exported"} <= set(ok), f"only {sorted(ok)} came out right")
        eager = shipped["reference"]["accuracy"]
        lost = [name for name, each in ok.items() if each["accuracy"] < eager - ("how" in each) * ALLOWED_DROP - TIE]
        check(not lost, f"{lost} lost accuracy")
    with step("verify", "every file against its hash"):
        verified = torchship(folder, "verify", bundle)
        check(verified["files"] >= len(ok), "the bundle lacks files")

    held_out = split().held_out
    some = held_out.take([place for digit in range(10) for place in np.flatnonzero(held_out.labels == digit)[:2]])
    write_pictures(some, pictures)
    with step("serve", "over HTTP, asked for digits it never saw"), served(folder, bundle) as address:
        answers = ask(address, pictures, some, held_out)
        check(answers.by_png == answers.by_json, "the same picture is answered otherwise as PNG than as JSON")
        right = float((answers.by_binary == held_out.labels).mean())
        check(answers.artifact == shipped["chosen"], f"{answers.artifact} answers in place of {shipped['chosen']}")
        expected = ok[answers.artifact]["accuracy"]
        check(abs(right - expected) < 1e-9, f"served, it reads {right:.1%}; measured were {expected:.1%}")
    with step("predict", f"{SHOWN} PNG files"):
        predicted = torchship(folder, "predict", bundle, pictures)["results"]
        check([each["label"] for each in predicted] == answers.by_json, "the command and the server disagree")
    with step("report", "one page of it all"):
        torchship(folder, "report", bundle, pictures, "-o", report)
        check(report.stat().st_size > 10_000, "the page is empty")
    summary(shipped, predicted, answers, right, report, time.monotonic() - began)


def torchship(folder: Path, *words: str | Path) -> dict[str, Any]:
    """Run one command with `--json` and give its object; its progress goes to the terminal, or else to `log.txt`."""
    command = [str(TORCHSHIP), *map(str, words), "--json"]
    with (folder / "log.txt").open("a+", encoding="utf-8") as log:
        stderr = None if sys.stderr.isatty() else log
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=False)
        if done.returncode != 0:
            told = done.stdout.decode().strip() or "nothing on stdout"
            raise SystemExit(f"`{' '.join(command)}` ended with exit status {done.returncode}: {told}; see {log.name}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def served(folder: Path, bundle: Path) -> Iterator[dict[str, Any]]:
    """A server of the bundle on a free port, for as long as it is needed; gives what it announced."""
    command = [str(TORCHSHIP), "serve", str(bundle), "--port", "0", "--json"]
    log = (folder / "log.txt").open("a", encoding="utf-8")
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline() or b"{}")  # comes when it is ready; an error where it ends
            check("url" in told, f"the server did not start: {told.get('error')}; see {log.name}")
            yield told
        finally:
            server.terminate()
            status = server.wait(timeout=30)
        check(status == 0, f"the server ended with exit status {status}")


def ask(address: dict[str, Any], pictures: Path, some: Digits, held_out: Digits) -> Served:
    """Ask for some digits as PNG and in JSON, one a request, and for all held-out ones in binary, a batch a request."""
    place = urlsplit(address["url"])
    connection = http.client.HTTPConnection(place.hostname or "127.0.0.1", place.port, timeout=30)
    model = urlsplit(address["model"]).path
    by_png = [predict_png(connection, f"{model}/predict", file) for file in sorted(pictures.glob("*.png"))]
    path = f"{model}/infer"
    began = time.perf_counter()
    by_json = [str(infer_json(connection, path, picture).argmax()) for picture in some.batch()]
    seconds = time.perf_counter() - began
    batches = np.split(held_out.batch(), len(held_out) // BATCH)
    scores = np.concatenate([infer_binary(connection, path, batch) for batch in batches])
    connection.close()
    return Served(address["artifact"], by_png, by_json, scores.argmax(axis=1), 1e3 * seconds / len(some))


def predict_png(connection: http.client.HTTPConnection, path: str, file: Path) -> str:
    """A picture as it is: what `curl --data-binary @7.png` would send."""
    answer, _ = post(connection, path, file.read_bytes(), {"Content-Type": "image/png"})
    return str(json.loads(answer)["label"])


def infer_json(connection: http.client.HTTPConnection, path: str, picture: np.ndarray) -> np.ndarray:
    """One picture as plain JSON: what `curl` would send."""
    image = {"name": "image", "shape": [1, *picture.shape], "datatype": "UINT8", "data": picture.ravel().tolist()}
    body = json.dumps({"inputs": [image]}).encode()
    answer, _ = post(connection, path, body, {"Content-Type": "application/json"})
    return np.array(json.loads(answer)["outputs"][0]["data"], dtype=np.float32)


def infer_binary(connection: http.client.HTTPConnection, path: str, batch: np.ndarray) -> np.ndarray:
    """A batch by the binary tensor extension: the bytes as they are, behind a JSON head."""
    raw = batch.tobytes()
    size = {"binary_data_size": len(raw)}
    image = {"name": "image", "shape": list(batch.shape), "datatype": "UINT8", "parameters": size}
    head = json.dumps({"inputs": [image], "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    answer, headers = post(connection, path, head + raw, length)
    start = int(headers["Inference-Header-Content-Length"])
    shape = json.loads(answer[:start])["outputs"][0]["shape"]
    return np.frombuffer(answer[start:], dtype=np.float32).reshape(shape)


def post(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]
) -> tuple[bytes, http.client.HTTPMessage]:
    """One request; fails loudly on anything but 200."""
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    check(response.status == 200, f"the server answered {response.status}: {answer[:500]!r}")
    return answer, response.headers


def write_pictures(digits: Digits, folder: Path) -> None:
    """Each digit as a PNG of 28x28, its label first in its name; what was there before goes."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    for place, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        Image.fromarray(image).save(folder / f"{label}-{place:02}.png")


def check(fine: bool, told: str) -> None:
    """Stop the demo where something isn't as it should be."""
    if not fine:
        raise SystemExit(f"demo: {told}")


@contextmanager
def step(name: str, told: str) -> Iterator[None]:
    """Tell a step and how long it took."""
    began = time.monotonic()
    yield
    console.print(f"[green]✓[/] [bold]{name:<8}[/] {told:<52} [dim]{time.monotonic() - began:5.1f} s[/]")


def summary(
    shipped: dict[str, Any], predicted: Sequence[dict[str, Any]], answers: Served, right: float, report: Path,
    seconds: float,
) -> None:  # fmt: skip
    """What came out, in a form to be taken in at once."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading, justify in (("artifact", "left"), ("median", "right"), ("size", "right"), ("accuracy", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    eager = shipped["reference"]
    table.add_row("eager PyTorch", f"{eager['latency_ms']['p50']:.3f} ms", "", f"{eager['accuracy']:.1%}", style="dim")
    for each in shipped["artifacts"]:
        if each["status"] != "ok":
            table.add_row(each["name"], each["status"], style="dim")
            continue
        cells = f"{each['latency_ms']['p50']:.3f} ms", f"{each['size_bytes'] / 1e3:.0f} kB", f"{each['accuracy']:.1%}"
        chosen = each["name"] == shipped["chosen"]
        table.add_row(each["name"] + (" ◀ chosen" if chosen else ""), *cells, style="bold green" if chosen else "")
    hits = sum(Path(each["input"]).name[0] == each["label"] for each in predicted)
    console.print()
    console.print(Panel(table, title="what was shipped", title_align="left", border_style="dim", expand=False))
    console.print(
        f"\nserved by [bold]{answers.artifact}[/]: {right:.1%} of 1,000 held-out digits over HTTP, "
        f"{answers.milliseconds:.2f} ms a JSON request\n"
        f"predicted from files: {hits} of {len(predicted)} pictures right\n"
        f"all of it in {seconds:.0f} s\n\nreport: [bold]{report}[/]\n"
        f"go on:  [bold]{_short(TORCHSHIP)} serve {report.parent / 'digits'}[/]",
        soft_wrap=True,
    )


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("demo"))
