"""What ``torchship ship`` costs beside the raw conversions that it contains: time, and with ``--big`` memory.

``python benchmarks/ship.py [--nets NAMES] [--targets LIST] [--rounds N] [--strict]``. Each net is shipped, one
conversion at a time; then each conversion is done by the tool's own API, by the route that ship took, in a process of
its own whose imports aren't counted. All of ship but verification and measuring, which are told apart, is held against
1.15 times the raw conversions and 2 s for each of the workers that convert.

``python benchmarks/ship.py --big`` ships a net of 1.51 GB once and notes each process's peak of resident memory, which
is held against 2.5 times the net's own memory and 1 GB. It takes 14 GB of disk and 5 minutes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measuring import stages  # noqa: E402
from measuring.spread import Goal, Spread  # noqa: E402
from measuring.stages import Shipped  # noqa: E402

NETS = HERE / "measuring" / "nets.py"
RATIO = 1.15
A_WORKER = 2.0  # seconds: a process of its own, and its imports
MEMORY = 2.5
BESIDES = 1000.0  # MB


@dataclass(frozen=True)
class Round:
    """One net, shipped once and converted raw once; seconds of each raw conversion by target."""

    shipped: Shipped
    raw: dict[str, float]

    @property
    def bound(self) -> float:
        """Seconds that ship may take, verification and measuring apart."""
        return RATIO * sum(self.raw.values()) + A_WORKER * self.shipped.workers["converting"]


def main() -> int:
    """Measure, print, keep; the exit status is 1 where ``--strict`` and a goal is missed."""
    options = _options()
    goals, raw = _memory(options) if options.big else _time(options)
    for goal in goals:
        print(goal.told())
    _keep(raw)
    return 0 if all(goal.met for goal in goals) or not options.strict else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default="cnn,encoder,resnet", help=f"of {NETS.name} (default: %(default)s)")
    parser.add_argument("--targets", help="default: all of the server group; with --big all but aoti")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--big", action="store_true", help="memory, with a net of 1.51 GB, instead of time")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser.parse_args()


def _time(options: argparse.Namespace) -> tuple[list[Goal], dict[str, Any]]:
    rounds: dict[str, list[Round]] = {name: [] for name in options.nets.split(",")}
    for number in range(options.rounds):
        for name, done in rounds.items():
            done.append(_round(name, options.targets or "server"))
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
    for name, done in rounds.items():
        _tell(name, done)
    goals = [
        Goal(
            f"{name}, ship over {RATIO} x raw + {A_WORKER:g} s a worker, verification and measuring apart",
            Spread.of([each.shipped.own / each.bound for each in done]), 1.0, at_least=False,
        )
        for name, done in rounds.items()
    ]  # fmt: skip
    return goals, {name: [asdict(each) for each in done] for name, done in rounds.items()}


def _round(name: str, targets: str) -> Round:
    with tempfile.TemporaryDirectory(prefix="bench-ship-") as folder:
        shipped = stages.ship(f"{NETS}:{name}", targets, Path(folder))
        raw = {target: _raw(name, target, row["route"], Path(folder)) for target, row in shipped.made.items()}
    return Round(shipped, raw)


def _raw(name: str, target: str, route: str, folder: Path) -> float:
    out = folder / f"raw-{target}"
    out.mkdir()
    command = [sys.executable, str(HERE / "peers" / "raw.py"), name, target, route, str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the raw conversion of {name} to {target} failed:\n{done.stderr[-4000:]}")
    return float((out / "seconds").read_text())


def _tell(name: str, done: list[Round]) -> None:
    """A row for each target, and where ship's time went; medians."""
    print(f"\n{name:13} {'route':8} {'raw s':>8} {'ship s':>8} {'ratio':>6}")
    for target, row in done[0].shipped.made.items():
        raw = median(each.raw[target] for each in done)
        ours = median(each.shipped.made[target]["convert_seconds"] for each in done)
        print(f"{target:13} {row['route']:8} {raw:8.2f} {ours:8.2f} {ours / raw:6.2f}")
    for row in done[0].shipped.result["artifacts"]:
        if row["status"] != "ok":
            print(f"{row['target']:13} {row['status']}: {row.get('reason')}")
    print(f"{'in all':13} {'':8} {median(sum(each.raw.values()) for each in done):8.2f} {_converted(done):8.2f}")
    took = {stage: median(each.shipped.seconds[stage] for each in done) for stage in done[0].shipped.seconds}
    whole = median(sum(each.shipped.seconds.values()) for each in done)
    own, bound = median(each.shipped.own for each in done), median(each.bound for each in done)
    print(f"ship {whole:.1f} s: {', '.join(f'{stage} {seconds:.1f}' for stage, seconds in took.items())}")
    imports = took["converting"] - _converted(done)
    print(f"of converting {imports:.1f} s: {done[0].shipped.workers['converting']} workers start and import")
    print(f"verification and measuring {whole - own:.1f} s; the rest {own:.1f} s, which may be {bound:.1f} s")


def _converted(done: list[Round]) -> float:
    return median(sum(row["convert_seconds"] for row in each.shipped.made.values()) for each in done)


def _memory(options: argparse.Namespace) -> tuple[list[Goal], dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="bench-ship-") as folder:
        targets = options.targets or "onnx,torchscript,exported,openvino"
        shipped = stages.ship(f"{NETS}:big", targets, Path(folder), watched=True)
        manifest = json.loads((Path(folder) / "bundle" / "manifest.json").read_bytes())
    own = manifest["origin"]["parameters"] * 4 / 1e6  # float32
    bound = MEMORY * own + BESIDES
    print(f"the net {own:.0f} MB; in ship's processes at most:")
    for name, megabytes in shipped.peaks.items():
        print(f"{name:32} {megabytes:6.0f} MB, {megabytes / own:.2f} x{'  above' if megabytes > bound else ''}")
    for row in shipped.result["artifacts"]:
        print(f"{row['target']:13} {row['status']} {row.get('route', '')} {row.get('reason') or ''}")
    print(f"ship: {', '.join(f'{stage} {seconds:.0f} s' for stage, seconds in shipped.seconds.items())}\n")
    greatest = Spread.of([max(shipped.peaks.values())])
    goal = Goal("resident memory of any one process, MB", greatest, bound, at_least=False, digits=0)
    return [goal], {"net_mb": own, "big": asdict(shipped)}


def _keep(raw: dict[str, Any]) -> None:
    when = dt.datetime.now(dt.timezone.utc)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"ship-{when:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps({"when": when.isoformat(timespec="seconds"), **raw}, indent=1))
    print(f"raw numbers: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    raise SystemExit(main())
