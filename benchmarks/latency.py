"""How quick the artifact that ``torchship ship`` chose is beside the runtimes at their defaults, in one run.

``python benchmarks/latency.py [--nets NAMES] [--batches 1,8] [--rounds N] [--peers NAMES] [--strict]``. Each
net is shipped once; then each contender is opened in a process of its own, and all take turns, round by round. A ratio
is torchship's time over a peer's, of one round; the figures are medians over the rounds, with the least and the
greatest. In float32, against the best of ONNX Runtime and OpenVINO (held to float32) at their defaults: goal 1.0, as a
geometric mean over nets; against the best of eager, torch.compile and TorchScript: goal 0.5.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measuring.spread import Goal, Spread  # noqa: E402

NETS = HERE / "measuring" / "speed_nets.py"
NAMES = ("mlp", "lstm", "mobilenet", "vit", "unet", "bert", "resnet18", "resnet50")
RUNTIMES = ("onnxruntime", "openvino-f32")
TORCHES = ("eager", "compile", "torchscript")
PEERS = (*TORCHES, "aoti", *RUNTIMES, "openvino")
SECONDS = 0.4  # of a turn


@dataclass(frozen=True)
class Race:
    """One net at one batch size: milliseconds of each contender by round."""

    net: str
    batch: int
    chosen: str
    times: dict[str, list[float]]

    def ratio(self, peers: tuple[str, ...]) -> Spread:
        """Torchship's time over the quickest peer's, of each round; the peer is the quickest over all rounds."""
        there = [each for each in peers if each in self.times]
        best = min(there, key=lambda each: median(self.times[each]))
        return Spread.of([mine / other for mine, other in zip(self.times["torchship"], self.times[best], strict=True)])


def main() -> int:
    """Race, print, keep; the exit status is 1 where ``--strict`` and a goal is missed."""
    options = _options()
    races = []
    for net in options.nets.split(","):
        with tempfile.TemporaryDirectory(prefix="torchship-latency-") as scratch:
            _ship(net, Path(scratch), options.targets)
            for batch in map(int, options.batches.split(",")):
                race = _race(net, batch, Path(scratch), options)
                races.append(race)
                _tell(race)
    goals = _goals(races)
    for goal in goals:
        print(goal.told())
    _keep(races)
    return 0 if all(goal.met for goal in goals) or not options.strict else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NAMES), help=f"of {NETS.name} (default: all)")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--targets", default="onnx,openvino,torchscript", help="what ship makes (default: %(default)s)")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser.parse_args()


def _ship(net: str, scratch: Path, targets: str) -> None:
    command = ["torchship", "ship", f"{NETS}:{net}", "-o", str(scratch / "bundle"), "--targets", targets, "--json"]
    subprocess.run([str(Path(sys.executable).with_name(command[0])), *command[1:]], check=True, capture_output=True)


def _race(net: str, batch: int, scratch: Path, options: argparse.Namespace) -> Race:
    contenders = {name: _Contender(name, net, batch, scratch) for name in ("torchship", *options.peers.split(","))}
    racing = {name: each for name, each in contenders.items() if each.ready()}
    times: dict[str, list[float]] = {name: [] for name in racing}
    for number in range(options.rounds):
        names = list(racing)
        for name in names[number % len(names) :] + names[: number % len(names)]:  # nobody always follows the same
            times[name].append(racing[name].turn(SECONDS))
    for each in contenders.values():
        each.close()
    chosen = json.loads((scratch / "bundle" / "manifest.json").read_bytes())["chosen"]
    return Race(net, batch, chosen, times)


class _Contender:
    """A process of ``peers/runtimes.py``; it makes and warms up alone, and races alone."""

    def __init__(self, name: str, net: str, batch: int, scratch: Path) -> None:
        command = [sys.executable, str(HERE / "peers" / "runtimes.py"), name, f"{NETS}:{net}", str(batch), str(scratch)]
        self._name = name
        self._process = subprocess.Popen(
            [*command, str(scratch / "bundle")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "TORCHSHIP_CACHE": str(scratch / "cache")},
        )  # fmt: skip
        self._is_ready = self._line() == "ready"

    def ready(self) -> bool:
        """Whether it answered; one that didn't is told and left out."""
        if not self._is_ready:
            print(f"{self._name} can't run it", file=sys.stderr)
        return self._is_ready

    def turn(self, seconds: float) -> float:
        """Call for ``seconds``; give the median's milliseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def _tell(race: Race) -> None:
    shown = "  ".join(f"{name} {median(times):.3g}" for name, times in race.times.items())
    print(f"{race.net} x{race.batch} ({race.chosen}), ms: {shown}")
    for what, peers in (("best runtime in float32", RUNTIMES), ("best of torch", TORCHES)):
        if any(each in race.times for each in peers):
            print(f"  over {what}: {race.ratio(peers).told(2)}", flush=True)


def _goals(races: list[Race]) -> list[Goal]:
    goals = []
    for what, peers, bound in (("best runtime at its defaults", RUNTIMES, 1.0), ("best of torch", TORCHES, 0.5)):
        ratios = [race.ratio(peers).median for race in races if any(each in race.times for each in peers)]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            goals.append(
                Goal(f"time over the {what}, geometric mean of {len(ratios)}", Spread.of([mean]), bound, False)
            )
    return goals


def _keep(races: list[Race]) -> None:
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    told: list[dict[str, Any]] = [
        {"net": each.net, "batch": each.batch, "chosen": each.chosen, "times": each.times} for each in races
    ]
    stamp = dt.datetime.now(dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    (folder / f"latency-{stamp}.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    sys.exit(main())
