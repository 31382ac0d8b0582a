"""Writes a bundle again and again, its name telling which one it is, until it is killed. Run by test_publish."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_bundle import artifact, make_bundle

_ANY = [(artifact(), lambda folder: (folder / "model.onnx").write_bytes(bytes(300_000)))]

for count in itertools.count(int(sys.argv[2])):
    make_bundle(Path(sys.argv[1]), _ANY, name=f"bundle {count}", why="x" * (count % 2 * 100_000))
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()
